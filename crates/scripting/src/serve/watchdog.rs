//! Ends the process when a call uses more CPU time than it may: Boa cannot be interrupted inside its own functions.

use std::{io, sync::Arc, time::Duration};

use super::output::Queue;
use crate::{engine::Pulse, usage::Usage};

/// The process's exit code then.
pub(crate) const OVERRAN: i32 = 86;

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(20);

/// Watches the calling thread from another.
pub(super) fn watch(pulse: Arc<Pulse>, budget: Duration, queue: Arc<Queue>) -> io::Result<()> {
    let thread = rustix::thread::gettid().as_raw_nonzero();
    let stat = format!("/proc/self/task/{thread}/stat");
    let watch = move || {
        let mut seen = (0, Duration::ZERO);
        loop {
            std::thread::sleep(PERIOD);
            let call = pulse.call();
            if call == 0 {
                seen.0 = 0;
                continue;
            }
            let Some(Usage { cpu, .. }) = Usage::read(&stat) else { continue };
            if call != seen.0 {
                seen = (call, cpu);
            } else if cpu.saturating_sub(seen.1) > budget {
                queue.drain(Duration::from_millis(200));
                end();
            }
        }
    };
    std::thread::Builder::new().name("script-watch".to_owned()).spawn(watch).map(drop)
}

#[expect(clippy::exit, reason = "the thread that runs JavaScript can be ended in no other way")]
fn end() -> ! {
    std::process::exit(OVERRAN)
}
