//! The flat names that KFL2 has for what entries hold.

use kfl::{Kind, Source, Variable};

const fn text(name: &'static str, paths: &'static [&'static str]) -> Variable {
    Variable { name, kind: Kind::Text, source: Source::Paths(paths) }
}

const fn int(name: &'static str, paths: &'static [&'static str]) -> Variable {
    Variable { name, kind: Kind::Int, source: Source::Paths(paths) }
}

const fn list(name: &'static str, paths: &'static [&'static str]) -> Variable {
    Variable { name, kind: Kind::List, source: Source::Paths(paths) }
}

const fn map(name: &'static str, paths: &'static [&'static str]) -> Variable {
    Variable { name, kind: Kind::Map, source: Source::Paths(paths) }
}

const fn flag(name: &'static str, query: &'static str) -> Variable {
    Variable { name, kind: Kind::Bool, source: Source::Query(query) }
}

/// KFL2's variables, for what our entries have. `http` is HTTP of any version, unlike the macro of that name.
pub const VARIABLES: &[Variable] = &[
    // Peers.
    text("src.ip", &["src.ip"]),
    text("dst.ip", &["dst.ip"]),
    int("src.port", &["src.port"]),
    int("dst.port", &["dst.port"]),
    text("src.name", &["src.pod.metadata.name", "src.name"]),
    text("dst.name", &["dst.pod.metadata.name", "dst.name"]),
    text("src.namespace", &["src.namespace"]),
    text("dst.namespace", &["dst.namespace"]),
    text("protocol", &["protocol.name"]),
    // Kubernetes; the fields of a pod fall back to those of its service.
    text("src.pod.name", &["src.pod.metadata.name", "src.service.metadata.name"]),
    text("dst.pod.name", &["dst.pod.metadata.name", "dst.service.metadata.name"]),
    text("src.pod.namespace", &["src.pod.metadata.namespace", "src.service.metadata.namespace"]),
    text("dst.pod.namespace", &["dst.pod.metadata.namespace", "dst.service.metadata.namespace"]),
    text("src.service.name", &["src.service.metadata.name"]),
    text("dst.service.name", &["dst.service.metadata.name"]),
    text("src.service.namespace", &["src.service.metadata.namespace"]),
    text("dst.service.namespace", &["dst.service.metadata.namespace"]),
    list("namespaces", &["src.namespace", "dst.namespace"]),
    list("pods", &["src.pod.metadata.name", "dst.pod.metadata.name"]),
    list("services", &["src.service.metadata.name", "dst.service.metadata.name"]),
    map("node", &["node"]),
    text("node_name", &["node.name"]),
    text("node_ip", &["node.ip"]),
    // Identity.
    text("id", &["id"]),
    int("index", &["index"]),
    text("stream", &["stream"]),
    text("worker", &["worker"]),
    Variable { name: "timestamp", kind: Kind::Time, source: Source::Paths(&["timestamp"]) },
    Variable { name: "elapsed_time", kind: Kind::Int, source: Source::Times("elapsedTime", 1_000) },
    // Protocols.
    flag("http", "protocol.name == \"http\""),
    flag("dns", "protocol.name == \"dns\""),
    flag("tls", "tls"),
    flag("tcp", "protocol.layer4 == \"tcp\""),
    flag("udp", "protocol.layer4 == \"udp\""),
    // HTTP.
    text("method", &["request.method"]),
    text("url", &["request.url"]),
    text("path", &["request.path"]),
    int("status_code", &["response.status"]),
    text("http_version", &["request.httpVersion", "response.httpVersion"]),
    map("query_string", &["request.queryString"]),
    map("request.headers", &["request.headers"]),
    map("response.headers", &["response.headers"]),
    map("request.cookies", &["request.cookies"]),
    map("response.cookies", &["response.cookies"]),
    int("request_body_size", &["request.bodySize"]),
    int("response_body_size", &["response.content.size"]),
    // DNS.
    list("dns_questions", &["request.questions.*.name"]),
    list("dns_question_types", &["request.questions.*.type"]),
    list("dns_answers", &["response.answers.*.name"]),
    flag("dns_request", "protocol.name == \"dns\" and request != nil"),
    flag("dns_response", "protocol.name == \"dns\" and response != nil"),
    int("dns_request_length", &["requestSize"]),
    int("dns_response_length", &["responseSize"]),
];
