//! Calls of hooks per CPU second: of the script host and the code that feeds it, beside a bare Boa loop that builds its
//! lazy argument from the same bytes.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::{rc::Rc, sync::Arc, time::Duration};

use boa_engine::{
    Context, JsData, JsObject, JsResult, JsString, JsValue, NativeFunction, Source, js_string,
    object::{FunctionObjectBuilder, builtins::JsFunction},
    property::PropertyDescriptor,
};
use boa_gc::{Finalize, Trace};
use scripting::{About, Answer, Feeder, Hook, Host, Launch, Options, Request, wire::PacketInfo};
use serde_json::json;

const COUNTER: &str = "var packetCount = 0; var totalKB = 0;
function onPacketCaptured(info) { packetCount++; totalKB += info.length / 1000; }";
const CHECK: &str = "var n = 0; function onItemCaptured(data) { if (data.response.status === 500) n++; }";

const ROUNDS: usize = 5;
const PACKETS: u64 = 320_000;
const ITEMS: u64 = 80_000;

/// Bytes that wait for the host before the bench waits for it.
const QUEUED: usize = 256 << 10;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("script-host") {
        let outlets = outlets::Outlets::new(outlets::Config::default()).expect("the defaults are right");
        scripting::serve(outlets).expect("a script host runs");
        return;
    }
    let items: Vec<Vec<u8>> = (0..256).map(item).collect();
    let size = items.iter().map(Vec::len).sum::<usize>() / items.len();
    println!("items of {size} bytes");
    let ours = || {
        host(COUNTER, Hook::OnPacketCaptured, PACKETS, |feeder, at| {
            let info = |at| PacketInfo {
                at: at as i64,
                captured: 96,
                length: 1000 + (at % 400) as u32,
                fragmented: false,
            };
            let batch: Vec<_> = (at..at + 64).map(info).collect();
            feeder.packets(&batch);
            64
        })
    };
    say("onPacketCaptured", bare_packets, ours);
    let ours = || {
        host(CHECK, Hook::OnItemCaptured, ITEMS, |feeder, at| {
            feeder.entry_json(&items[at as usize % items.len()]);
            1
        })
    };
    say("onItemCaptured", || bare_items(&items), ours);
}

/// Measures both in turn, and says the best of each: whatever else the machine does only takes from it.
fn say(hook: &str, bare: impl Fn() -> f64, ours: impl Fn() -> f64) {
    let rounds: Vec<_> = (0..ROUNDS).map(|_| [bare(), ours()]).collect();
    let [bare, ours] = [0, 1].map(|at| rounds.iter().map(|round| round[at]).fold(0.0, f64::max));
    println!("{hook}: bare {bare:.0} calls per CPU second, host and feeding {ours:.0}: {:.2}", ours / bare);
}

/// An HTTP item as the worker writes it.
fn item(number: usize) -> Vec<u8> {
    let text = format!("{{\"user\": {number}, \"note\": \"{}\"}}", "lorem ipsum ".repeat(60 + number % 40));
    let peer = |ip: &str| json!({"endpointSlice": null, "ip": ip, "name": "web", "namespace": "shop", "pod": null, "port": "8080", "service": null});
    json!({
        "dst": peer("10.0.0.1"), "elapsedTime": 3, "entryFile": "000000000007_pcap-0_entry.json", "error": null,
        "failed": false, "flags": {"ambiguous": false, "gap": 0, "midstream": false, "overlap": false},
        "id": "10.0.0.9:30001/000000000007.pcap-0", "index": 0, "node": {"ip": "10.0.0.9", "name": "node-1"},
        "outgoing": false, "passed": false,
        "protocol": {"abbr": "HTTP", "backgroundColor": "#416CDE", "longName": "Hypertext Transfer Protocol -- HTTP/1.1", "name": "http", "version": "1.1"},
        "record": "",
        "request": {"bodySize": 0, "cookies": {}, "headers": {"Accept": "*/*", "Authorization": "Bearer abcdef", "Host": "shop", "User-Agent": "bench"}, "headersSize": 200, "method": "GET", "path": "/cart", "queryString": {}, "url": "/cart?id=1"},
        "requestSize": 200,
        "response": {"bodySize": text.len(), "content": {"encoding": "", "mimeType": "application/json", "size": text.len(), "text": text}, "cookies": {}, "headers": {"Content-Type": "application/json", "Server": "nginx"}, "status": if number.is_multiple_of(50) { 500 } else { 200 }, "statusText": "OK"},
        "responseSize": 1200, "src": peer("10.0.0.2"), "startTime": "2023-03-14T15:38:26.000000000Z",
        "stream": "000000000007.pcap", "timestamp": 1_678_808_306_000_i64, "tls": false, "worker": "10.0.0.9:30001",
    })
    .to_string()
    .into_bytes()
}

// === the script host

struct Nobody;

impl Host for Nobody {
    fn ask(&self, _: Request) -> Answer {
        Box::pin(async { Err("nobody".to_owned()) })
    }
}

fn host(code: &str, hook: Hook, calls: u64, feed: impl Fn(&Feeder, u64) -> u64) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let launch =
        Launch { program: std::env::current_exe().expect("a path"), args: vec!["script-host".into()] };
    let feeder = Feeder::new(
        launch,
        About::default(),
        // Nothing is to be dropped, however fast it comes.
        Options { backlog_bytes: 256 << 20, ..Options::default() },
        Arc::new(Nobody),
        runtime.handle().clone(),
        Arc::new(|line| println!("{line}")),
    )
    .expect("a feeder");
    feeder.load(0, code);
    while !feeder.wants().has(hook) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let before = cpu();
    let mut at = 0;
    while at < calls {
        at += feed(&feeder, at);
        // As fast as it goes, with a queue as short as it is where scripts keep up.
        while feeder.queued_bytes() > QUEUED {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert!(feeder.stats().hooks.values().all(|hook| hook.queue_full == 0));
    while feeder.stats().scripts[0].calls < calls {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(feeder.stats().scripts[0].backlog_full, 0);
    let start = children();
    drop(feeder);
    // The host's time counts once it was waited for.
    while children() == start {
        std::thread::sleep(Duration::from_millis(5));
    }
    calls as f64 / cpu().saturating_sub(before).as_secs_f64()
}

fn ticks(fields: std::ops::Range<usize>) -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("proc");
    let after = stat.rsplit_once(')').expect("a name").1;
    let words: Vec<u64> =
        after.split_whitespace().skip(1).map(|word| word.parse().unwrap_or_default()).collect();
    Duration::from_millis(words[fields].iter().sum::<u64>() * 1000 / rustix::param::clock_ticks_per_second())
}

/// Of this process and of the children that it waited for.
fn cpu() -> Duration {
    ticks(10..14)
}

fn children() -> Duration {
    ticks(12..14)
}

// === a bare loop

#[derive(Trace, Finalize, JsData)]
#[boa_gc(unsafe_empty_trace)]
struct Text {
    text: Rc<[u8]>,
    from: usize,
}

#[derive(Trace, Finalize, JsData)]
#[boa_gc(unsafe_empty_trace)]
struct Packet(PacketInfo);

fn getter(context: &mut Context, prototype: &JsObject, name: &str, get: NativeFunction) {
    let get = FunctionObjectBuilder::new(context.realm(), get).build();
    let property = PropertyDescriptor::builder().get(get).enumerable(true).configurable(true);
    prototype.insert_property(JsString::from(name), property.build());
}

fn start(code: &str, hook: &str) -> (Context, JsFunction) {
    let mut context = Context::default();
    context.eval(Source::from_bytes(code)).expect("a script");
    let function = context.global_object().get(JsString::from(hook), &mut context).expect("a hook");
    (context, JsFunction::from_object(function.as_object().expect("a hook")).expect("a function"))
}

fn timed(calls: u64, mut call: impl FnMut(u64)) -> f64 {
    let before = cpu();
    (0..calls).for_each(&mut call);
    calls as f64 / cpu().saturating_sub(before).as_secs_f64()
}

fn bare_packets() -> f64 {
    let (mut context, function) = start(COUNTER, "onPacketCaptured");
    let prototype = JsObject::with_object_proto(context.intrinsics());
    let length = |this: &JsValue, _: &[JsValue], _: &mut Context| -> JsResult<JsValue> {
        let packet =
            this.as_object().and_then(|this| this.downcast_ref::<Packet>().map(|packet| packet.0.length));
        Ok(packet.map(JsValue::from).unwrap_or_default())
    };
    getter(&mut context, &prototype, "length", NativeFunction::from_fn_ptr(length));
    timed(PACKETS, |at| {
        let info =
            PacketInfo { at: at as i64, captured: 96, length: 1000 + (at % 400) as u32, fragmented: false };
        let info = PacketInfo::read(&info.record());
        let argument = JsObject::from_proto_and_data(prototype.clone(), Packet(info));
        function.call(&JsValue::undefined(), &[argument.into()], &mut context).expect("a call");
    })
}

fn bare_items(items: &[Vec<u8>]) -> f64 {
    let (mut context, function) = start(CHECK, "onItemCaptured");
    let inner = JsObject::with_object_proto(context.intrinsics());
    let status = |this: &JsValue, _: &[JsValue], _: &mut Context| -> JsResult<JsValue> {
        let found = this.as_object().and_then(|this| {
            let text = this.downcast_ref::<Text>()?;
            let at = member(&text.text, text.from, b"status")?;
            let digits = text.text[at..].iter().take_while(|byte| byte.is_ascii_digit());
            Some(digits.fold(0, |number, digit| number * 10 + i32::from(digit - b'0')))
        });
        Ok(found.map(JsValue::from).unwrap_or_default())
    };
    getter(&mut context, &inner, "status", NativeFunction::from_fn_ptr(status));
    let prototype = JsObject::with_object_proto(context.intrinsics());
    let response = NativeFunction::from_copy_closure_with_captures(
        |this, _, inner: &JsObject, _| {
            let Some(this) = this.as_object() else { return Ok(JsValue::undefined()) };
            let found = this.downcast_ref::<Text>().and_then(|text| {
                let from = member(&text.text, text.from, b"response")?;
                Some(Text { text: Rc::clone(&text.text), from })
            });
            let Some(found) = found else { return Ok(JsValue::undefined()) };
            let object = JsObject::from_proto_and_data(inner.clone(), found);
            let own = PropertyDescriptor::builder()
                .value(object.clone())
                .writable(true)
                .enumerable(true)
                .configurable(true);
            this.insert_property(js_string!("response"), own.build());
            Ok(object.into())
        },
        inner,
    );
    getter(&mut context, &prototype, "response", response);
    timed(ITEMS, |at| {
        let text = Rc::from(items[at as usize % items.len()].as_slice());
        let argument = JsObject::from_proto_and_data(prototype.clone(), Text { text, from: 0 });
        function.call(&JsValue::undefined(), &[argument.into()], &mut context).expect("a call");
    })
}

/// Where the value of a member of the object at `from` begins.
fn member(text: &[u8], from: usize, name: &[u8]) -> Option<usize> {
    let string = |at: usize| {
        let mut at = at + 1;
        loop {
            at += memchr::memchr2(b'"', b'\\', &text[at..])?;
            if text[at] == b'"' {
                return Some(at);
            }
            at += 2;
        }
    };
    let (mut at, mut depth) = (from, 0);
    loop {
        match text.get(at)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let end = string(at)?;
                if depth == 1 && &text[at + 1..end] == name && text.get(end + 1) == Some(&b':') {
                    return Some(end + 2);
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
}
