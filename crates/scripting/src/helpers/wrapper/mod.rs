//! `wrapper.*`: what would be many lines of JavaScript.

mod har;
mod recording;

use serde_json::{Map, Value};

use super::Helper;

use recording::Target;

pub(super) const HELPERS: &[Helper] = &[
    Helper {
        name: "wrapper.kflPcapS3",
        signature: "wrapper.kflPcapS3(data: Item, params: { kflArr: string[], awsRegion?: string, awsAccessKeyId?: string, awsSecretAccessKey?: string, s3Bucket?: string, slackWebhook?: string, slackAuthToken?: string, slackChannelId?: string, active?: boolean, verbose?: boolean, maxMinutes?: number, maxL4Streams?: number }): void",
        doc: "To be called with every item: records the streams of items that match one of the queries, and every \
              `maxMinutes` (60), or when there are `maxL4Streams` (100000), uploads those of a query to S3 as \
              `<node>_<ip>/kfl_<index>_kubeshark_<unix seconds>.tar.gz` with `content.json`, \
              `name_resolution_history.json` and `<unix seconds>.pcap`; `kflPcapS3_log_<digits>.json` beside it lists \
              them all. Region, keys and bucket are `env.AWS_REGION`, `env.AWS_ACCESS_KEY_ID`, \
              `env.AWS_SECRET_ACCESS_KEY` and `env.S3_BUCKET` unless given; without keys AWS's default chain is asked. \
              Slack is told where a webhook, or a token and a channel, are given. Uploads run beside the script; one \
              that fails is told on the console and tried again, and the recording stays on disk until it succeeds. \
              Throws if a query or a parameter makes no sense.",
        call: |call| recording::item(call, Target::S3),
    },
    Helper {
        name: "wrapper.kflPcapGcs",
        signature: "wrapper.kflPcapGcs(data: Item, params: { kflArr: string[], gcsBucket?: string, gcsSaKeyJson?: string | object, slackWebhook?: string, slackAuthToken?: string, slackChannelId?: string, active?: boolean, verbose?: boolean, maxMinutes?: number, maxL4Streams?: number }): void",
        doc: "The same with Google Cloud Storage: the bucket is `env.GCS_BUCKET` and the service account's key \
              `env.GCS_SA_KEY_JSON` unless given; the log is `kflPcapGcs_log_<digits>.json`, with `gcs_url` in place of \
              `s3_url`.",
        call: |call| recording::item(call, Target::Gcs),
    },
    Helper {
        name: "wrapper.buildHAR",
        signature: "wrapper.buildHAR(items: Item[]): string",
        doc: "The HTTP items of a list as an HTTP Archive 1.2, in JSON.",
        call: |call| {
            let items = call.json(0)?;
            let Value::Array(items) = items else { return Err(call.misses(0, "an array")) };
            Ok(call.text(&har::archive(&items).to_string()))
        },
    },
    Helper {
        name: "wrapper.joinMaps",
        signature: "wrapper.joinMaps(a: object, b: object): object",
        doc: "A new object with the members of both: numbers under the same name are added, objects joined in the same \
              way; of anything else the second counts.",
        call: |call| {
            let (a, b) = (call.json(0)?, call.json(1)?);
            let joined = join(a, b);
            call.from_json(&joined)
        },
    },
];

fn join(a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let mut joined: Map<String, Value> = a;
            for (key, value) in b {
                let value = match joined.remove(&key) {
                    Some(first) => join(first, value),
                    None => value,
                };
                joined.insert(key, value);
            }
            Value::Object(joined)
        }
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) if a.checked_add(b).is_some() => (a + b).into(),
            _ => (a.as_f64().unwrap_or_default() + b.as_f64().unwrap_or_default()).into(),
        },
        (a, Value::Null) => a,
        (_, b) => b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_are_joined() {
        for (a, b, joined) in [
            (json!({"a": 1, "b": 2}), json!({"b": 3, "c": 4}), json!({"a": 1, "b": 5, "c": 4})),
            (json!({"a": {"x": 1}}), json!({"a": {"x": 0.5}}), json!({"a": {"x": 1.5}})),
            (json!({"a": "x"}), json!({"a": 1}), json!({"a": 1})),
            (json!({}), json!(null), json!({})),
            (json!(null), json!({"a": 1}), json!({"a": 1})),
        ] {
            assert_eq!(join(a, b), joined);
        }
    }
}
