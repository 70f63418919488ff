//! The client's side of the layout: images to slots, slots to logits.

use striae_cost_model::{HeProgram, packing::Layout};

use super::{CircuitError, weights::copies};

/// Slot vectors of an image, one for each input ciphertext. `image` holds normalised pixels, channel by channel. Of a program
/// for a batch it is the first; the others are zero.
pub fn pack(program: &HeProgram, image: &[f32]) -> Result<Vec<Vec<f64>>, CircuitError> {
    pack_batch(program, &[image])
}

/// Slot vectors of at most as many images as the program takes; the others are zero.
pub fn pack_batch(program: &HeProgram, images: &[&[f32]]) -> Result<Vec<Vec<f64>>, CircuitError> {
    let layout = &program.values[0].layout;
    if images.len() > program.batch() {
        return Err(CircuitError::Batch { got: images.len(), expected: program.batch() });
    }
    let mut slots = vec![vec![0.0; program.slots]; layout.ciphertexts()];
    for (i, image) in images.iter().enumerate() {
        if image.len() != layout.len() {
            return Err(CircuitError::Image { got: image.len(), expected: layout.len() });
        }
        let place = Place::of(program, layout, i);
        let mut put = |ciphertext: usize, slot: usize, value: f32| {
            slots[place.ciphertext + ciphertext][place.slot(slot)] = f64::from(value);
        };
        match layout {
            Layout::Map(map) => {
                let blocks = if map.replicated { map.grid.blocks() } else { 1 };
                let pixels = map.height * map.width;
                for (i, &value) in image.iter().enumerate() {
                    let (channel, y, x) = (i / pixels, i % pixels / map.width, i % map.width);
                    for block in 0..blocks {
                        let (ciphertext, offset) = map.plane_offset(map.plane(channel, (y, x)), block);
                        put(ciphertext, offset + map.pixel_offset(y, x), value);
                    }
                }
            }
            Layout::Vector(_) => copies(layout, program.image_slots(), |i, slot| put(0, slot, image[i])),
        }
    }
    Ok(slots)
}

/// The network's result for the first image from the decrypted slots of the program's last value.
pub fn unpack(program: &HeProgram, slots: &[Vec<f64>]) -> Vec<f64> {
    unpack_image(program, slots, 0)
}

/// The results for all images of a batch.
pub fn unpack_batch(program: &HeProgram, slots: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..program.batch()).map(|image| unpack_image(program, slots, image)).collect()
}

fn unpack_image(program: &HeProgram, slots: &[Vec<f64>], image: usize) -> Vec<f64> {
    let layout = &program.result().layout;
    let place = Place::of(program, layout, image);
    let element = |i| {
        let (ciphertext, slot) = layout.slot(i);
        slots[place.ciphertext + ciphertext][place.slot(slot)]
    };
    (0..layout.len()).map(element).collect()
}

/// Where an image of a batch stands.
pub(super) struct Place {
    /// First ciphertext of its group.
    ciphertext: usize,
    /// Slots from the group's first image.
    offset: usize,
    interleaved: usize,
    /// Which of the interleaved images.
    lane: usize,
}

impl Place {
    fn of(program: &HeProgram, layout: &Layout, image: usize) -> Self {
        let (interleaved, images) = (program.interleaved, layout.image_offsets());
        let (lane, rest) = (image % interleaved, image / interleaved);
        let ciphertext = rest / images.len() * layout.group_ciphertexts();
        Self { ciphertext, offset: images[rest % images.len()], interleaved, lane }
    }

    /// Slot of the ciphertext for a slot of the image.
    pub(super) fn slot(&self, slot: usize) -> usize {
        (slot + self.offset) * self.interleaved + self.lane
    }

    /// The places of all images of one group.
    pub(super) fn of_group<'p>(program: &'p HeProgram, layout: &'p Layout) -> impl Iterator<Item = Self> + 'p {
        (0..program.interleaved * layout.group_images()).map(|image| Self::of(program, layout, image))
    }
}
