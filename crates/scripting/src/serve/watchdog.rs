//! Ends the process when a call uses more CPU time than it may: Boa cannot be interrupted inside its own functions.

use std::{io, sync::Arc, time::Duration};

use super::output::Queue;
use crate::engine::Pulse;

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
            let Some(cpu) = cpu_time(&stat) else { continue };
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

/// CPU time of a thread so far; see proc(5): fields 14 and 15, in ticks.
fn cpu_time(stat: &str) -> Option<Duration> {
    let text = std::fs::read_to_string(stat).ok()?;
    let fields = text.rsplit_once(')')?.1;
    let ticks =
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or_default());
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis(ticks.sum::<u64>() * 1000 / per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_grows_with_work_alone() {
        let stat = format!("/proc/self/task/{}/stat", rustix::thread::gettid().as_raw_nonzero());
        let before = cpu_time(&stat).unwrap();
        let mut sum = 0_u64;
        while cpu_time(&stat).unwrap() < before + Duration::from_millis(50) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
    }
}
