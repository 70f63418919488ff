//! Where training runs.

use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use candle_core::Device;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// GPUs in use; opening one loads its kernels.
static OPEN: Mutex<BTreeMap<usize, Device>> = Mutex::new(BTreeMap::new());

/// A device by name: `cpu`, `cuda:N`, or `auto`, the first GPU if there is one that this program can use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TrainDevice {
    /// The processor.
    #[default]
    Cpu,
    /// The NVIDIA GPU of that number.
    Cuda(usize),
    /// The GPU 0, else the processor.
    Auto,
}

impl TrainDevice {
    /// The device itself.
    pub(crate) fn open(self) -> Result<Device, TrainError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(_) if !cfg!(feature = "cuda") => Err(TrainError::NoCuda { device: self }),
            Self::Cuda(number) => cuda(number).map_err(|source| TrainError::Device { device: self, source }),
            Self::Auto => Ok(cuda(0).unwrap_or(Device::Cpu)),
        }
    }
}

fn cuda(number: usize) -> candle_core::Result<Device> {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = open.get(&number) {
        return Ok(device.clone());
    }
    let device = Device::new_cuda(number)?;
    open.insert(number, device.clone());
    Ok(device)
}

impl fmt::Display for TrainDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl FromStr for TrainDevice {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Self, TrainError> {
        match name {
            "cpu" => Ok(Self::Cpu),
            "auto" => Ok(Self::Auto),
            _ => {
                let number = name.strip_prefix("cuda:").and_then(|number| number.parse().ok());
                number.map(Self::Cuda).ok_or_else(|| TrainError::UnknownDevice { name: name.to_owned() })
            }
        }
    }
}

impl TryFrom<String> for TrainDevice {
    type Error = TrainError;

    fn try_from(name: String) -> Result<Self, TrainError> {
        name.parse()
    }
}

impl From<TrainDevice> for String {
    fn from(device: TrainDevice) -> Self {
        device.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for name in ["cpu", "cuda:0", "cuda:12", "auto"] {
            assert_eq!(name.parse::<TrainDevice>().unwrap().to_string(), name);
        }
        for name in ["", "gpu", "cuda", "cuda:", "cuda:-1", "CPU"] {
            assert!(matches!(name.parse::<TrainDevice>(), Err(TrainError::UnknownDevice { .. })), "{name}");
        }
    }

    #[test]
    fn auto_always_finds_a_device_and_cuda_needs_the_feature() {
        assert!(TrainDevice::Auto.open().is_ok());
        let refused = TrainDevice::Cuda(99).open();
        assert!(if cfg!(feature = "cuda") {
            matches!(refused, Err(TrainError::Device { .. }))
        } else {
            matches!(refused, Err(TrainError::NoCuda { .. }))
        });
    }
}
