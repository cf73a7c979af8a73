//! What a worker does with what its hub says of a cluster, over the real connection and with real packets: between network
//! namespaces that are pods.

#![expect(clippy::print_stdout, reason = "the test runner shows it")]

mod hub;
mod pods;

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use api::{
    UnixNanos,
    messages::{Identity, Script, Targets, ToWorker},
};
use serde_json::Value;
use support::{
    Scratch,
    namespace::Namespace,
    program::{Tap, get, installed, may_capture, missing},
    watch::Watcher,
};

use hub::{Hub, identity, now, only};
use pods::Pod;

/// The address of the first pod.
const POD: &str = "10.66.0.2";

/// A node of its own for the calling thread; `None` where that may not be, which is told.
fn node(part: &str) -> Option<Namespace> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !may_capture() || !is_root {
        missing(&format!("{part}: not run (it needs root)"));
        return None;
    }
    if !installed(part, &["ip", "unshare"]) {
        return None;
    }
    match Namespace::enter() {
        Ok(node) => {
            node.shell("ip link set lo up");
            Some(node)
        }
        Err(why) => {
            missing(&format!("{part}: not run ({why})"));
            None
        }
    }
}

/// The worker of that node.
struct Worker {
    tap: Tap,
    _scratch: Scratch,
}

impl Worker {
    fn start(arguments: &[&str]) -> Self {
        let scratch = Scratch::new();
        let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_kubeshark")));
        command.args(["worker", "--listen", "127.0.0.1:0", "--threads", "1"]).args(arguments);
        let tap = Tap::start_as(command.arg("--data-dir").arg(scratch.path().join("data")));
        Self { tap, _scratch: scratch }
    }

    fn address(&self) -> &str {
        &self.tap.hub
    }

    fn status(&self) -> Value {
        serde_json::from_str(&get(self.address(), "/status", &[]).1).expect("JSON")
    }

    /// Waits until its status is as wanted.
    fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.status();
            if is_so(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}: {status:#}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the first source follows targets of this rule.
    fn follows(&self, rule: &str, filter: impl Fn(&str) -> bool) -> Value {
        self.until(rule, |status| {
            status["targets"]["rule"] == rule && status["sources"][0]["filter"].as_str().is_some_and(&filter)
        })
    }

    fn watch(&self, query: &str) -> Watcher {
        let mut watcher = Watcher::connect(self.address(), "/wsFull");
        watcher.send(query);
        watcher
    }
}

fn all() -> Targets {
    Targets { all: true, rule: "everything".into(), ..Targets::default() }
}

fn request(address: &str, path: &str) {
    assert_eq!(get(address, path, &[]).0, 200, "{path}");
}

/// How a hub tells of a pod.
trait Teller {
    /// The changes by which it begins.
    fn began(&mut self, at: UnixNanos, who: Identity) -> Vec<(UnixNanos, Option<Identity>)>;

    /// Until when it is told to have been.
    fn ended(&mut self, at: UnixNanos) -> UnixNanos;
}

/// Every time is known.
struct Exact;

impl Teller for Exact {
    fn began(&mut self, at: UnixNanos, who: Identity) -> Vec<(UnixNanos, Option<Identity>)> {
        vec![(at, Some(who))]
    }

    fn ended(&mut self, at: UnixNanos) -> UnixNanos {
        at
    }
}

const SECOND: i64 = 1_000_000_000;

/// Seconds are known, as of Kubernetes: one that ends in a second has the address to its end, unless another begins in it:
/// then nobody has it for that second.
#[derive(Default)]
struct Seconds {
    last_end: i64,
}

fn second(at: UnixNanos) -> i64 {
    at.0.div_euclid(SECOND)
}

impl Teller for Seconds {
    fn began(&mut self, at: UnixNanos, who: Identity) -> Vec<(UnixNanos, Option<Identity>)> {
        let begins = second(at) * SECOND;
        if second(at) > self.last_end {
            return vec![(UnixNanos(begins), Some(who))];
        }
        [(begins - 1, None), (begins, None), (begins + SECOND - 1, Some(who))]
            .map(|(at, who)| (UnixNanos(at), who))
            .into()
    }

    fn ended(&mut self, at: UnixNanos) -> UnixNanos {
        self.last_end = second(at);
        UnixNanos((second(at) + 1) * SECOND - 1)
    }
}

/// One life of the address.
struct Life {
    began: UnixNanos,
    ended: UnixNanos,
}

/// Hands one address from pod to pod and names the requests that each of them got. `teller` says how the times of each
/// are told, `late` how long after it a pod's start is.
fn reuse(
    part: &str,
    mut teller: impl Teller,
    late: fn(usize) -> Duration,
) -> Option<(Vec<Life>, Vec<Value>, Value)> {
    const REQUESTS: usize = 5;
    let lives = usize::try_from(support::number("KUBESHARK_REUSES", 20)).expect("a few");
    let _node = node(part)?;
    let worker = Worker::start(&["-i", "any", "--await-targets"]);
    let mut hub = Hub::dial(worker.address());
    hub.know(vec![(UnixNanos(1), "10.66.0.1", Some(identity("node-1", "")))]);
    hub.target(all());
    worker.until("targets", |status| status["targets"]["rule"] == "everything");
    let hub = hub.slowly(1);
    let mut watcher = worker.watch(&format!("http and dst.ip == \"{POD}\""));
    let mut told = Vec::new();
    let mut entries = Vec::new();
    for life in 0..lives {
        let began = now();
        let pod = Pod::start(&format!("pod{life}"), 0);
        let who = identity(&format!("pod-{life}"), "shop");
        for (at, who) in teller.began(began, who) {
            hub.say_in(late(life), (at, POD, who));
        }
        for index in 0..REQUESTS {
            request("10.66.0.2:80", &format!("/pod-{life}/{index}"));
        }
        let ended = now();
        // What is told of its end comes before the address is given to another.
        hub.say_in(Duration::ZERO, (teller.ended(ended), POD, None));
        drop(pod);
        told.push(Life { began, ended });
        if life % 10 == 9 {
            entries.extend(watcher.entries(10 * REQUESTS));
        }
    }
    entries.extend(watcher.entries(lives * REQUESTS - entries.len()));
    let status = worker.status();
    drop(hub.finish());
    Some((told, entries, status))
}

/// Which life an entry belongs to in truth, and which it was given.
fn given(entry: &Value) -> (String, Option<String>) {
    let url = entry["request"]["url"].as_str().expect("a URL");
    let truth = url.split('/').nth(1).expect("a path").to_owned();
    (truth, entry["dst"]["pod"]["metadata"]["name"].as_str().map(str::to_owned))
}

/// Nobody is named wrongly; gives the entries without a name.
fn unnamed(entries: &[Value]) -> Vec<&Value> {
    let urls: BTreeSet<_> = entries.iter().map(|entry| entry["request"]["url"].as_str()).collect();
    assert_eq!(urls.len(), entries.len(), "every request is one entry");
    let wrong = entries.iter().filter(|entry| {
        let (truth, given) = given(entry);
        given.is_some_and(|given| given != truth)
    });
    assert_eq!(wrong.map(given).collect::<Vec<_>>(), []);
    let unnamed: Vec<_> = entries.iter().filter(|entry| entry["dst"]["name"] == "").collect();
    println!("{} requests, none named wrongly, {} not named", entries.len(), unnamed.len());
    for entry in entries {
        let src = &entry["src"];
        assert_eq!((&src["name"], &src["ambiguous"]), (&"node-1".into(), &true.into()), "{src}");
    }
    unnamed
}

#[test]
fn one_had_the_address_and_is_named() {
    // A pod already talks, and may be gone again, when its start is told.
    let late = |life| Duration::from_millis(life as u64 * 211 % 500);
    let Some((_, entries, status)) = reuse("names of reused addresses", Exact, late) else { return };
    assert_eq!(unnamed(&entries), [] as [&Value; 0]);
    let entry = &entries[0]["dst"];
    assert_eq!(
        (
            &entry["name"],
            &entry["namespace"],
            &entry["node"]["name"],
            &entry["pod"]["metadata"]["labels"]["app"]
        ),
        (&"pod-0.shop".into(), &"shop".into(), &"node-1".into(), &"pod-0".into())
    );
    let ends = &status["names"]["ends"];
    assert_eq!((&ends["unknown"], &ends["disputed"], &ends["early"]), (&0.into(), &0.into(), &0.into()));
    assert_eq!(ends["named"], entries.len());
}

#[test]
fn one_had_the_address_and_none_is_guessed() {
    let Some((lives, entries, _)) = reuse("names of seconds", Seconds::default(), |_| Duration::ZERO) else {
        return;
    };
    let mut by_second: HashMap<i64, usize> = HashMap::new();
    for life in &lives {
        let seconds = BTreeSet::from([second(life.began), second(life.ended)]);
        for second in seconds {
            *by_second.entry(second).or_default() += 1;
        }
    }
    for entry in unnamed(&entries) {
        let at = entry["timestamp"].as_i64().expect("a time") * 1_000_000;
        let lives = by_second.get(&second(UnixNanos(at))).copied().unwrap_or_default();
        assert!(lives > 1, "only one pod lived in the second of {entry}");
    }
}

#[test]
fn only_targets_are_captured_and_nothing_of_them_is_lost() {
    const REQUESTS: usize = 400;
    let Some(_node) = node("targets") else { return };
    let (_a, _b) = (Pod::start("poda", 0), Pod::start("podb", 1));
    let worker = Worker::start(&["-i", "any", "--await-targets"]);
    let status = worker.status();
    assert_eq!(status["targets"]["rule"], "nothing, until a hub has said what");
    assert_eq!(status["sources"][0]["filter"], "nothing");
    request("10.66.0.2:80", "/early/a");
    request("10.66.1.2:80", "/early/b");
    let mut hub = Hub::dial(worker.address());
    let (a, b) = ("10.66.0.2".to_owned(), "10.66.1.2".to_owned());
    hub.target(only("a", [a.clone()]));
    worker.follows("a", |filter| filter.contains("ip host 10.66.0.2") && !filter.contains(&b));
    let mut watcher = worker.watch("http");
    request("10.66.1.2:80", "/b/0");

    // Targets come and go around one that stays.
    let asking = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            for index in 0..REQUESTS {
                request("10.66.0.2:80", &format!("/a/{index}"));
            }
        });
        let mut changes = 0;
        while !asking.is_finished() {
            let more = (1..=changes % 40).map(|index| format!("10.77.0.{index}"));
            hub.target(only("changing", more.chain([a.clone()])));
            changes += 1;
            thread::sleep(Duration::from_millis(5));
        }
        asking.join().map(|()| changes)
    });
    assert!(asking.expect("answers") > 20);
    let urls = |entries: &[Value]| -> BTreeSet<String> {
        entries.iter().map(|entry| entry["request"]["url"].as_str().expect("a URL").to_owned()).collect()
    };
    let entries = watcher.entries(REQUESTS);
    assert_eq!(urls(&entries), (0..REQUESTS).map(|index| format!("/a/{index}")).collect());
    watcher.expect_silence();

    // One more, from then on; then the first one alone again.
    hub.target(only("both", [a.clone(), b.clone()]));
    worker.follows("both", |filter| filter.contains(&b));
    request("10.66.1.2:80", "/b/1");
    assert_eq!(urls(&watcher.entries(1)), ["/b/1".to_owned()].into());

    // So many that the kernel is told of networks: what these have besides is refused behind it.
    let others = (0..128)
        .map(|net| format!("10.66.{}.2", 2 * net))
        .chain((0..256).map(|net| format!("10.70.{net}.2")));
    hub.target(only("many", others));
    let status = worker.follows("many", |filter| filter.contains("ip net 10.66.0.0/23"));
    assert_eq!(status["sources"][0]["filterIsCoarse"], true);
    request("10.66.1.2:80", "/b/2");
    request("10.66.0.2:80", "/a/last");
    assert_eq!(urls(&watcher.entries(1)), ["/a/last".to_owned()].into());
    watcher.expect_silence();
    let status = worker.until("what was refused", |status| {
        status["sources"][0]["filtered"]["notTargeted"].as_u64().is_some_and(|count| count > 0)
    });
    assert_eq!(status["sources"][0]["filterError"], Value::Null);
    assert!(status["sources"][0]["interfacePackets"].as_u64() > status["sources"][0]["packets"].as_u64());

    // A hub that is gone leaves its targets behind.
    drop(hub);
    request("10.66.0.2:80", "/a/after");
    assert_eq!(urls(&watcher.entries(1)), ["/a/after".to_owned()].into());
    assert_eq!(worker.status()["targets"]["rule"], "many");
}

#[test]
fn a_worker_finds_out_whether_it_captures() {
    let Some(_node) = node("self-test") else { return };
    let _pod = Pod::start("pod0", 0);
    pods::run("ip link add bare type veth peer name end; ip link set bare up; ip link set end up");
    // Whatever is targeted, and before anything is.
    let worker = Worker::start(&["-i", "any", "-i", "lo", "-i", "pod0", "-i", "bare", "--await-targets"]);
    let mut hub = Hub::dial(worker.address());
    for _ in 0..2 {
        let tested = hub.self_test();
        let seen: Vec<_> = tested.iter().map(|test| (test.source.as_str(), test.seen)).collect();
        assert_eq!(seen, [("any", true), ("lo", true), ("pod0", true), ("bare", false)], "{tested:?}");
        let why = tested[3].why.as_deref().expect("a reason");
        assert!(why.contains("bare has no IPv4 address"), "{why}");
        hub.target(only("a", [POD.to_owned()]));
    }
    // What was tried is no traffic of anybody.
    assert_eq!(worker.status()["entries"], serde_json::json!({}));
}

#[test]
fn what_scripts_upload_is_not_captured() {
    const REQUESTS: usize = 5;
    let Some(_node) = node("own uploads") else { return };
    let pod = Pod::start("pod0", 0);
    let worker = Worker::start(&["-i", "any"]);
    let mut hub = Hub::dial(worker.address());
    hub.know(vec![(UnixNanos(1), POD, Some(identity("pod-0", "shop")))]);
    let code =
        format!("function onItemCaptured(data) {{ vendor.webhook('POST', 'http://{POD}/hook', data) }}");
    let script = Script { index: 0, title: "upload".into(), code };
    hub.say(&ToWorker::Scripts { scripts: vec![script], env: api::messages::Env::new() });
    hub.wait_for_script();
    let mut watcher = worker.watch("http");
    let wait_for = |hooks: u64| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while pod.hooks() < hooks {
            assert!(Instant::now() < deadline, "{} uploads came, {:#}", pod.hooks(), worker.status());
            thread::sleep(Duration::from_millis(20));
        }
    };
    for index in 0..REQUESTS {
        request("10.66.0.2:80", &format!("/x/{index}"));
    }
    wait_for(REQUESTS as u64);
    request("10.66.0.2:80", "/last");
    wait_for(REQUESTS as u64 + 1);
    let entries = watcher.entries(REQUESTS + 1);
    assert!(entries.iter().all(|entry| entry["request"]["url"] != "/hook"), "{entries:#?}");
    // Longer than an upload would wait to be shown.
    for _ in 0..8 {
        watcher.expect_silence();
    }
    assert_eq!(pod.hooks(), REQUESTS as u64 + 1, "each once");
    let filtered = &worker.status()["sources"][0]["filtered"];
    assert!(filtered["own"].as_u64() > Some(0) || filtered["ownEntries"].as_u64() > Some(0), "{filtered}");
}
