//! The fields of requests and responses, as filters and entries have them.

use kfl::{Lent, List, Value, View};

use super::{Interim, Params, PostData, Request, Response, TextOrBytes, UNKNOWN_SIZE};
use crate::{dissector::Part, http1::words::reason};

fn version(text: &str) -> Value<'_> {
    Value::text(if text.is_empty() { "HTTP/0.9" } else { text })
}

kfl::record! {
    impl Record for Request as request {
        "bodySize" => Value::Int(request.body_size),
        "cookies" => View(request.cookies()),
        "headers" => View(request.headers()),
        "headersSize" => Value::Int(UNKNOWN_SIZE),
        "httpVersion" => version(request.text.get(request.version)),
        "method" => Value::text(request.text.get(request.method)),
        "path" => Value::text(request.text.get(request.path)),
        "pathSegments" => Value::List(Lent::Made(Box::new(request.segments()))),
        "postData" => request.post.as_ref().map(|post| Value::record(post)),
        "queryString" => View(request.query()),
        "targetUri" => Value::text(request.target()),
        "url" => Value::text(request.target()),
    }
}

kfl::record! {
    impl Record for PostData as post {
        "encoding" => matches!(post.body, TextOrBytes::Bytes(_)).then(|| Value::text("base64")),
        "mimeType" => Value::text(&post.mime_type),
        "params" => Value::list(&post.params),
        "text" => match &post.body {
            TextOrBytes::Text(text) => Value::text(text),
            TextOrBytes::Bytes(bytes) => Value::Base64(bytes),
        },
    }
}

kfl::record! {
    impl Record for Response as response {
        "bodySize" => Value::Int(response.body_size),
        "content" => View(ContentOf(response)),
        "cookies" => View(response.cookies()),
        "headers" => View(response.headers()),
        "headersSize" => Value::Int(UNKNOWN_SIZE),
        "httpVersion" => version(response.text.get(response.version)),
        "interim" => (!response.interim.0.is_empty()).then(|| Value::list(&response.interim)),
        "redirectURL" => Value::text(response.redirect_url()),
        "status" => Value::Int(i64::from(response.status)),
        "statusText" => Value::text(reason(response.status)),
    }
}

struct ContentOf<'a>(&'a Response);

kfl::record! {
    impl Record for ContentOf<'_> as content {
        "encoding" => Value::text("base64"),
        "mimeType" => Value::text(content.0.text.get(content.0.content.mime_type)),
        "size" => Value::Int(content.0.content.size),
        "text" => (!content.0.content.text.is_empty()).then(|| Value::Base64(&content.0.content.text)),
    }
}

impl List for Interim {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn at(&self, index: usize) -> Option<Value<'_>> {
        self.0.get(index).map(|code| Value::Int(i64::from(*code)))
    }
}

impl List for Params {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn at(&self, index: usize) -> Option<Value<'_>> {
        self.0.get(index).map(|param| Value::record(param))
    }
}

impl Part for Request {}
impl Part for Response {}
