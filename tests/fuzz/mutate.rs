//! Inputs made of others.

use support::traffic::Random;

/// The longest input.
const LONGEST: usize = 1 << 16;

/// A mutation of one of the inputs, in one to four steps.
pub(crate) fn one(inputs: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = inputs[below(random, inputs.len())].clone();
    for _ in 0..=below(random, 4) {
        step(&mut bytes, inputs, random);
    }
    bytes.truncate(LONGEST);
    bytes
}

/// A number below `end`; 0 where `end` is.
pub(crate) fn below(random: &mut Random, end: usize) -> usize {
    if end == 0 { 0 } else { random.below(end as u64) as usize }
}

fn step(bytes: &mut Vec<u8>, inputs: &[Vec<u8>], random: &mut Random) {
    const SPECIAL: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, 0xc0, b'\r', b'\n', b' ', b':', b'0', b'9'];
    let at = below(random, bytes.len());
    let len = below(random, (bytes.len() - at).min(64)).max(usize::from(!bytes.is_empty()));
    let end = (at + len).min(bytes.len());
    match random.below(9) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => bytes[at] = SPECIAL[below(random, SPECIAL.len())],
        2 => bytes.insert(at, SPECIAL[below(random, SPECIAL.len())]),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let part = bytes[at..end].to_vec();
            let to = below(random, bytes.len());
            bytes.splice(to..to, part);
        }
        5 => bytes.truncate(at),
        6 => {
            let other = &inputs[below(random, inputs.len())];
            let from = below(random, other.len());
            let part = other[from..(from + 1 + below(random, 200)).min(other.len())].to_vec();
            bytes.splice(at..at, part);
        }
        7 => bytes[at..end].iter_mut().for_each(|byte| *byte = random.bits() as u8),
        _ => bytes[at..end].reverse(),
    }
}
