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

#[cfg(test)]
mod tests {
    use kfl::{Filter, Options, Value};

    use super::MACROS;

    struct Like {
        protocol: Names,
        failed: bool,
    }

    struct Names {
        abbr: &'static str,
        name: &'static str,
    }

    kfl::record! {
        impl Record for Like as like {
            "error" => if like.failed { Value::record(&like.protocol) } else { Value::Null },
            "protocol" => Value::record(&like.protocol),
        }
    }

    kfl::record! {
        impl Record for Names as names {
            "abbr" => Value::text(names.abbr),
            "name" => Value::text(names.name),
        }
    }

    #[test]
    fn a_word_selects_its_protocol() {
        let matches =
            |text: &str, record: &Like| Filter::new(text, &Options::new(MACROS, 0)).unwrap().matches(record);
        let protocol = |abbr, name, failed| Like { protocol: Names { abbr, name }, failed };
        for (text, record, expected) in [
            ("http", protocol("HTTP", "http", false), true),
            ("http", protocol("HTTP/2", "http", false), false),
            ("http2 or grpc", protocol("gRPC", "http", false), true),
            ("dns", protocol("DNS", "dns", false), true),
            ("redis and !kafka", protocol("REDIS", "redis", false), true),
            ("error", protocol("HTTP", "http", true), true),
            ("error", protocol("HTTP", "http", false), false),
            ("!error and !icmp", protocol("HTTP", "http", false), true),
            ("error or icmp or tcp", protocol("TCP", "tcp", false), true),
        ] {
            assert_eq!(matches(text, &record), expected, "{text}");
        }
        for (word, filter) in MACROS {
            assert!(Filter::new(filter, &Options::new(&[], 0)).is_ok(), "{word}");
        }
    }
}
