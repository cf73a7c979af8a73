//! Truth and entries, as bags of lines that must be the same.

use serde_json::Value;
use support::engine;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Requests of HTTP/1 and the status that each got.
    Http,
    /// Responses of HTTP/1 without a request.
    Orphans,
    /// Bodies of responses, whole ones and not encoded.
    Bodies,
    /// DNS responses.
    Dns,
}

/// What came of it.
pub(crate) struct Answer {
    pub(crate) matched: usize,
    pub(crate) missing: Vec<String>,
    pub(crate) extra: Vec<String>,
}

impl Protocol {
    pub(crate) const ALL: [Self; 4] = [Self::Http, Self::Orphans, Self::Bodies, Self::Dns];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http1",
            Self::Orphans => "orphans",
            Self::Bodies => "bodies",
            Self::Dns => "dns",
        }
    }

    /// Under which name the truth has it.
    fn key(self) -> &'static str {
        if self == Self::Dns { "dns" } else { "http1" }
    }
}

/// Compares; `None` where the truth is not sure enough of itself.
pub(crate) fn hold(protocol: Protocol, truth: &Value, entries: &[Value]) -> Option<Answer> {
    let key = protocol.key();
    let sure = matches!(truth["confidence"][key].as_str(), Some("high" | "high-resolved" | "see-resolution"));
    if !truth[key].is_null() && !sure {
        return None;
    }
    let corrected = truth["resolution"][key]["corrected"].as_array();
    let (wanted, given) = match (protocol, corrected) {
        (Protocol::Http, Some(rows)) => {
            let row = |row: &Value| format!("{} {} {}", text(&row[0]), text(&row[1]), text(&row[2]));
            (rows.iter().filter(|row| !row[0].is_null()).map(row).collect(), requests(entries, false))
        }
        (_, Some(_)) => return None,
        (Protocol::Http, None) => {
            (array(&truth[key]["transactions"], |it| Some(wanted_request(it))), requests(entries, true))
        }
        (Protocol::Orphans, None) => {
            let given = http(entries).filter(|entry| entry["request"].is_null());
            let given = given.map(|entry| text(&entry["response"]["status"])).collect();
            (array(&truth[key]["orphan_responses"], |it| Some(text(&it["status"]))), given)
        }
        (Protocol::Bodies, None) => bodies(truth, entries),
        (Protocol::Dns, None) => (array(&truth[key]["messages"], wanted_answer), answers(entries)),
    };
    Some(bags(wanted, given))
}

fn bags(wanted: Vec<String>, mut extra: Vec<String>) -> Answer {
    let (mut matched, mut missing) = (0, Vec::new());
    for line in wanted {
        match extra.iter().position(|given| *given == line) {
            Some(place) => {
                extra.swap_remove(place);
                matched += 1;
            }
            None => missing.push(line),
        }
    }
    Answer { matched, missing, extra }
}

fn array(value: &Value, line: impl Fn(&Value) -> Option<String>) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(line).collect()
}

/// Nothing and an empty text are the same to the truth.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) if text.is_empty() => "-".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn end(peer: &Value) -> String {
    format!("{}:{}", text(&peer["ip"]), text(&peer["port"]))
}

fn http(entries: &[Value]) -> impl Iterator<Item = &Value> {
    let is_http1 = |entry: &&Value| {
        let version = entry["protocol"]["version"].as_str().unwrap_or_default();
        entry["protocol"]["name"] == "http" && version.starts_with(['0', '1'])
    };
    entries.iter().filter(is_http1)
}

fn wanted_request(it: &Value) -> String {
    let [client, server, method, uri, status] =
        ["client", "server", "method", "uri", "status"].map(|key| text(&it[key]));
    format!("{client} {server} {method} {uri} {status}")
}

fn requests(entries: &[Value], with_ends: bool) -> Vec<String> {
    let line = |entry: &Value| {
        let (request, response) = (&entry["request"], &entry["response"]);
        let asked =
            format!("{} {} {}", text(&request["method"]), text(&request["url"]), text(&response["status"]));
        if with_ends { format!("{} {} {asked}", end(&entry["src"]), end(&entry["dst"])) } else { asked }
    };
    http(entries).filter(|entry| !entry["request"].is_null()).map(line).collect()
}

/// Bodies that the truth has whole and unencoded; of ours those of the same requests that are not told to be cut.
fn bodies(truth: &Value, entries: &[Value]) -> (Vec<String>, Vec<String>) {
    let name = |client: String, uri: &Value, len: usize| format!("{client} {} {len} bytes", text(uri));
    let known = |it: &Value| {
        let len = it["res_body_len"].as_u64()? as usize;
        let is_plain = it["content_encoding"].is_null() && !it["res_body_sha256"].is_null() && len > 0;
        is_plain.then(|| name(text(&it["client"]), &it["uri"], len))
    };
    let asked = |it: &Value| Some(format!("{} {}", text(&it["client"]), text(&it["uri"])));
    let plain = |it: &Value| known(it).and_then(|_| asked(it));
    let comparable = array(&truth["http1"]["transactions"], plain);
    let wanted = array(&truth["http1"]["transactions"], known);
    let ours = http(entries).filter_map(|entry| {
        let (request, response) = (&entry["request"], &entry["response"]);
        let whose = format!("{} {}", end(&entry["src"]), text(&request["url"]));
        let body = engine::body(response);
        let line = name(end(&entry["src"]), &request["url"], body.len());
        // What is told to be cut may be the request.
        let is_whole = entry["flags"]["truncated"] == false && !response.is_null() && !body.is_empty();
        (comparable.contains(&whose) && (is_whole || wanted.contains(&line))).then_some(line)
    });
    let ours = ours.collect();
    (wanted, ours)
}

/// Names are compared without regard to case, as DNS does.
fn domain(value: &Value) -> String {
    let name = value.as_str().unwrap_or_default().trim_end_matches('.').to_lowercase();
    if name == "<root>" { String::new() } else { name }
}

fn records(value: &Value) -> String {
    let mut records =
        array(value, |record| Some(format!("{}/{}", domain(&record["name"]), kind(&record["type"]))));
    records.sort();
    records.join(",")
}

fn wanted_answer(it: &Value) -> Option<String> {
    let is_response = it["response"] == true && it["malformed"] != true && it["service"] == "dns";
    let question = &it["questions"][0];
    is_response.then(|| {
        let (client, server) = (text(&it["dst"]), text(&it["src"]));
        let asked = format!("{} {}", domain(&question[0]), kind(&question[1]));
        format!("{client} {server} {asked} {} [{}]", text(&it["rcode"]), records(&it["answers"]))
    })
}

fn answers(entries: &[Value]) -> Vec<String> {
    // Multicast DNS, LLMNR over UDP and NetBIOS names are other services to the truth.
    let other = |entry: &Value| {
        let udp = entry["stream"].as_str().is_some_and(|stream| stream.contains("_udp"));
        let ports = [&entry["src"]["port"], &entry["dst"]["port"]].map(text);
        ports[1] == "5353"
            || udp && (ports[1] == "5355" || ports.contains(&"137".to_owned()))
            || ports[0] == "5353" && ports[1] != "53"
    };
    let line = |entry: &Value| {
        let (request, response) = (&entry["request"], &entry["response"]);
        let of = if request["questions"][0].is_null() { response } else { request };
        let question = &of["questions"][0];
        let asked = format!("{} {}", domain(&question["name"]), kind(&question["type"]));
        let code = response["code"].as_str().unwrap_or_default().trim();
        let code =
            CODES.iter().position(|&name| name == code).map_or(code.to_owned(), |code| code.to_string());
        format!(
            "{} {} {asked} {code} [{}]",
            end(&entry["src"]),
            end(&entry["dst"]),
            records(&response["answers"])
        )
    };
    let is_dns =
        |entry: &&Value| entry["protocol"]["name"] == "dns" && !entry["response"].is_null() && !other(entry);
    entries.iter().filter(is_dns).map(line).collect()
}

/// RFC 1035 §4.1.1 and RFC 2136 §2.2, as entries tell them.
const CODES: [&str; 11] = [
    "No Error",
    "Format Error",
    "Server Failure",
    "Non-Existent Domain",
    "Not Implemented",
    "Query Refused",
    "Name Exists when it should not",
    "RR Set Exists when it should not",
    "RR Set that should exist does not",
    "Server Not Authoritative for zone",
    "Name not contained in zone",
];

/// A type by its number; the truth tells numbers, entries tell names.
fn kind(value: &Value) -> String {
    const NAMES: [(&str, u16); 41] = [
        ("A", 1),
        ("NS", 2),
        ("CNAME", 5),
        ("SOA", 6),
        ("MB", 7),
        ("NULL", 10),
        ("WKS", 11),
        ("PTR", 12),
        ("HINFO", 13),
        ("MINFO", 14),
        ("MX", 15),
        ("TXT", 16),
        ("RP", 17),
        ("AFSDB", 18),
        ("SIG", 24),
        ("KEY", 25),
        ("AAAA", 28),
        ("LOC", 29),
        ("SRV", 33),
        ("NAPTR", 35),
        ("CERT", 37),
        ("DNAME", 39),
        ("OPT", 41),
        ("APL", 42),
        ("DS", 43),
        ("SSHFP", 44),
        ("RRSIG", 46),
        ("NSEC", 47),
        ("DNSKEY", 48),
        ("DHCID", 49),
        ("NSEC3", 50),
        ("NSEC3PARAM", 51),
        ("TLSA", 52),
        ("CDS", 59),
        ("SVCB", 64),
        ("HTTPS", 65),
        ("SPF", 99),
        ("TSIG", 250),
        ("AXFR", 252),
        ("ANY", 255),
        ("CAA", 257),
    ];
    let Some(name) = value.as_str() else { return text(value) };
    match NAMES.iter().find(|it| it.0 == name) {
        Some((_, number)) => number.to_string(),
        None => name.strip_prefix("TYPE").unwrap_or(name).to_owned(),
    }
}
