//! The script host as a process: it is this program, started again with `script-host`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test with a main of its own"
)]

use std::{
    process::ExitCode,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use scripting::{
    About, Answer, Feeder, Hook, Host, Launch, Options, Request, ScriptState, Stats,
    wire::{JobRequest, Line, PacketInfo},
};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let first = args.next();
    if first.as_deref() == Some("script-host") {
        let outlets = outlets::Outlets::new(outlets::Config::default()).unwrap();
        return match scripting::serve(outlets) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let filter = first.filter(|first| !first.starts_with('-')).unwrap_or_default();
    for (name, case) in CASES {
        if name.contains(&filter) {
            case();
            println!("{name} … ok");
        }
    }
    ExitCode::SUCCESS
}

const CASES: [(&str, fn()); 5] = [
    ("hooks_are_fed_and_counted", hooks_are_fed_and_counted),
    ("one_that_waits_holds_up_no_other", one_that_waits_holds_up_no_other),
    ("queries_come_back_in_time_or_as_they_were", queries_come_back_in_time_or_as_they_were),
    ("live_jobs_run_and_can_be_asked", live_jobs_run_and_can_be_asked),
    ("hostile_scripts_are_ended_and_named", hostile_scripts_are_ended_and_named),
];

/// Answers when the test lets it.
struct Gate(Arc<Semaphore>);

impl Host for Gate {
    fn ask(&self, request: Request) -> Answer {
        let gate = Arc::clone(&self.0);
        Box::pin(async move {
            drop(gate.acquire().await);
            serde_json::to_value(request).map_err(|error| error.to_string())
        })
    }
}

struct Bench {
    feeder: Feeder,
    lines: Arc<Mutex<Vec<String>>>,
    gate: Arc<Semaphore>,
    runtime: tokio::runtime::Runtime,
}

fn bench(options: Options) -> Bench {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let launch = Launch { program: std::env::current_exe().unwrap(), args: vec!["script-host".into()] };
    let about = About { node: "n".to_owned(), ..About::default() };
    let gate = Arc::new(Semaphore::new(0));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&lines);
    let console = Arc::new(move |line: Line| said.lock().unwrap().push(line.to_string()));
    let host = Arc::new(Gate(Arc::clone(&gate)));
    let feeder = Feeder::new(launch, about, options, host, runtime.handle().clone(), console).unwrap();
    Bench { feeder, lines, gate, runtime }
}

impl Bench {
    /// Waits until it is so. Not by the clock: the limit only keeps a broken test from waiting for ever.
    fn until(&self, what: &str, is_so: impl Fn(&Stats, &[String]) -> bool) -> Stats {
        self.until_with(what, || {}, is_so)
    }

    fn until_with(
        &self,
        what: &str,
        meanwhile: impl Fn(),
        is_so: impl Fn(&Stats, &[String]) -> bool,
    ) -> Stats {
        let limit = Instant::now() + Duration::from_mins(2);
        loop {
            meanwhile();
            let stats = self.feeder.stats();
            let lines = self.lines.lock().unwrap().clone();
            if is_so(&stats, &lines) {
                return stats;
            }
            assert!(
                Instant::now() < limit,
                "{what}: {stats:#?} {:#?}",
                &lines[lines.len().saturating_sub(20)..]
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn loaded(&self, scripts: usize) {
        let is_loaded =
            |stats: &Stats| stats.scripts.iter().filter(|script| script.state == ScriptState::Loaded).count();
        self.until("load", |stats, _| is_loaded(stats) == scripts);
    }

    fn item(&self, number: usize) {
        let item = json!({"number": number, "request": {"method": "GET"}, "response": {"status": 200}});
        self.feeder.entry_json(item.to_string().as_bytes());
    }
}

fn hooks_are_fed_and_counted() {
    let bench = bench(Options::default());
    assert_eq!(bench.feeder.wants().0, 0);
    bench.item(0);
    bench.feeder.load(1, "// Counts\nvar n = 0, p = 0; function onItemCaptured(d) { n++; if (n === 3) console.log('items', n, env.X, p); }");
    bench.feeder.load(2, "function onPacketCaptured(i) { this.bytes = (this.bytes || 0) + i.length; if (this.bytes === 300) console.log('bytes'); }");
    bench.feeder.set_env(json!({"X": "y"}).as_object().cloned().unwrap_or_else(Map::new));
    bench.loaded(2);
    bench.until("hooks", |_, _| {
        bench.feeder.wants().has(Hook::OnItemCaptured) && bench.feeder.wants().has(Hook::OnPacketCaptured)
    });
    assert!(!bench.feeder.wants().has(Hook::OnPodEvent));
    let packet = PacketInfo { at: 1, captured: 100, length: 100, fragmented: false };
    bench.feeder.packets(&[packet, packet]);
    bench.feeder.packets(&[packet]);
    (1..=3).for_each(|number| bench.item(number));
    bench.until("lines", |_, lines| {
        lines.contains(&"[n-1] items 3 y 0".to_owned()) && lines.contains(&"[n-2] bytes".to_owned())
    });
    let stats =
        bench.until("report", |stats, _| stats.scripts.iter().map(|script| script.calls).sum::<u64>() == 8);
    assert_eq!(stats.hooks["onItemCaptured"].fed, 3, "the item before there was a script is not fed");
    assert_eq!(stats.hooks["onPacketCaptured"].fed, 3);
    assert_eq!(stats.scripts[0].title, "Counts");
    assert_eq!(stats.restarts, 0);
    bench.feeder.unload(1);
    bench.feeder.unload(2);
    bench.until("end", |stats, _| !stats.is_running && bench.feeder.wants().0 == 0);
}

fn one_that_waits_holds_up_no_other() {
    let bench = bench(Options::default());
    bench.feeder.load(0, "var n = 0; function onItemCaptured(d) { n++; console.log('before', n); hub.targeted(); console.log('after', n); }");
    bench.feeder.load(
        1,
        "var n = 0; function onItemCaptured(d) { n++; if (n % 1000 === 0) console.log('other', n); }",
    );
    bench.loaded(2);
    bench.until("hooks", |_, _| bench.feeder.wants().has(Hook::OnItemCaptured));
    for number in 0..5000 {
        bench.item(number);
    }
    bench.until("the other's calls", |_, lines| lines.contains(&"[n-1] other 5000".to_owned()));
    let lines = bench.lines.lock().unwrap().clone();
    assert!(lines.contains(&"[n-0] before 1".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("[n-0] after")), "{lines:?}");
    bench.gate.add_permits(1_000_000);
    bench.until("its own calls", |_, lines| lines.contains(&"[n-0] after 5000".to_owned()));
    let stats = bench.until("report", |stats, _| stats.scripts.iter().all(|script| script.calls == 5001));
    assert_eq!(stats.scripts.iter().map(|script| script.backlog_full).sum::<u64>(), 0);
}

fn queries_come_back_in_time_or_as_they_were() {
    let bench = bench(Options { query_millis: 5_000, ..Options::default() });
    bench.feeder.load(0, "function onItemQueried(d) { if (d.number === 2) hub.targeted(); if (d.number) return test.fail(d); }");
    bench.loaded(1);
    bench.until("hooks", |_, _| bench.feeder.wants().has(Hook::OnItemQueried));
    let ask = |number: u64| {
        let item = json!({"failed": false, "number": number}).to_string();
        let changed = bench.runtime.block_on(bench.feeder.queried(item.as_bytes()));
        changed.map(|changed| serde_json::from_slice::<Value>(&changed).unwrap())
    };
    assert_eq!(ask(1), Some(json!({"failed": true, "number": 1})));
    assert_eq!(ask(0), None);
    assert_eq!(bench.feeder.stats().queries_late, 0);
    assert_eq!(ask(2), None, "a script that waits is not waited for");
    assert_eq!(bench.feeder.stats().queries_late, 1);
}

fn live_jobs_run_and_can_be_asked() {
    let bench = bench(Options::default());
    bench.feeder.load(0, "jobs.schedule('often', '* * * * * *', function () { console.log('ran'); }, 2); jobs.schedule('never', '0 0 1 1 *', function () { console.log('asked'); });");
    bench.loaded(1);
    bench.until("runs", |_, lines| lines.iter().filter(|line| *line == "[n-0] ran").count() == 2);
    let jobs = |request| bench.runtime.block_on(bench.feeder.jobs(request));
    assert!(jobs(JobRequest::Run { tag: "nobody".to_owned() }).is_err());
    jobs(JobRequest::Run { tag: "never".to_owned() }).unwrap();
    bench.until("run", |_, lines| lines.contains(&"[n-0] asked".to_owned()));
    let list = jobs(JobRequest::Remove { tag: "never".to_owned() }).unwrap();
    let rows: Vec<_> = list.iter().map(|job| (job.tag.as_str(), job.runs, job.status.as_str())).collect();
    assert_eq!(rows, [("often", 2, "done")]);
}

/// What each does in its first call, and what is said of it.
const HOSTILE: [(&str, &str); 10] = [
    ("while (true) {}", "loops"),
    ("var a = []; for (;;) { a.push(new Array(1e5).fill(1)); }", ""),
    ("var a = []; for (;;) { a.push('y'.repeat(1e7)); }", "memory"),
    ("var s = 'x'; for (;;) { s = s.repeat(1e3); this.kept = s + s; }", ""),
    ("/^(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!')", "CPU"),
    (
        "var l = []; for (var i = 0; i < 1e4; i++) l.push(i % 97); l.sort(function (a, b) { for (var i = 0; i < 1e5; i++) {} return a - b; })",
        "CPU",
    ),
    ("(function f() { f(); })()", "recursive"),
    ("(function f() { Promise.resolve().then(f); })()", "CPU"),
    ("new Array(1e9).fill(0)", ""),
    ("eval(new Array(20001).join('('))", ""),
];

fn hostile_scripts_are_ended_and_named() {
    for (body, why) in HOSTILE {
        let options = Options { cpu_millis: 200, strikes: 2, memory_bytes: 256 << 20, ..Options::default() };
        let bench = bench(options);
        bench.feeder.load(
            0,
            "var n = 0; function onItemCaptured(d) { n++; if (d.number === 7) console.log('well'); }",
        );
        bench.feeder.load(1, &format!("// Hostile\nfunction onItemCaptured(d) {{ {body} }}"));
        bench.loaded(2);
        let sent = std::cell::Cell::new(0);
        let stats = bench.until_with(
            body,
            || {
                bench.item(1);
                sent.set(sent.get() + 1);
            },
            |stats, _| stats.scripts[1].state == ScriptState::Disabled,
        );
        assert!(stats.scripts[1].why.as_deref().unwrap_or_default().contains(why), "{body}: {stats:#?}");
        assert_eq!((stats.scripts[0].strikes, stats.scripts[1].strikes), (0, 2), "{body}: {stats:#?}");
        bench.loaded(1);
        bench.until_with("the other", || bench.item(7), |_, lines| lines.contains(&"[n-0] well".to_owned()));
        let lines = bench.lines.lock().unwrap().clone();
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("[n-1:ERROR] Hostile: strike 2 of 2: ")
                    && line.contains("disabled")),
            "{lines:?}"
        );
        println!(
            "  {body}: {} ({} restarts)",
            stats.scripts[1].why.as_deref().unwrap_or_default(),
            stats.restarts
        );
    }
}
