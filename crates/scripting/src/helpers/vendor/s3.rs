//! `vendor.s3.*`.

use boa_engine::{JsResult, JsValue};
use outlets::{AwsKeys, S3Bucket};
use serde_json::json;

use super::{super::Helper, Call, file_name, folder, outlets, run_folder, send_file, wait};

pub(in crate::helpers) const HELPERS: &[Helper] = &[
    Helper {
        name: "vendor.s3.put",
        signature: "vendor.s3.put(bucket: string, path: string, region: string, keyID?: string, accessKey?: string): string",
        doc: "Uploads a file to S3 and returns its URL. The object is `<NODE>_<IP>_<RUN>/<file>`. Without keys, AWS's default \
              chain finds them (environment, profile, service account, machine). The order of 2023, \
              `vendor.s3.put(region, keyID, accessKey, bucket, path)`, is known by its five arguments of which the \
              first looks like a region and the third does not; the object is `<NODE>_<IP>/<file>` then. Throws if the \
              file can't be read or S3 does not take it.",
        call: put,
    },
    Helper {
        name: "vendor.s3.clear",
        signature: "vendor.s3.clear(region: string, keyID: string, accessKey: string, bucket: string): void",
        doc: "Deletes what this node uploaded to the bucket in this run, and what it uploaded in the order of 2023. Throws \
              if S3 refuses.",
        call: clear,
    },
];

/// `us-east-2`, `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [area, words @ .., number] => {
            (2..=4).contains(&area.len())
                && is_word(area)
                && !words.is_empty()
                && words.iter().all(is_word)
                && number.len() == 1
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

/// Whether these are the arguments of 2023.
fn is_old_order(first: &str, third: Option<&str>, count: usize) -> bool {
    count == 5 && is_region(first) && !third.is_some_and(is_region)
}

/// A bucket, with the keys at these places if they are there.
fn bucket(call: &mut Call<'_>, name: usize, region: usize, keys: usize) -> JsResult<S3Bucket> {
    let region = match call.optional_string(region)? {
        Some(region) => region,
        None => call.env("AWS_REGION")?.ok_or_else(|| call.misses(region, "a string"))?,
    };
    let id = call.optional_string(keys)?.filter(|key| !key.is_empty());
    let secret = call.optional_string(keys + 1)?.filter(|key| !key.is_empty());
    let keys = match (id, secret) {
        (Some(id), Some(secret)) => Some(AwsKeys { id: id.into(), secret: secret.into(), session: None }),
        (None, None) => None,
        (Some(_), None) => return Err(call.misses(keys + 1, "given with keyID")),
        (None, Some(_)) => return Err(call.misses(keys, "given with accessKey")),
    };
    Ok(S3Bucket { region, bucket: call.string(name)?, keys })
}

fn put(call: &mut Call<'_>) -> JsResult<JsValue> {
    let first = call.string(0)?;
    let third = call.optional_string(2)?;
    let is_old = is_old_order(&first, third.as_deref(), call.len());
    let (bucket, path, folder) = if is_old {
        (bucket(call, 3, 0, 1)?, call.string(4)?, folder(call))
    } else {
        (bucket(call, 0, 2, 3)?, call.string(1)?, run_folder(call))
    };
    let key = format!("{folder}/{}", file_name(&path));
    let outlets = outlets(call)?;
    let url = outlets.s3_url(&bucket, &key);
    if !call.sends(json!({"bucket": bucket.bucket, "key": key, "path": path})) {
        return Ok(call.text(&url));
    }
    let url = send_file(call, &path, move |call, file| {
        let path = file.path.clone();
        wait(call, async move { outlets.s3_put(&bucket, &key, &path).await })
    })?;
    Ok(call.text(&url))
}

fn clear(call: &mut Call<'_>) -> JsResult<JsValue> {
    let bucket = bucket(call, 3, 0, 1)?;
    let folders = [format!("{}/", folder(call)), format!("{}/", run_folder(call))];
    let outlets = outlets(call)?;
    if call.sends(json!({"bucket": bucket.bucket, "clear": folders})) {
        wait(call, async move {
            for folder in &folders {
                outlets.s3_clear(&bucket, folder).await?;
            }
            Ok(())
        })?;
    }
    Ok(JsValue::undefined())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_known_by_their_looks() {
        for region in ["us-east-2", "ap-southeast-1", "us-gov-west-1", "cn-north-1", "us-isob-east-1"] {
            assert!(is_region(region), "{region}");
        }
        for other in
            ["", "bucket", "my-bucket", "my-bucket-12", "us-east", "US-EAST-1", "test-11-12", "a-b-1"]
        {
            assert!(!is_region(other), "{other}");
        }
    }

    #[test]
    fn both_orders_are_told_apart() {
        assert!(is_old_order("us-east-2", Some("secret"), 5));
        assert!(is_old_order("us-east-2", None, 5));
        assert!(!is_old_order("bucket", Some("us-east-2"), 5));
        assert!(!is_old_order("bucket", Some("us-east-2"), 3));
        assert!(!is_old_order("us-east-2", Some("us-east-2"), 5), "a bucket that is named like a region");
        assert!(!is_old_order("us-east-2", Some("x"), 4));
    }
}
