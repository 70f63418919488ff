//! IDX files of MNIST and Fashion-MNIST (Y. LeCun et al., yann.lecun.com/exdb/mnist): big-endian header, then bytes.

use std::{
    io::{ErrorKind, Read},
    path::Path,
};

use striae_spaces::Shape;

use super::{
    dataset::Raw,
    source::{check_labels, field, io, open},
};
use crate::DataError;

const IMAGES: u32 = 0x0803;
const LABELS: u32 = 0x0801;
const SIDE: usize = 28;
/// More images than any official file has; keeps a corrupt count from allocating the whole memory.
const MAX_COUNT: usize = 1_000_000;

pub(super) fn load(folder: &Path, name: &str) -> Result<(Raw, Raw), DataError> {
    let train = pair(folder, name, "train-images-idx3-ubyte", "train-labels-idx1-ubyte")?;
    let test = pair(folder, name, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")?;
    Ok((train, test))
}

fn pair(folder: &Path, name: &str, images: &'static str, labels: &'static str) -> Result<Raw, DataError> {
    let (image_path, mut reader) = open(folder, name, images)?;
    let count = header(&image_path, &mut reader, IMAGES)?;
    for side in ["rows", "columns"] {
        let got = word(&image_path, &mut reader, side)? as usize;
        if got != SIDE {
            return Err(field(&image_path, side, got, SIDE));
        }
    }
    let pixels = body(&image_path, &mut reader, count * SIDE * SIDE, "pixel data")?;
    let (label_path, mut reader) = open(folder, name, labels)?;
    let label_count = header(&label_path, &mut reader, LABELS)?;
    if label_count != count {
        let expected = format!("{count}, the number of images in {images}");
        return Err(field(&label_path, "count", label_count, expected));
    }
    let labels = body(&label_path, &mut reader, count, "label data")?;
    check_labels(&label_path, &labels)?;
    Ok(Raw { shape: Shape::map(1, SIDE, SIDE), pixels, labels })
}

/// Checks the magic number and reads the count.
fn header(path: &Path, reader: &mut dyn Read, magic: u32) -> Result<usize, DataError> {
    let got = word(path, reader, "magic")?;
    if got != magic {
        return Err(field(path, "magic", format!("{got:#010x}"), format!("{magic:#010x}")));
    }
    let count = word(path, reader, "count")? as usize;
    if count == 0 || count > MAX_COUNT {
        return Err(field(path, "count", count, format!("1 to {MAX_COUNT}")));
    }
    Ok(count)
}

fn word(path: &Path, reader: &mut dyn Read, name: &str) -> Result<u32, DataError> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes).map_err(|source| {
        let cut_off = source.kind() == ErrorKind::UnexpectedEof;
        if cut_off { field(path, name, "cut off", "4 bytes") } else { io(path, source) }
    })?;
    Ok(u32::from_be_bytes(bytes))
}

fn body(path: &Path, reader: &mut dyn Read, len: usize, name: &str) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    // One byte more than there should be, to notice what follows.
    let read = reader.take(len as u64 + 1).read_to_end(&mut bytes);
    match read {
        Err(source) if source.kind() != ErrorKind::UnexpectedEof => Err(io(path, source)),
        _ if bytes.len() > len => Err(field(path, name, format!("longer than {len} bytes"), format!("{len} bytes"))),
        _ if bytes.len() < len => Err(field(path, name, format!("{} bytes", bytes.len()), format!("{len} bytes"))),
        Ok(_) | Err(_) => Ok(bytes),
    }
}
