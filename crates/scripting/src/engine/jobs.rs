//! `jobs.*`: what scripts do on a schedule.

use std::{collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds},
};
use tokio_cron_scheduler::{Job as Scheduled, JobScheduler};

use super::{Inbox, Scope, Task, clock::Clock, inbox::Input};

/// Jobs of all scripts, by number.
#[derive(Default)]
pub(crate) struct Jobs {
    rows: BTreeMap<u64, Job>,
    last: u64,
    is_stopped: bool,
    live: Option<JobScheduler>,
}

pub(crate) struct Job {
    pub(crate) instance: u64,
    script: u32,
    pub(crate) tag: String,
    pub(crate) cron: String,
    pub(crate) limit: u64,
    pub(crate) task: Task,
    runs: u64,
    failed: u64,
    state: State,
    last_run: Option<i64>,
    next_run: Option<i64>,
    schedule: Schedule,
    cancel: Option<Cancel>,
}

/// Takes a job from the scheduler.
type Cancel = Box<dyn FnOnce(&tokio::runtime::Handle)>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Queued,
    Running,
}

enum Schedule {
    Cron(Box<Cron>),
    Every(Duration),
}

impl Schedule {
    /// Six fields, seconds first; five, without seconds; `@hourly` and the like; `@every 90s`.
    fn parse(text: &str) -> Result<(Self, String), String> {
        let text = text.trim();
        if let Some(every) = text.strip_prefix("@every ") {
            let every = duration(every).ok_or_else(|| {
                format!("'{text}' is no interval: write '@every 30s', '@every 5m' or '@every 1h'")
            })?;
            return Ok((Self::Every(every), text.to_owned()));
        }
        let six = if text.split_whitespace().count() == 5 { format!("0 {text}") } else { text.to_owned() };
        let cron = CronParser::builder().seconds(Seconds::Optional).build().parse(&six).map_err(|error| {
            format!("'{text}' is no cron schedule ({error}): write six fields, seconds first, as in '0 */5 * * * *'")
        })?;
        Ok((Self::Cron(Box::new(cron)), six))
    }

    /// When it is due next, in milliseconds since the Unix epoch.
    fn after(&self, millis: i64) -> Option<i64> {
        match self {
            Self::Every(every) => millis.checked_add(every.as_millis() as i64),
            Self::Cron(cron) => {
                let now = DateTime::<Utc>::from_timestamp_millis(millis)?;
                cron.find_next_occurrence(&now, false).ok().map(|next| next.timestamp_millis())
            }
        }
    }
}

/// `1h30m`, `90s`, `1.5h`: at least a second.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit =
            rest[digits..].find(|char: char| char.is_ascii_digit()).map_or(rest.len(), |at| at + digits);
        seconds += number
            * match &rest[digits..unit] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    (1.0..=3.2e9).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

impl Jobs {
    /// Adds a job; one of the same script with the same tag is replaced. Returns the line for the console.
    pub(crate) fn schedule(
        &mut self,
        scope: &Rc<Scope>,
        tag: &str,
        cron: &str,
        limit: u64,
        task: Task,
    ) -> Result<String, String> {
        let shared = &scope.shared;
        let (schedule, text) = Schedule::parse(cron)?;
        self.forget_where(&shared.runtime, |job| job.instance == scope.instance && job.tag == tag);
        let most = shared.options.jobs;
        if self.rows.values().filter(|job| job.instance == scope.instance).count() >= most {
            return Err(format!("more than {most} jobs"));
        }
        self.last += 1;
        let number = self.last;
        let cancel = match shared.clock {
            Clock::Machine(_) => Some(self.start(scope, &schedule, &text, number)?),
            Clock::Capture(_) => None,
        };
        let next_run = schedule.after(shared.clock.now_millis());
        let job = Job {
            instance: scope.instance,
            script: scope.index,
            tag: tag.to_owned(),
            cron: cron.to_owned(),
            limit,
            task,
            runs: 0,
            failed: 0,
            state: State::Waiting,
            last_run: None,
            next_run,
            schedule,
            cancel,
        };
        self.rows.insert(number, job);
        let limit = if limit == 0 { "infinite".to_owned() } else { limit.to_string() };
        Ok(format!("Scheduled job \"{tag}\" ({cron}), limit: {limit}"))
    }

    /// Hands it to the scheduler, which tells the inbox whenever it is due.
    fn start(
        &mut self,
        scope: &Scope,
        schedule: &Schedule,
        text: &str,
        number: u64,
    ) -> Result<Cancel, String> {
        let shared = &scope.shared;
        let inbox: Arc<Inbox> = Arc::clone(&shared.inbox);
        let due = move |_, _| -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            let inbox = Arc::clone(&inbox);
            Box::pin(async move { inbox.push(Input::Due(number)) })
        };
        let live = self.live.clone();
        let started = shared.runtime.block_on(async {
            let live = if let Some(live) = live {
                live
            } else {
                let live = JobScheduler::new().await?;
                live.start().await?;
                live
            };
            let job = match schedule {
                Schedule::Cron(_) => Scheduled::new_async(text, due)?,
                Schedule::Every(every) => Scheduled::new_repeated_async(*every, due)?,
            };
            let id = live.add(job).await?;
            Ok::<_, tokio_cron_scheduler::JobSchedulerError>((live, id))
        });
        let (live, id) = started.map_err(|error| format!("the scheduler refused '{text}': {error}"))?;
        self.live = Some(live.clone());
        Ok(Box::new(move |runtime| {
            // A job that is due once more meanwhile finds no row here, and nothing happens.
            runtime.spawn(async move { drop(live.remove(&id).await) });
        }))
    }

    /// Removes the jobs with this tag, or all; says whether there were any.
    pub(crate) fn remove(&mut self, runtime: &tokio::runtime::Handle, tag: Option<&str>) -> bool {
        self.forget_where(runtime, |job| tag.is_none_or(|tag| job.tag == tag))
    }

    /// Removes the jobs of a script that is loaded anew or unloaded.
    pub(crate) fn forget(&mut self, runtime: &tokio::runtime::Handle, instance: u64) {
        self.forget_where(runtime, |job| job.instance == instance);
    }

    fn forget_where(&mut self, runtime: &tokio::runtime::Handle, which: impl Fn(&Job) -> bool) -> bool {
        let gone: Vec<_> = self.rows.extract_if(.., |_, job| which(job)).collect();
        let any = !gone.is_empty();
        for (_, job) in gone {
            if let Some(cancel) = job.cancel {
                cancel(runtime);
            }
        }
        any
    }

    /// Numbers and scripts' instances of the jobs with this tag, or of all.
    pub(crate) fn find(&self, tag: Option<&str>) -> Vec<(u64, u64)> {
        let found = self.rows.iter().filter(|(_, job)| tag.is_none_or(|tag| job.tag == tag));
        found.map(|(number, job)| (*number, job.instance)).collect()
    }

    /// A job that is due is to run, unless it is at it, or has run as often as it may, or the scheduler is stopped:
    /// the script's instance.
    pub(crate) fn due(&mut self, number: u64, now: i64) -> Option<u64> {
        let is_stopped = self.is_stopped;
        let job = self.rows.get_mut(&number)?;
        job.next_run = job.schedule.after(now);
        (!is_stopped).then(|| job.queue()).flatten()
    }

    /// A job is to run now, whatever its schedule says.
    pub(crate) fn run_now(&mut self, number: u64) -> Option<u64> {
        self.rows.get_mut(&number)?.queue()
    }

    /// A run begins.
    pub(crate) fn begin(&mut self, number: u64, now: i64) -> Option<&Job> {
        let job = self.rows.get_mut(&number)?;
        (job.runs, job.last_run, job.state) = (job.runs + 1, Some(now), State::Running);
        Some(job)
    }

    /// A run ends.
    pub(crate) fn end(&mut self, number: u64, passed: bool) {
        if let Some(job) = self.rows.get_mut(&number) {
            job.state = State::Waiting;
            job.failed += u64::from(!passed);
        }
    }

    /// In a rehearsal: the next moment at which a job is due, in milliseconds, and its number.
    pub(crate) fn next(&self) -> Option<(i64, u64)> {
        let due = self.rows.iter().filter(|(_, job)| !job.is_done() && !self.is_stopped);
        due.filter_map(|(number, job)| Some((job.next_run?, *number))).min()
    }

    /// Stops or starts the schedule.
    pub(crate) fn stop(&mut self, stop: bool) {
        self.is_stopped = stop;
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// All jobs, in the order in which they were made.
    pub(crate) fn list(&self) -> Vec<api::messages::Job> {
        let status = |job: &Job| match job.state {
            State::Running => "running",
            _ if job.is_done() => "done",
            _ if self.is_stopped => "stopped",
            _ => "waiting",
        };
        let rows = self.rows.values().map(|job| api::messages::Job {
            script: job.script,
            tag: job.tag.clone(),
            cron: job.cron.clone(),
            limit: job.limit,
            runs: job.runs,
            failed: job.failed,
            status: status(job).to_owned(),
            last_run: job.last_run,
            next_run: job.next_run.filter(|_| !job.is_done() && !self.is_stopped),
        });
        rows.collect()
    }
}

impl Job {
    fn is_done(&self) -> bool {
        self.limit > 0 && self.runs >= self.limit
    }

    fn queue(&mut self) -> Option<u64> {
        if self.state != State::Waiting || self.is_done() {
            return None;
        }
        self.state = State::Queued;
        Some(self.instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-03-23T10:00:30Z.
    const NOW: i64 = 1_679_565_630_000;

    #[test]
    fn schedules_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("0 */1 * * * *", 30),
            ("*/5 * * * * *", 5),
            ("*/5 * * * *", 270),
            ("@hourly", 3570),
            ("@every 90s", 90),
            ("@every 1h30m", 5400),
            ("0 0 11 * * *", 3570),
        ] {
            let (schedule, _) = Schedule::parse(text).unwrap();
            assert_eq!(schedule.after(NOW), Some(NOW + seconds * 1000), "{text}");
        }
        for bad in ["", "* *", "61 * * * * *", "@every", "@every 5", "@every -5s", "@every 0s", "nonsense"] {
            assert!(Schedule::parse(bad).is_err(), "{bad}");
        }
    }
}
