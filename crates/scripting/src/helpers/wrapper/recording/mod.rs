//! `wrapper.kflPcapS3` and `wrapper.kflPcapGcs`: streams that match queries, gathered, packed and uploaded.
//!
//! ```text
//! item matches query i ─▶ stream copied to open/<i>_<seconds>/        (a period of query i; its file goes on growing)
//! maxMinutes or maxL4Streams reached, looked at every second and after every item
//!        ─▶ merged, packed: ready/kfl_<i>_kubeshark_<seconds>.tar.gz
//!        ─▶ uploaded beside the script, again and again until it succeeds; then log, Slack, and the file goes
//! ```
//!
//! All of it lies in the data directory, under the script's title. What a script that was loaded anew, or a process that
//! was killed, left there is packed and uploaded by whoever comes next.
//!
//! Where the users' documents leave it open: a period begins with its first stream, so none is empty; a stream is in a
//! period once, however many of its items match; `maxL4Streams` is inclusive. A stream that goes on after its period may
//! begin in the next one too.

mod parameters;
mod period;
mod upload;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
    time::Duration,
};

use boa_engine::{JsError, JsResult, JsValue};

use crate::{helpers::Call, wire::LineKind};

use super::super::file::{blocking, copy_stream, directory, remove};
use parameters::Parameters;
use period::Period;
use upload::Uploads;

pub(super) use parameters::Target;

/// How often time is looked at.
const TICK: Duration = Duration::from_secs(1);

/// What a script records.
#[derive(Default)]
struct Recorders {
    all: BTreeMap<String, Recorder>,
    /// A tick is due.
    ticking: bool,
}

/// One set of queries and where it goes.
struct Recorder {
    /// Its directory: `kfl_pcap_s3/<title>/<digits>`.
    home: String,
    parameters: Parameters,
    /// The present period of each query, if it has begun.
    periods: BTreeMap<usize, Period>,
    /// Periods that are over and not yet packed.
    over: Vec<Period>,
    uploads: Uploads,
}

/// Records an item's stream, if one of the queries lets the item through.
pub(super) fn item(call: &mut Call<'_>, service: Target) -> JsResult<JsValue> {
    let parameters = Parameters::read(call, service)?;
    if !parameters.active {
        return Ok(JsValue::undefined());
    }
    let recorders = call.state::<Recorders>();
    let recorders = &mut *recorders.borrow_mut();
    let name = parameters.digits();
    let home = format!("{}/{}/{name}", service.directory(), title(call));
    if !recorders.all.contains_key(&home) {
        let opened = Recorder::open(call, home.clone(), parameters.clone(), &recorders.all)?;
        recorders.all.insert(home.clone(), opened);
    }
    let Some(recorder) = recorders.all.get_mut(&home) else { return Ok(JsValue::undefined()) };
    // Keys and channels may have changed.
    recorder.parameters = parameters;
    recorder.record(call)?;
    if !std::mem::replace(&mut recorders.ticking, true) {
        call.after(TICK, tick)?;
    }
    Ok(JsValue::undefined())
}

/// Looks at the time, and at what became of uploads.
fn tick(call: &mut Call<'_>) -> JsResult<JsValue> {
    let recorders: Rc<RefCell<Recorders>> = call.state();
    for recorder in recorders.borrow_mut().all.values_mut() {
        recorder.tick(call);
    }
    call.after(TICK, tick)?;
    Ok(JsValue::undefined())
}

impl Recorder {
    /// Begins, with what others left behind.
    fn open(
        call: &mut Call<'_>,
        home: String,
        parameters: Parameters,
        others: &BTreeMap<String, Self>,
    ) -> JsResult<Self> {
        directory(call, &format!("{home}/open"))?;
        directory(call, &format!("{home}/ready"))?;
        let of_title = home.rsplit_once('/').map_or(home.clone(), |(above, _)| above.to_owned());
        let inside = of_title.clone();
        let files = blocking(call, move |files| files.list(&inside))?;
        let in_use = |path: &str| others.keys().any(|other| path.starts_with(&format!("{other}/")));
        let paths: Vec<_> = files.into_iter().map(|(path, _)| format!("{of_title}/{path}")).collect();
        let mut recorder = Self {
            home,
            parameters,
            periods: BTreeMap::new(),
            over: Vec::new(),
            uploads: Uploads::new(call),
        };
        for path in paths.iter().filter(|path| !in_use(path)) {
            if let Some(folder) = path.strip_suffix(period::ABOUT) {
                let streams = paths.iter().filter_map(|other| other.strip_prefix(folder));
                let streams = streams.filter(|name| *name != period::ABOUT).map(str::to_owned).collect();
                let folder = folder.trim_end_matches('/').to_owned();
                recorder.over.extend(Period::found(call, folder, streams)?);
            } else if path.contains("/ready/") && path.ends_with(".tar.gz") {
                recorder.uploads.found(call, path);
            } else if path.strip_suffix(".part").is_some() {
                // Its directory is still there and is packed again.
                remove(call, path)?;
            }
        }
        Ok(recorder)
    }

    fn record(&mut self, call: &mut Call<'_>) -> JsResult<()> {
        let record = call.record(0)?;
        let Some(stream) = record["stream"].as_str().map(str::to_owned) else {
            return Err(call.misses(0, "an item of onItemCaptured"));
        };
        let now = call.now_millis();
        for index in 0..self.parameters.queries.len() {
            let query = self.parameters.queries[index].clone();
            let matched = call.scope().shared.matcher.borrow_mut().matches(Some(&query), &*record, now);
            let matched = matched.map_err(|error| call.error(format_args!("kflArr[{index}]: {error}")))?;
            if !matched || self.periods.get(&index).is_some_and(|period| period.streams.contains(&stream)) {
                continue;
            }
            if let Err(error) = self.add(call, index, &query, &stream) {
                let why = why(&error);
                call.print(LineKind::Error, &format!("{stream} is not recorded: {why}"));
            }
            self.close_if_due(call, index);
        }
        Ok(())
    }

    fn add(&mut self, call: &mut Call<'_>, index: usize, query: &str, stream: &str) -> JsResult<()> {
        if !self.periods.contains_key(&index) {
            let begun = Period::begin(call, &self.home, index, query)?;
            self.periods.insert(index, begun);
        }
        let Some(period) = self.periods.get_mut(&index) else { return Ok(()) };
        copy_stream(call, stream, &format!("{}/{stream}", period.folder))?;
        period.streams.insert(stream.to_owned());
        if self.parameters.verbose {
            let n = period.streams.len();
            call.print(LineKind::Log, &format!("{stream} matches {query:?}: stream {n} of its recording"));
        }
        Ok(())
    }

    fn close_if_due(&mut self, call: &Call<'_>, index: usize) {
        let Parameters { max_minutes, max_streams, .. } = self.parameters;
        let due = self.periods.get(&index).is_some_and(|period| {
            let minutes = (call.now_millis() - period.begun) as f64 / 60_000.0;
            let any = !period.streams.is_empty();
            any && (minutes >= max_minutes || period.streams.len() as u64 >= max_streams)
        });
        if due {
            self.over.extend(self.periods.remove(&index));
        }
    }

    fn tick(&mut self, call: &mut Call<'_>) {
        for index in 0..self.parameters.queries.len() {
            self.close_if_due(call, index);
        }
        let now = call.now_millis();
        for mut period in std::mem::take(&mut self.over) {
            if period.not_before > now {
                self.over.push(period);
                continue;
            }
            match period.pack(call, &self.home) {
                Ok(packed) => self.uploads.add(packed),
                Err(error) => {
                    let why = why(&error);
                    let said =
                        format!("{} can't be packed and is tried again in a minute: {why}", period.folder);
                    call.print(LineKind::Error, &said);
                    period.not_before = now + 60_000;
                    self.over.push(period);
                }
            }
        }
        self.uploads.tick(call, &self.parameters, &self.home);
    }
}

/// What an exception says, without where it was thrown.
fn why(error: &JsError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// The script's title as a name of a directory.
fn title(call: &Call<'_>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let title: String = call.title().trim().chars().map(plain).take(80).collect();
    if title.is_empty() { "script".to_owned() } else { title }
}

/// Digits that stand for a value.
fn digits(value: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    format!("{:08x}", hasher.finish() as u32)
}
