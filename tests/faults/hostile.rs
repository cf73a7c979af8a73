//! Scripts that mean harm, beside one that does not, at a paced load.

use std::fs;

use support::site::Site;

use crate::site;

/// What each does when it sees its first transaction.
const HOSTILE: [(&str, &str); 8] = [
    ("endless loop", "while (true) {}"),
    ("endless array", "var a = []; for (;;) { a.push(new Array(1e5).fill(1)); }"),
    ("repeat bomb", "var s = 'x'; for (;;) { s = s.repeat(1e3); this.kept = s + s; }"),
    ("20,000 brackets", "eval(new Array(20001).join('['))"),
    ("catastrophic regex", "/^(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!')"),
    (
        "slow comparator",
        "var l = []; for (var i = 0; i < 1e4; i++) l.push(i % 97); l.sort(function (a, b) { for (var i = 0; i < 1e5; i++) {} return a - b; })",
    ),
    ("deep recursion", "(function f() { f(); })()"),
    ("promise storm", "(function f() { Promise.resolve().then(f); })()"),
];

/// Counts what it is shown.
const GOOD: &str = "// Well-behaved\nvar failed = 0;\nfunction onItemCaptured(data) { if (data.response.status === 500) failed++; }";

/// MiB by which the worker may grow: the queue of what waits for scripts, once more while it is written, the console, and
/// as much for what the allocator keeps.
const GROWTH: u64 = 16 + 16 + 1 + 7;

/// Most memory that a process had so far, in MiB.
fn peak(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("memory");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
}

fn calls(site: &Site, script: u64) -> u64 {
    site.fares(script)["calls"].as_u64().expect("a number")
}

#[test]
fn hostile_scripts_are_disabled_and_nobody_else_notices() {
    let Some(mut site) = site("hostile scripts", None) else { return };
    // First without scripts: nothing is lost, and the store is as large as it becomes.
    site.send(600, 50);
    site.all_is_seen();
    let before = peak(site.worker());
    let good = site.add("Well-behaved", GOOD);
    site.loaded(good);
    let mut console = site.console();
    for (name, body) in HOSTILE {
        let code = format!("// {name}\nfunction onItemCaptured(data) {{ {body} }}");
        let hostile = site.add(name, &code);
        site.loaded(hostile);
        while site.fares(hostile)["state"] != "disabled" {
            site.send(50, 20);
        }
        let named = format!("[{}-{hostile}:ERROR] {name}: strike 3 of 3: ", support::site::NODE);
        let line = console.until(&named, |line| line.starts_with(&named) && line.contains("it is disabled"));
        println!("{line}");
        site.until("the hub knows", || site.told(hostile)["phase"] == "disabled");
        assert_eq!(site.told(hostile)["strikes"], 3);
        site.remove(hostile);
        // The other one is called for every transaction again, and has no strike.
        site.loaded(good);
        site.all_is_seen();
        site.until("the queue is empty", || site.scripts()["queuedBytes"] == 0);
        site.send(20, 20);
        let already = calls(&site, good);
        site.until("calls of the well-behaved script", || calls(&site, good) > already);
        assert_eq!(site.fares(good)["strikes"], 0, "{name}: {}", site.scripts());
    }
    site.all_is_seen();
    let (after, scripts) = (peak(site.worker()), site.scripts());
    println!(
        "{} transactions, none missing; the worker took {before} MiB at most without scripts, {after} MiB with; {} restarts, {} ms of CPU for scripts, {}",
        site.transactions(),
        scripts["restarts"],
        scripts["cpuMillis"],
        scripts["hooks"]["onItemCaptured"]
    );
    assert!(after <= before + GROWTH, "{before} MiB without scripts, {after} MiB with");
    // What the user can see of it.
    let metrics = support::program::get(site.address(), "/metrics", &[]).1;
    for name in ["host_rss_bytes", "host_cpu_seconds_total", "restarts_total"] {
        let name = format!("\nkubeshark_worker_script_{name} ");
        let value = metrics.split(&name).nth(1).and_then(|rest| rest.lines().next()?.parse::<f64>().ok());
        assert!(value.is_some_and(|value| value > 0.0), "{name}{value:?}");
    }
}
