//! The thread that owns the segments: it takes batches and questions from the queue, in order.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use flow::Ordinal;
use tracing::{info, warn};

use crate::batch::{Frames, KeptFrame, StreamKey};

use super::{
    Held,
    counters::{Tally, count},
    pins::{Order, Pinned},
    queue::{Job, Queue},
    record::Header,
    segments::{Location, Part, Refused, Segments},
};

/// Frames without a stream that may turn out to be the first part of a datagram.
const LOOSE: usize = 4096;
/// Streams of which it is remembered that they ended.
const ENDED: usize = 65_536;
/// How often age is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// What the thread works with.
pub(super) struct Writer {
    pub(super) segments: Segments,
    pub(super) pinned: Arc<Pinned>,
    /// Told to those who may not wait.
    pub(super) held: Held,
    queue: Arc<Queue>,
    tally: Arc<Tally>,
    loose: VecDeque<(u32, Ordinal, Location)>,
    ended: Ended,
    /// The disk refuses, and it was told.
    refused: bool,
}

/// Streams that ended of late.
#[derive(Default)]
struct Ended {
    known: HashSet<StreamKey>,
    order: VecDeque<StreamKey>,
}

impl Writer {
    pub(super) fn new(segments: Segments, pinned: Arc<Pinned>, queue: Arc<Queue>, tally: Arc<Tally>) -> Self {
        Self {
            segments,
            pinned,
            held: Held::default(),
            queue,
            tally,
            loose: VecDeque::new(),
            ended: Ended::default(),
            refused: false,
        }
    }

    /// Works until the queue is closed and empty. Then the segments go: the numbers of their streams mean nothing to
    /// the next run, unless this one crashed.
    pub(super) fn run(mut self) {
        let mut looked = Instant::now();
        while let Ok(job) = self.queue.pop(PERIOD) {
            match job {
                Some(Job::Frames { source, frames }) => {
                    self.frames(source, &frames);
                    self.queue.done(frames);
                }
                Some(Job::Question(answer)) => answer(&mut self),
                None => {}
            }
            if looked.elapsed() >= PERIOD {
                looked = Instant::now();
                self.segments.expire(&self.tally);
            }
            let (bytes, packets) = self.segments.held();
            self.held[0].store(bytes, Relaxed);
            self.held[1].store(packets, Relaxed);
        }
        self.segments.clear();
    }

    /// Whether nothing more can come of a stream.
    pub(super) fn has_ended(&self, stream: StreamKey) -> bool {
        self.ended.known.contains(&stream)
    }

    fn frames(&mut self, source: u32, frames: &Frames) {
        let mut of_streams: Vec<(StreamKey, Location)> = Vec::new();
        let follow = self.pinned.any();
        let mut lost = false;
        for frame in &frames.kept {
            let stream = frame.owner();
            if stream == StreamKey::COPY {
                count(&self.tally.copies, 1);
                continue;
            }
            let Some(bytes) = frames.arena.get(frame.bytes.clone()) else { continue };
            let header = Header {
                stream,
                at: frame.at.0,
                captured: bytes.len() as u32,
                wire: frame.wire_len,
                interface: frame.interface,
                link_type: frame.link_type,
            };
            match self.segments.put(&header, bytes, &self.tally) {
                Ok(location) if stream == StreamKey::NONE => {
                    self.loose.push_back((source, frame.ordinal, location));
                    if self.loose.len() > LOOSE {
                        self.loose.pop_front();
                    }
                }
                Ok(location) if follow => of_streams.push((stream, location)),
                Ok(_) => {}
                Err(refused) => {
                    lost = true;
                    self.refuse(&refused);
                }
            }
        }
        match self.segments.flush(&self.tally) {
            Ok(()) if self.refused && !frames.kept.is_empty() => {
                self.refused = false;
                info!("The disk takes packets again");
            }
            Ok(()) => {}
            Err(refused) => {
                lost = true;
                self.refuse(&refused);
            }
        }
        if lost {
            // Others will be written where these were not.
            let segments = &mut self.segments;
            self.loose.retain(|(.., location)| segments.is_written(*location));
        }
        self.join(source, frames, &mut of_streams);
        if follow {
            self.append(of_streams);
        }
        for &stream in &frames.ended {
            self.ended.note(stream);
        }
        self.pinned.send_ended(&frames.ended);
    }

    /// Gives the earlier parts of datagrams the streams that their last parts told.
    fn join(&mut self, source: u32, frames: &Frames, of_streams: &mut Vec<(StreamKey, Location)>) {
        for (frame, part) in &frames.parts {
            let stream = frames.kept.get(*frame as usize).map_or(StreamKey::NONE, KeptFrame::owner);
            if stream == StreamKey::NONE || stream == StreamKey::COPY {
                continue;
            }
            let is_it = |loose: &&(u32, Ordinal, Location)| (loose.0, loose.1) == (source, *part);
            let Some(&(.., location)) = self.loose.iter().rev().find(is_it) else { continue };
            if let Err(error) = self.segments.assign(location, stream) {
                warn!(%error, "The stream of a fragment can't be written");
            }
            of_streams.push((stream, location));
        }
    }

    /// Hands on what belongs to streams that were copied.
    fn append(&mut self, of_streams: Vec<(StreamKey, Location)>) {
        let mut wanted: BTreeMap<StreamKey, Vec<Location>> = BTreeMap::new();
        self.pinned.each_of(of_streams, |stream, location| wanted.entry(stream).or_default().push(location));
        if wanted.is_empty() {
            return;
        }
        let orders = wanted.into_iter().map(|(stream, locations)| (stream, self.parts(locations)));
        let orders = orders.collect();
        self.pinned.send(Order::Append(orders), &self.tally);
    }

    /// Those that were really written, in order.
    fn parts(&mut self, mut locations: Vec<Location>) -> Vec<Part> {
        locations.sort_unstable();
        let mut parts: Vec<Part> = Vec::new();
        for location in locations {
            let Location { segment, offset } = location;
            if !self.segments.is_written(location) {
                continue;
            }
            let Some(held) = self.segments.segment(segment) else { continue };
            match parts.last_mut() {
                Some((last, offsets)) if last.number() == segment => offsets.push(offset),
                _ => parts.push((held, vec![offset])),
            }
        }
        parts
    }

    fn refuse(&mut self, refused: &Refused) {
        count(&self.tally.refused_disk, refused.packets);
        if !std::mem::replace(&mut self.refused, true) {
            warn!(
                error = %refused.cause,
                "Packets can't be written to disk and are not kept; entries are not touched by that. \
                 Make room, or name another --data-dir"
            );
        }
    }
}

impl Ended {
    fn note(&mut self, stream: StreamKey) {
        if self.known.insert(stream) {
            self.order.push_back(stream);
        }
        while self.order.len() > ENDED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}
