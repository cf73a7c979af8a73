//! The time that scripts see: the machine's, or that of a capture.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use boa_engine::context::time::{Clock as EngineClock, JsInstant};

/// A clock; its clones show the same time.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    /// The machine's; the instant is its start.
    Machine(Instant),
    /// Nanoseconds since the Unix epoch: of the packet that is looked at.
    Capture(Rc<Cell<i64>>),
}

impl Clock {
    /// The machine's clock.
    pub(crate) fn machine() -> Self {
        Self::Machine(Instant::now())
    }

    /// Whether it is a capture's.
    pub(crate) fn is_capture(&self) -> bool {
        matches!(self, Self::Capture(_))
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn now_millis(&self) -> i64 {
        match self {
            Self::Machine(_) => {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
            }
            Self::Capture(now) => now.get().div_euclid(1_000_000),
        }
    }

    /// Nanoseconds since some moment; never goes back.
    pub(crate) fn ticks(&self) -> u64 {
        match self {
            Self::Machine(start) => start.elapsed().as_nanos() as u64,
            Self::Capture(now) => now.get().max(0) as u64,
        }
    }

    /// Sets the clock of a capture; it never goes back.
    pub(crate) fn set(&self, nanos: i64) {
        if let Self::Capture(now) = self {
            now.set(now.get().max(nanos));
        }
    }
}

impl EngineClock for Clock {
    fn now(&self) -> JsInstant {
        let ticks = self.ticks();
        JsInstant::new(ticks / 1_000_000_000, (ticks % 1_000_000_000) as u32)
    }

    fn system_time_millis(&self) -> i64 {
        self.now_millis()
    }
}
