//! The client's side of the layout: image to slots, slots to logits.

use striae_cost_model::{HeProgram, packing::Layout};

use super::{CircuitError, weights::copies};

/// Slot vectors of an image, one for each input ciphertext. `image` holds normalised pixels, channel by channel.
pub fn pack(program: &HeProgram, image: &[f32]) -> Result<Vec<Vec<f64>>, CircuitError> {
    let layout = &program.values[0].layout;
    if image.len() != layout.len() {
        return Err(CircuitError::Image { got: image.len(), expected: layout.len() });
    }
    let mut slots = vec![vec![0.0; program.slots]; layout.ciphertexts()];
    match layout {
        Layout::Map(map) => {
            let blocks = if map.replicated { map.grid.blocks() } else { 1 };
            let pixels = map.height * map.width;
            for (i, &value) in image.iter().enumerate() {
                let (channel, y, x) = (i / pixels, i % pixels / map.width, i % map.width);
                for block in 0..blocks {
                    let (ciphertext, offset) = map.channel_offset(channel, block);
                    slots[ciphertext][offset + map.pixel_offset(y, x)] = f64::from(value);
                }
            }
        }
        Layout::Vector(_) => copies(layout, program.slots, |i, slot| slots[0][slot] = f64::from(image[i])),
    }
    Ok(slots)
}

/// The network's result from the decrypted slots of the program's last value.
pub fn unpack(program: &HeProgram, slots: &[Vec<f64>]) -> Vec<f64> {
    let layout = &program.result().layout;
    let element = |i| {
        let (ciphertext, slot) = layout.slot(i);
        slots[ciphertext][slot]
    };
    (0..layout.len()).map(element).collect()
}
