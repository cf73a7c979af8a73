//! Items as an [HTTP Archive 1.2](http://www.softwareishard.com/blog/har-12-spec/).

use serde_json::{Value, json};

/// The archive of the HTTP items among these.
pub(super) fn archive(items: &[Value]) -> Value {
    let entries: Vec<_> =
        items.iter().filter(|item| item["request"]["method"].is_string()).map(entry).collect();
    json!({
        "log": {
            "version": "1.2",
            "creator": { "name": "Kubeshark", "version": env!("CARGO_PKG_VERSION") },
            "entries": entries,
        }
    })
}

fn entry(item: &Value) -> Value {
    let (request, response) = (&item["request"], &item["response"]);
    let elapsed = item["elapsedTime"].as_f64().unwrap_or_default();
    let mut asked = json!({
        "method": request["method"],
        "url": text(&request["url"]),
        "httpVersion": text(&request["httpVersion"]),
        "cookies": pairs(&request["cookies"]),
        "headers": pairs(&request["headers"]),
        "queryString": pairs(&request["queryString"]),
        "headersSize": size(&request["headersSize"]),
        "bodySize": size(&request["bodySize"]),
    });
    if request["postData"].is_object() {
        let post = &request["postData"];
        let params = post["params"].as_array().cloned().unwrap_or_default();
        asked["postData"] =
            json!({ "mimeType": text(&post["mimeType"]), "params": params, "text": text(&post["text"]) });
    }
    let content = &response["content"];
    let mut body = json!({
        "size": content["size"].as_i64().unwrap_or_default(),
        "mimeType": text(&content["mimeType"]),
        "text": text(&content["text"]),
    });
    if let Some(encoding) = content["encoding"].as_str().filter(|encoding| !encoding.is_empty()) {
        body["encoding"] = encoding.into();
    }
    json!({
        "startedDateTime": text(&item["startTime"]),
        "time": elapsed,
        "request": asked,
        "response": {
            "status": response["status"].as_i64().unwrap_or_default(),
            "statusText": text(&response["statusText"]),
            "httpVersion": text(&response["httpVersion"]),
            "cookies": pairs(&response["cookies"]),
            "headers": pairs(&response["headers"]),
            "content": body,
            "redirectURL": text(&response["redirectURL"]),
            "headersSize": size(&response["headersSize"]),
            "bodySize": size(&response["bodySize"]),
        },
        "cache": {},
        "timings": { "send": 0, "wait": elapsed, "receive": 0 },
        "serverIPAddress": text(&item["dst"]["ip"]),
        "connection": text(&item["stream"]),
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// -1 stands for what is not known.
fn size(value: &Value) -> i64 {
    value.as_i64().unwrap_or(-1)
}

/// Members as the archive lists them; a name with several values comes several times.
fn pairs(map: &Value) -> Vec<Value> {
    let members = map.as_object().into_iter().flatten();
    let each = members.flat_map(|(name, value)| match value {
        Value::Array(values) => values.iter().map(|value| pair(name, value)).collect(),
        value => vec![pair(name, value)],
    });
    each.collect()
}

fn pair(name: &str, value: &Value) -> Value {
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    json!({ "name": name, "value": value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_is_archived() {
        let http = json!({
            "startTime": "2023-03-14T15:38:26.000000000Z", "elapsedTime": 12, "dst": {"ip": "10.0.0.1"}, "stream": "s",
            "request": {"method": "POST", "url": "http://a/b", "headers": {"Accept": "x", "X": ["1", "2"]}, "cookies": {},
                        "queryString": {}, "postData": {"mimeType": "text/plain", "text": "hi"}, "headersSize": 10},
            "response": {"status": 500, "content": {"size": 2, "text": "no", "mimeType": "text/plain", "encoding": "base64"}},
        });
        let dns = json!({"request": {"opCode": "QUERY"}, "response": {}});
        let archive = archive(&[http, dns]);
        let entries = archive["log"]["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 1);
        let headers = json!([{"name": "Accept", "value": "x"}, {"name": "X", "value": "1"}, {"name": "X", "value": "2"}]);
        assert_eq!(entries[0]["request"]["headers"], headers);
        assert_eq!(entries[0]["request"]["bodySize"], -1);
        assert_eq!(entries[0]["response"]["content"]["encoding"], "base64");
        assert_eq!(entries[0]["response"]["status"], 500);
    }
}
