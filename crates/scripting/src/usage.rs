//! What a process or one of its threads uses, as Linux tells it.

use std::time::Duration;

/// Memory and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// CPU time so far, in user and kernel.
    pub(crate) cpu: Duration,
    /// Bytes of memory of the whole process.
    pub(crate) rss_bytes: u64,
}

impl Usage {
    /// That of the process with this id; `None` if there is none.
    pub(crate) fn of_process(id: u32) -> Option<Self> {
        Self::read(&format!("/proc/{id}/stat"))
    }

    /// From a file `stat`; see proc(5): fields 14 and 15 are clock ticks, 24 is pages.
    pub(crate) fn read(stat: &str) -> Option<Self> {
        let text = std::fs::read_to_string(stat).ok()?;
        // The second field is a name in brackets, which may hold anything.
        let (_, fields) = text.rsplit_once(')')?;
        let mut fields =
            fields.split_whitespace().skip(11).map(|field| field.parse::<u64>().unwrap_or_default());
        let ticks = fields.next()? + fields.next()?;
        let pages = fields.nth(8)?;
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        let cpu = Duration::from_millis(ticks * 1000 / per_second);
        Some(Self { cpu, rss_bytes: pages * rustix::param::page_size() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_seen() {
        let stat = format!("/proc/self/task/{}/stat", rustix::thread::gettid().as_raw_nonzero());
        let cpu = || Usage::read(&stat).unwrap().cpu;
        let until = cpu() + Duration::from_millis(50);
        let mut sum = 0_u64;
        while cpu() < until {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
        let rss = || Usage::of_process(std::process::id()).unwrap().rss_bytes;
        let before = rss();
        let more = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(
            (48 << 20..96 << 20).contains(&(rss() - before)),
            "{} bytes for {}",
            rss() - before,
            more.len()
        );
        assert_eq!(Usage::of_process(u32::MAX), None);
    }
}
