//! The words that stand for a longer filter.

/// KFL's macros: a word, and the filter that it stands for.
///
/// The first eight are those of the original in 2023, letter by letter. The last four stand in its later examples
/// without a definition; these are ours. `http` is HTTP/1.0 and 1.1 only.
pub const MACROS: &[(&str, &str)] = &[
    ("http", r#"(protocol.abbr == "HTTP")"#),
    ("http2", r#"(protocol.abbr == "HTTP/2")"#),
    ("grpc", r#"(protocol.abbr == "gRPC")"#),
    ("gql", r#"(protocol.abbr == "GQL")"#),
    ("dns", r#"(protocol.abbr == "DNS")"#),
    ("amqp", r#"(protocol.name == "amqp")"#),
    ("kafka", r#"(protocol.name == "kafka")"#),
    ("redis", r#"(protocol.name == "redis")"#),
    ("icmp", r#"(protocol.name == "icmp")"#),
    ("tcp", r#"(protocol.name == "tcp")"#),
    ("ws", r#"(protocol.name == "ws")"#),
    ("error", "(error != nil)"),
];
