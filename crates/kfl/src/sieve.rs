//! A filter made ready for records of one type: what can be found out about its fields is found before the first record.

use crate::{
    Answer, Filter, Record,
    code::{Code, Passes},
};
use std::sync::Arc;

/// A [`Filter`] for records of one type, several times as fast as the filter itself.
///
/// A filter finds each field by its name, in whatever record it is asked about. A sieve has asked the type for its
/// fields once, and then goes straight to them, as far as types are known: behind a `dyn Record` names are looked up
/// again.
///
/// ```
/// use kfl::{Filter, Options, Sieve, Value};
///
/// struct Peer { port: u16 }
/// struct Call { from: Peer, status: i64 }
///
/// kfl::record! {
///     impl Record for Peer as peer {
///         "port" => Value::Int(peer.port.into()),
///     }
/// }
/// kfl::record! {
///     impl Record for Call as call {
///         "from": Peer => &call.from,
///         "status" => Value::Int(call.status),
///     }
/// }
///
/// let filter = Filter::new("from.port == 80 and status >= 400", &Options::new(&[], 0))?;
/// let sieve = Sieve::new(filter);
/// assert!(sieve.matches(&Call { from: Peer { port: 80 }, status: 500 }));
/// assert!(!sieve.matches(&Call { from: Peer { port: 81 }, status: 500 }));
/// # Ok::<(), kfl::Error>(())
/// ```
pub struct Sieve<R> {
    filter: Arc<Filter>,
    form: Form<R>,
}

enum Form<R> {
    /// One term, and whether each of its answers lets a record through: most queries that are typed.
    Term(Probe<R>, Passes),
    Terms(Code<Probe<R>>),
    /// The filter's own way has to serve.
    Filter,
}

/// What answers one question about records of one type.
pub type Probe<R> = Box<dyn Fn(&R) -> Answer + Send + Sync>;

/// The way from a record to one of its parts, both of a known type.
pub trait Reach<R, T>: Fn(&R) -> &T + Copy + Send + Sync + 'static {}

impl<R, T, F: Fn(&R) -> &T + Copy + Send + Sync + 'static> Reach<R, T> for F {}

impl<R: Record + 'static> Sieve<R> {
    /// Makes a filter ready.
    pub fn new(filter: impl Into<Arc<Filter>>) -> Self {
        let filter = filter.into();
        let code =
            filter.code().map(|code| code.map(|question| R::probe(question.clone(), |record: &R| record)));
        let form = match code.map(Code::single) {
            Some(Ok((probe, passes))) => Form::Term(probe, passes),
            Some(Err(code)) => Form::Terms(code),
            None => Form::Filter,
        };
        Sieve { filter, form }
    }

    /// The filter that it was made of.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Whether the query lets this record through: the same as [`Filter::matches`].
    #[inline]
    pub fn matches(&self, record: &R) -> bool {
        match &self.form {
            Form::Term(probe, passes) => passes.on(probe(record)),
            Form::Terms(code) => code.passes(|probe| probe(record)),
            Form::Filter => self.filter.matches(record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Options, OrNull, Source, Value, Variable, View, json};
    use std::net::IpAddr;

    struct Call {
        from: Peer,
        answer: Option<Answer>,
        note: Option<&'static str>,
        body: &'static [u8],
        names: Vec<serde_json::Value>,
        secure: bool,
    }

    struct Peer {
        ip: IpAddr,
        port: u64,
        load: f64,
    }

    struct Answer {
        status: i64,
        text: String,
    }

    crate::record! {
        impl Record for Call as call {
            "answer" => OrNull(call.answer.as_ref()),
            "body" => Value::Base64(call.body),
            "from": Peer => &call.from,
            "names" => Value::list(&call.names),
            "note" => call.note.map(Value::text),
            "secure" => Value::Bool(call.secure),
            "view" => View(Peer { ..call.from }),
        }
    }

    crate::record! {
        impl Record for Peer as peer {
            "ip" => Value::Address(&peer.ip),
            "load" => Value::Float(peer.load),
            "port" => Value::Digits(peer.port),
        }
    }

    crate::record! {
        impl Record for Answer as answer {
            "status" => Value::Int(answer.status),
            "text" => Value::Text(answer.text.clone().into()),
        }
    }

    const VARIABLES: &[Variable] = &[
        Variable { name: "port", kind: Kind::Int, source: Source::Paths(&["from.port"]) },
        Variable { name: "status", kind: Kind::Int, source: Source::Paths(&["answer.status"]) },
        Variable { name: "note", kind: Kind::Text, source: Source::Paths(&["note"]) },
        Variable { name: "text", kind: Kind::Text, source: Source::Paths(&["answer.text"]) },
        Variable { name: "ip", kind: Kind::Text, source: Source::Paths(&["from.ip"]) },
        Variable { name: "peer", kind: Kind::Text, source: Source::Paths(&["from"]) },
    ];

    const FIELDS: &[&str] = &[
        "answer",
        "answer.status",
        "answer.text",
        "body",
        "from",
        "from.ip",
        "from.load",
        "from.port",
        "from.port.x",
        "names",
        "note",
        "secure",
        "view",
        "view.port",
        "missing",
        "from.missing",
    ];

    /// `#` is the field.
    const TESTS: &[&str] = &[
        "#",
        "!#",
        "# == \"80\"",
        "80 == #",
        "# != 500",
        "# == nil",
        "# == \"10.0.0.7\"",
        "# == \"::7\"",
        "# == \"aGk=\"",
        "# < 100",
        "# >= 0.5",
        "# > 10 and # <= 500",
        "# == 80 or # == \"a\"",
        "# == 1 or # != 80",
        "# == r\"^[0-9a]\"",
        "# != r\"0\"",
        "#.contains(\"0\")",
        "#.startsWith(\"a\")",
        "#.endsWith(\"e\")",
        "!(# == true) and secure",
        "# == 500 or from.port == \"80\"",
        "#.* == \"b\"",
        "# == from.port",
    ];

    const SECOND: &[&str] = &[
        "port == 80 && status >= 400",
        "port in [80, 81]",
        "note in ['a', 'b'] || !(text.contains('t'))",
        "status == 0",
        "note == ''",
        "peer == ''",
        "ip == '10.0.0.7'",
        "ip.matches('^1')",
        "port + 1 == 81",
        "text < 'b'",
    ];

    /// The filter finds each field by name, the sieve has them bound, and JSON has no types at all.
    #[test]
    fn lets_through_what_the_filter_does() {
        let call = |port, ip: [u16; 8], answer, note, secure| Call {
            from: Peer { ip: IpAddr::from(ip).to_canonical(), port, load: 0.5 },
            answer,
            note,
            body: b"hi",
            names: vec!["a".into(), "b".into(), 80.into()],
            secure,
        };
        let answer = |status, text: &str| Some(Answer { status, text: text.to_owned() });
        let calls = [
            call(80, [0, 0, 0, 0, 0, 0xffff, 0x0a00, 7], answer(500, "a text"), Some("a"), true),
            call(u64::MAX, [0, 0, 0, 0, 0, 0, 0, 7], answer(80, ""), None, false),
            call(0, [0; 8], None, Some("80"), false),
        ];
        let options = Options { variables: VARIABLES, ..Options::new(&[], 0) };
        let first = FIELDS.iter().flat_map(|field| TESTS.iter().map(|test| test.replace('#', field)));
        let mut through = 0;
        for query in first.chain(SECOND.iter().map(|query| (*query).to_owned())) {
            let sieve = Sieve::new(Filter::new(&query, &options).unwrap());
            for (index, call) in calls.iter().enumerate() {
                let found = sieve.matches(call);
                let line: serde_json::Value = serde_json::from_str(&json::to_string(call)).unwrap();
                assert_eq!(found, sieve.filter().matches(call), "{query} on {index}");
                assert_eq!(found, sieve.filter().matches(&line), "{query} on {line}");
                through += usize::from(found);
            }
        }
        assert!((300..700).contains(&through), "{through}: as many as not, or the queries say little");
    }
}
