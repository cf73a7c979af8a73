//! Queries and answers as users see them.

use api::{Fault, FaultKind, Payload, Row, Section, Summary};
use kfl::{List, Record, Value};

use super::{
    DNS,
    parser::{Broken, Data, Parsed, Question, Resource},
    words,
};
use crate::{Key, Message, Role, dissector::Part};

/// What was asked.
#[derive(Debug)]
struct Request {
    opcode: u8,
    questions: Questions,
}

/// What was answered.
#[derive(Debug)]
struct Response {
    code: u16,
    answers: Resources,
    authorities: Resources,
    additionals: Resources,
    /// What was asked, as the answer repeats it: shown where the query was not seen.
    questions: Questions,
    alone: bool,
}

#[derive(Debug)]
struct Questions(Vec<Question>);

#[derive(Debug)]
struct Resources(Vec<Resource>);

/// Makes the message of what was parsed, and of what the capture `cut`.
pub(super) fn build(parsed: Parsed, cut: bool) -> Message {
    let key = Key { id: u64::from(parsed.id), about: parsed.questions.first().map(Question::digest) };
    let questions = Questions(parsed.questions);
    let (role, payload): (_, Box<dyn Part>) = if parsed.response {
        let response = Response {
            code: parsed.code,
            answers: Resources(parsed.answers),
            authorities: Resources(parsed.authorities),
            additionals: Resources(parsed.additionals),
            questions,
            alone: false,
        };
        (Role::Response, Box::new(response))
    } else {
        (Role::Request, Box::new(Request { opcode: parsed.opcode, questions }))
    };
    let error = parsed.broken.map(|broken| Fault {
        kind: FaultKind::Dissection,
        message: match broken {
            Broken::Short if cut => "the capture kept only the beginning of the DNS message",
            Broken::Short => "the DNS message is shorter than its counts say",
            Broken::Bad => "a record of the DNS message is not well-formed",
        },
    });
    Message {
        protocol: &DNS,
        role,
        payload,
        key: Some(key),
        hint: 0,
        ambiguous: false,
        truncated: parsed.broken.is_some(),
        gap: 0,
        error,
    }
}

kfl::record! {
    impl Record for Request as request {
        "opCode" => Value::Text(words::opcode(request.opcode)),
        "questions" => request.questions.value(),
    }
}

kfl::record! {
    impl Record for Response as response {
        "additionals" => response.additionals.value(),
        "answers" => response.answers.value(),
        "authorities" => response.authorities.value(),
        "code" => Value::Text(words::code(response.code)),
        "questions" => response.alone.then(|| response.questions.value()),
    }
}

kfl::record! {
    impl Record for Question as question {
        "class" => Value::Text(words::class(question.class)),
        "name" => Value::text(&question.name),
        "type" => Value::Text(words::kind(question.kind)),
    }
}

kfl::record! {
    impl Record for Resource as resource {
        "class" => Value::Text(words::class(resource.class)),
        "cname" => Value::text(if let Data::Cname(text) = &resource.data { text } else { "" }),
        "ip" => resource.ip(),
        "mx" => Value::text(if let Data::Mx(text) = &resource.data { text } else { "" }),
        "name" => Value::text(&resource.name),
        "ns" => Value::text(if let Data::Ns(text) = &resource.data { text } else { "" }),
        "opt" => Value::text(if let Data::Opt(text) = &resource.data { text } else { "" }),
        "ptr" => Value::text(if let Data::Ptr(text) = &resource.data { text } else { "" }),
        "soa" => Value::text(if let Data::Soa(text) = &resource.data { text } else { "" }),
        "srv" => Value::text(if let Data::Srv(text) = &resource.data { text } else { "" }),
        "ttl" => Value::Int(i64::from(resource.ttl)),
        "txts" => Value::text(if let Data::Txts(text) = &resource.data { text } else { "" }),
        "type" => Value::Text(words::kind(resource.kind)),
        "uri" => Value::text(if let Data::Uri(text) = &resource.data { text } else { "" }),
    }
}

impl Resource {
    /// `<nil>` where there is none, as the original prints it.
    fn ip(&self) -> Value<'_> {
        match &self.data {
            Data::Ip(ip) => Value::Text(ip.to_string().into()),
            _ => Value::text("<nil>"),
        }
    }

    fn heap_size(&self) -> usize {
        let data = match &self.data {
            Data::Other | Data::Ip(_) => 0,
            Data::Cname(text)
            | Data::Mx(text)
            | Data::Ns(text)
            | Data::Opt(text)
            | Data::Ptr(text)
            | Data::Soa(text)
            | Data::Srv(text)
            | Data::Txts(text)
            | Data::Uri(text) => text.len(),
        };
        size_of::<Self>() + self.name.len() + data
    }
}

impl Questions {
    fn value(&self) -> Value<'_> {
        if self.0.is_empty() { Value::Null } else { Value::list(self) }
    }

    fn heap_size(&self) -> usize {
        self.0.iter().map(|question| size_of::<Question>() + question.name.len()).sum()
    }
}

impl Resources {
    /// Null where there is none, as the original has it.
    fn value(&self) -> Value<'_> {
        if self.0.is_empty() { Value::Null } else { Value::list(self) }
    }

    fn heap_size(&self) -> usize {
        self.0.iter().map(Resource::heap_size).sum()
    }

    fn sections(&self, title: &str, key: &str, sections: &mut Vec<Section>) {
        const ROWS: [(&str, &str); 14] = [
            ("Name", "name"),
            ("Type", "type"),
            ("Class", "class"),
            ("TTL", "ttl"),
            ("IP", "ip"),
            ("NS", "ns"),
            ("CNAME", "cname"),
            ("PTR", "ptr"),
            ("TXTs", "txts"),
            ("SOA", "soa"),
            ("SRV", "srv"),
            ("MX", "mx"),
            ("OPT", "opt"),
            ("URI", "uri"),
        ];
        for (index, resource) in self.0.iter().enumerate() {
            let rows = ROWS.iter().map(|(name, field)| {
                let value = match resource.get(field) {
                    Some(Value::Text(text)) => text.into_owned(),
                    Some(Value::Int(number)) => number.to_string(),
                    _ => String::new(),
                };
                Row::new(*name, value, format!("response.{key}[{index}].{field}"))
            });
            sections.push(Section::table(format!("{title} [{index}]"), rows.collect()));
        }
    }
}

impl List for Questions {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn at(&self, index: usize) -> Option<Value<'_>> {
        self.0.get(index).map(|question| Value::record(question))
    }
}

impl List for Resources {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn at(&self, index: usize) -> Option<Value<'_>> {
        self.0.get(index).map(|resource| Value::record(resource))
    }
}

impl Part for Request {}

impl Part for Response {
    fn without_request(&mut self) {
        self.alone = true;
    }
}

impl Payload for Request {
    fn heap_size(&self) -> usize {
        size_of::<Self>() + self.questions.heap_size()
    }

    fn summary(&self) -> Summary {
        let opcode = words::opcode(self.opcode).into_owned();
        let mut summary = Summary {
            method_query: format!("request.opCode == \"{opcode}\""),
            method: opcode,
            ..Summary::default()
        };
        if let Some(question) = self.questions.0.first() {
            let name = question.name.replace('\\', "\\\\").replace('"', "\\\"");
            summary.summary = question.name.to_string();
            summary.summary_query = format!("request.questions[0].name == \"{name}\"");
        }
        summary
    }

    fn sections(&self) -> Vec<Section> {
        let rows = vec![Row::new("OpCode", words::opcode(self.opcode), "request.opCode")];
        let mut sections = vec![Section::table("Details", rows)];
        for (index, question) in self.questions.0.iter().enumerate() {
            let selector = |field: &str| format!("request.questions[{index}].{field}");
            let rows = vec![
                Row::new("Name", &question.name, selector("name")),
                Row::new("Type", words::kind(question.kind), selector("type")),
                Row::new("Class", words::class(question.class), selector("class")),
            ];
            sections.push(Section::table(format!("Question [{index}]"), rows));
        }
        sections
    }
}

impl Payload for Response {
    fn heap_size(&self) -> usize {
        let sections = [&self.answers, &self.authorities, &self.additionals];
        size_of::<Self>()
            + self.questions.heap_size()
            + sections.into_iter().map(Resources::heap_size).sum::<usize>()
    }

    fn summary(&self) -> Summary {
        Summary::default()
    }

    fn sections(&self) -> Vec<Section> {
        let rows = vec![Row::new("Code", words::code(self.code), "response.code")];
        let mut sections = vec![Section::table("Details", rows)];
        self.answers.sections("Answer", "answers", &mut sections);
        self.authorities.sections("Authorities", "authorities", &mut sections);
        self.additionals.sections("Additionals", "additionals", &mut sections);
        sections
    }
}
