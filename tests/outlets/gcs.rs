//! Google Cloud Storage, at fake-gcs-server. It takes any token, so that a refusal is a receiver's.

use outlets::{Endpoints, Error, Limits, Outlets};
use serde_json::{Value, json};
use support::{
    Scratch,
    receiver::{Answer, Receiver},
    relay::{Fault, Relay},
    servers::{Gcs, service_account},
};

use crate::{file, impatient, nobody, outlets, quick, run, told};

fn at(address: &str, limits: Limits) -> Outlets {
    let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    outlets(Endpoints { gcs: Some(url), ..Endpoints::default() }, limits)
}

#[test]
fn small_and_large_files_arrive_whole() {
    let Some(server) = Gcs::start(&["traces"]) else { return };
    let scratch = Scratch::new();
    let outlets = at(&server.address, quick());
    let account = service_account();
    run(async {
        for (name, len) in [("empty.pcap", 0), ("small.pcap", 1000), ("large.pcap", 40 << 20)] {
            let (path, bytes) = file(&scratch, name, len);
            let url =
                outlets.gcs_put("traces", &format!("n_1/{name}"), &path, &account).await.expect("an upload");
            assert_eq!(url, format!("http://{}/traces/n_1/{name}", server.address));
            assert!(server.object("traces", &format!("n_1%2F{name}")) == Some(bytes), "{name} differs");
        }
    });
}

#[test]
fn clear_deletes_what_has_the_prefix() {
    let Some(server) = Gcs::start(&["traces"]) else { return };
    let scratch = Scratch::new();
    let (path, _) = file(&scratch, "a", 10);
    let outlets = at(&server.address, quick());
    let account = service_account();
    run(async {
        for name in ["n_1/a", "n_1/sub/b c", "n_2/a"] {
            outlets.gcs_put("traces", name, &path, &account).await.expect("an upload");
        }
        assert_eq!(outlets.gcs_clear("traces", "n_1/", &account).await.expect("a list"), 2);
        assert_eq!(server.names("traces"), ["n_2/a"]);
        assert_eq!(outlets.gcs_clear("traces", "n_1/", &account).await.expect("a list"), 0);
    });
}

#[test]
fn refusals_say_what_to_do() {
    let Some(server) = Gcs::start(&["traces"]) else { return };
    let scratch = Scratch::new();
    let (path, _) = file(&scratch, "a", 10);
    let account = service_account();
    run(async {
        let outlets = at(&server.address, quick());
        let missing = told(outlets.gcs_put("absent", "a", &path, &account).await);
        assert!(
            missing.contains("GCS: bucket \"absent\" refused: 404") && missing.contains("check the name"),
            "{missing}"
        );
        let missing = told(outlets.gcs_clear("absent", "a", &account).await);
        assert!(missing.contains("GCS: bucket \"absent\" refused: 404"), "{missing}");
        let no =
            Receiver::start(|_| Answer::new(403, r#"{"error":{"code":403,"message":"recorder may not"}}"#));
        let outlets = at(&no.url(""), quick());
        let error = told(outlets.gcs_put("traces", "a", &path, &account).await);
        assert!(error.contains("403 Forbidden: recorder may not; check the key"), "{error}");
        assert_eq!(no.received().len(), 1, "a refusal is not tried again");
        let sent = &no.received()[0];
        assert!(sent.header("authorization").is_some_and(|value| value.starts_with("Bearer ")), "{sent:?}");
    });
}

#[test]
fn keys_that_are_none() {
    let scratch = Scratch::new();
    let (path, _) = file(&scratch, "a", 10);
    let outlets = at(&nobody(), quick());
    let mut broken = service_account();
    broken["private_key"] = "-----BEGIN PRIVATE KEY-----\nMIIEvQ..\n-----END PRIVATE KEY-----\n".into();
    for account in [Value::Null, json!({}), json!("text"), broken] {
        let error = told(run(outlets.gcs_put("traces", "a", &path, &account)));
        assert!(error.starts_with("GCS: the service account's key can't"), "{error}");
        assert!(!error.contains("MIIEvQ"), "{error}");
    }
}

#[test]
fn a_server_that_is_down_silent_or_ill() {
    let scratch = Scratch::new();
    let (path, _) = file(&scratch, "a", 10);
    let account = service_account();
    run(async {
        let down = at(&nobody(), quick()).gcs_put("traces", "a", &path, &account).await.expect_err("nobody");
        assert!(matches!(&down, Error::Unreachable { attempts: 3, .. }), "{down:?}");
        let silent = Receiver::start(|_| Answer::Silence);
        let error = at(&silent.url(""), impatient()).gcs_put("traces", "a", &path, &account).await;
        assert!(matches!(&error, Err(Error::TimedOut { .. })), "{error:?}");
        let ill = Receiver::start(|_| Answer::new(500, "ill"));
        let error =
            at(&ill.url(""), quick()).gcs_put("traces", "a", &path, &account).await.expect_err("a fault");
        assert!(matches!(&error, Error::Refused { status: 500, attempts: 3, .. }), "{error:?}");
        assert_eq!(ill.received().len(), 3);
    });
}

#[test]
fn a_wire_that_is_cut_in_the_middle() {
    let relay = Relay::start();
    let Some(server) = Gcs::start_behind(&["traces"], Some(relay.address())) else { return };
    relay.forward(&server.address);
    let scratch = Scratch::new();
    let (path, bytes) = file(&scratch, "large.pcap", 20 << 20);
    let account = service_account();
    run(async {
        let outlets = at(relay.address(), quick());
        relay.fail(Fault::CutAfter(3 << 20));
        let error = outlets.gcs_put("traces", "large.pcap", &path, &account).await.expect_err("a cut wire");
        assert!(matches!(&error, Error::Unreachable { .. }), "{error:?}");
        assert_eq!(server.object("traces", "large.pcap"), None);
        relay.fail(Fault::None);
        outlets.gcs_put("traces", "large.pcap", &path, &account).await.expect("an upload");
        assert!(server.object("traces", "large.pcap") == Some(bytes));
    });
}
