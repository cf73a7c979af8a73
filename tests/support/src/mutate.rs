//! Inputs made of others: bytes by themselves, and captures whose packets suffered.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    captures, corpus,
    pcap::{Capture, Endian},
    traffic::Random,
};

/// The longest input.
const LONGEST: usize = 1 << 16;

/// A mutation of one of the inputs, in one to four steps, of at most 64 KiB.
pub fn one(inputs: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = many(inputs, random);
    bytes.truncate(LONGEST);
    bytes
}

fn many(inputs: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = inputs[below(random, inputs.len())].clone();
    for _ in 0..=below(random, 4) {
        step(&mut bytes, inputs, random);
    }
    bytes
}

/// A number below `end`; 0 where `end` is.
fn below(random: &mut Random, end: usize) -> usize {
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

/// What can happen to a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// To the bytes of its file, whatever they mean.
    File,
    /// A bit of one packet in ten is flipped.
    Flipped,
    /// One packet in ten is cut.
    Cut,
    /// One packet in ten is dropped.
    Dropped,
    /// One packet in ten is doubled.
    Doubled,
    /// One packet in ten comes at another place.
    Reordered,
}

/// All of them.
const DAMAGES: [Damage; 6] =
    [Damage::File, Damage::Flipped, Damage::Cut, Damage::Dropped, Damage::Doubled, Damage::Reordered];

/// Visits captures, damaged: ours in every way, those of the corpus in one way for each seed below `KUBESHARK_SEEDS` (1),
/// the next seed in the next way. `visit` is told whose they are and in which way, and gets the file. Returns how many
/// there were.
///
/// # Panics
///
/// If `visit` does.
pub fn captures(test: &str, visit: &(dyn Fn(&str, &[u8]) + Sync)) -> usize {
    let seeds = crate::number("KUBESHARK_SEEDS", 1) as usize;
    let ours: Vec<PathBuf> = captures::all().iter().map(|case| case.input().expect("a capture")).collect();
    let others = corpus::folder(test).map(|folder| corpus::all(&folder)).unwrap_or_default();
    let mut work = Vec::new();
    for seed in 0..seeds {
        work.extend(ours.iter().flat_map(|file| DAMAGES.map(|damage| (file, damage, seed))));
        let way = |place: usize| DAMAGES[(place + seed) % DAMAGES.len()];
        work.extend(others.iter().enumerate().map(|(place, file)| (file, way(place), seed)));
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        while let Some(&(file, damage, seed)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            let name = format!("{}, {damage:?}, seed {seed}", file.display());
            let random = &mut Random::new(
                name.bytes().fold(seed as u64, |sum, byte| sum.wrapping_mul(31) ^ u64::from(byte)),
            );
            visit(&name, &damaged(&std::fs::read(file).expect("a readable capture"), damage, random));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    work.len()
}

/// The file of a capture, damaged. A file that the tests can't read as packets is damaged byte by byte.
fn damaged(file: &[u8], damage: Damage, random: &mut Random) -> Vec<u8> {
    match Capture::try_read(file) {
        Some(capture) if damage != Damage::File => {
            packets(&capture, damage, random).pcap(Endian::Little, true)
        }
        _ => many(std::slice::from_ref(&file.to_vec()), random),
    }
}

fn packets(capture: &Capture, damage: Damage, random: &mut Random) -> Capture {
    let mut frames = Vec::new();
    for frame in &capture.frames {
        let mut frame = frame.clone();
        if random.below(10) > 0 {
            frames.push(frame);
            continue;
        }
        let (at, to) = (below(random, frame.bytes.len()), below(random, frames.len()));
        match damage {
            Damage::Flipped if !frame.bytes.is_empty() => frame.bytes[at] ^= 1 << random.below(8),
            Damage::Cut => {
                // As a capture that keeps the first bytes only, or as a packet that was short.
                frame.cut += if random.below(2) == 0 { (frame.bytes.len() - at) as u32 } else { 0 };
                frame.bytes.truncate(at);
            }
            Damage::Dropped => continue,
            Damage::Doubled => frames.push(frame.clone()),
            Damage::Reordered => {
                frames.insert(to, frame);
                continue;
            }
            Damage::File | Damage::Flipped => {}
        }
        frames.push(frame);
    }
    Capture { link_type: capture.link_type, frames }
}
