//! A network that loses, reorders and doubles, the same for the same seed.

use crate::{
    pcap::{Capture, Frame},
    traffic::Random,
};

/// What was done.
#[derive(Debug)]
pub struct Changes {
    /// The frames that were lost.
    pub lost: Capture,
    /// Frames that come later.
    pub moved: u64,
    /// Frames that come twice.
    pub doubled: u64,
}

/// Loses 1 % of the frames, lets 5 % come one to three frames late, doubles 1 %.
pub fn impair(capture: &Capture, seed: u64) -> (Capture, Changes) {
    let random = &mut Random::new(seed);
    let lost = Capture { link_type: capture.link_type, frames: Vec::new() };
    let mut changes = Changes { lost, moved: 0, doubled: 0 };
    // Each frame with the place in the order that it now has, in quarters of frames.
    let mut frames: Vec<(usize, Frame)> = Vec::new();
    for (place, frame) in capture.frames.iter().enumerate() {
        let (place, dice) = (place * 4, random.below(100));
        let (place, copies) = match dice {
            0 => {
                changes.lost.frames.push(frame.clone());
                continue;
            }
            1..=5 => {
                changes.moved += 1;
                (place + 2 + 4 * (1 + random.below(3) as usize), 1)
            }
            6 => {
                changes.doubled += 1;
                (place, 2)
            }
            _ => (place, 1),
        };
        frames.extend((0..copies).map(|copy| (place + copy, frame.clone())));
    }
    frames.sort_by_key(|(place, _)| *place);
    let frames = frames.into_iter().map(|(_, frame)| frame).collect();
    (Capture { link_type: capture.link_type, frames }, changes)
}
