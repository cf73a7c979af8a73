//! What is packed goes to the bucket, beside the script: however long it takes, the script records on.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Instant,
};

use outlets::{Attachment, BotMessage, Outlets};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    helpers::{
        Call,
        file::{blocking, remove},
        vendor,
    },
    lock,
    wire::LineKind,
};

use super::{
    parameters::{Bucket, Parameters, Target},
    period::{gmt, put, text},
};

/// Lines of the log; the oldest is forgotten.
const LOG: usize = 10_000;
/// The first and the longest pause after a failure, in milliseconds.
const PAUSE: (i64, i64) = (30_000, 15 * 60_000);

/// A repository on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Packed {
    pub(super) path: String,
    pub(super) kfl_index: usize,
    pub(super) kfl_query: String,
    pub(super) streams: usize,
    pub(super) snapshot_millis: u64,
}

/// How an upload ended.
struct Done {
    packed: Packed,
    url: Result<String, String>,
    /// What else went wrong: the log, Slack.
    beside: Vec<String>,
    log: Vec<Value>,
}

/// Repositories on their way, one at a time and in order.
pub(super) struct Uploads {
    waiting: VecDeque<Packed>,
    running: bool,
    done: Arc<Mutex<Option<Done>>>,
    log: Vec<Value>,
    /// The digits of the log's name: the time of the first.
    began: i64,
    pause: i64,
    not_before: i64,
}

impl Uploads {
    pub(super) fn new(call: &Call<'_>) -> Self {
        Self {
            waiting: VecDeque::new(),
            running: false,
            done: Arc::default(),
            log: Vec::new(),
            began: call.now_millis() / 1000,
            pause: PAUSE.0,
            not_before: 0,
        }
    }

    /// One more.
    pub(super) fn add(&mut self, packed: Packed) {
        self.waiting.push_back(packed);
    }

    /// One that an earlier run left.
    pub(super) fn found(&mut self, call: &mut Call<'_>, path: &str) {
        let about = format!("{path}.json");
        let text = blocking(call, move |files| text(files, &about));
        let packed = text.ok().and_then(|text| serde_json::from_str(&text).ok());
        self.add(packed.unwrap_or_else(|| Packed {
            path: path.to_owned(),
            kfl_index: 0,
            kfl_query: String::new(),
            streams: 0,
            snapshot_millis: 0,
        }));
    }

    /// Tells what was done, and goes on with what waits.
    pub(super) fn tick(&mut self, call: &mut Call<'_>, parameters: &Parameters, home: &str) {
        let done = lock(&self.done).take();
        if let Some(done) = done {
            self.running = false;
            self.tell(call, parameters, done);
        }
        let now = call.now_millis();
        if self.running || self.not_before > now {
            return;
        }
        let Some(packed) = self.waiting.pop_front() else { return };
        let outlets = match vendor::outlets(call) {
            Ok(outlets) => outlets,
            Err(error) => {
                let done = Done { packed, url: Err(super::why(&error)), beside: Vec::new(), log: Vec::new() };
                return self.tell(call, parameters, done);
            }
        };
        let name = packed.path.rsplit('/').next().unwrap_or_default().to_owned();
        let folder = vendor::folder(call);
        let what = json!({
            "bucket": match &parameters.bucket {
                Bucket::S3(bucket) => &bucket.bucket,
                Bucket::Gcs { bucket, .. } => bucket,
            },
            "key": format!("{folder}/{name}"),
            "kfl": packed.kfl_query,
            "streams": packed.streams,
        });
        if !call.sends(what) {
            forget(call, &packed);
            return;
        }
        self.running = true;
        let log_name = format!("{}{}.json", parameters.target.log(), self.began);
        let job = Job {
            outlets,
            parameters: parameters.clone(),
            data_dir: call.about().data_dir.clone(),
            key: format!("{folder}/{name}"),
            log_key: format!("{folder}/{log_name}"),
            log_path: format!("{home}/{log_name}"),
            log: self.log.clone(),
            name,
            now: now / 1000,
        };
        let place = Arc::clone(&self.done);
        let runtime = call.scope().shared.runtime.clone();
        let here = runtime.clone();
        // One thread for each recorder that uploads.
        let upload = runtime.spawn_blocking(move || {
            let done = here.block_on(job.run(packed));
            *lock(&place) = Some(done);
        });
        // A capture's time stands still meanwhile: it would be over before the upload is.
        if call.scope().shared.clock.is_capture() {
            drop(runtime.block_on(upload));
        }
    }

    fn tell(&mut self, call: &mut Call<'_>, parameters: &Parameters, done: Done) {
        for why in &done.beside {
            call.print(LineKind::Error, why);
        }
        match done.url {
            Ok(url) => {
                self.log = done.log;
                self.pause = PAUSE.0;
                self.not_before = 0;
                if parameters.verbose {
                    call.print(LineKind::Log, &format!("Uploaded {url}"));
                }
                forget(call, &done.packed);
            }
            Err(why) => {
                let seconds = self.pause / 1000;
                let path = &done.packed.path;
                let said = format!(
                    "{path} is not uploaded, stays on disk, and is tried again in {seconds} s: {why}"
                );
                call.print(LineKind::Error, &said);
                self.not_before = call.now_millis() + self.pause;
                self.pause = (2 * self.pause).min(PAUSE.1);
                self.waiting.push_front(done.packed);
            }
        }
    }
}

/// It is no longer needed on disk.
fn forget(call: &mut Call<'_>, packed: &Packed) {
    for path in [packed.path.clone(), format!("{}.json", packed.path)] {
        if let Err(error) = remove(call, &path) {
            let why = super::why(&error);
            call.print(LineKind::Error, &format!("{path} stays behind: {why}"));
        }
    }
}

/// One upload, away from JavaScript.
struct Job {
    outlets: Outlets,
    parameters: Parameters,
    data_dir: PathBuf,
    /// The repository's file name.
    name: String,
    key: String,
    log_key: String,
    log_path: String,
    log: Vec<Value>,
    /// Seconds since the Unix epoch.
    now: i64,
}

impl Job {
    async fn run(mut self, packed: Packed) -> Done {
        let started = Instant::now();
        let url = match self.put(&self.key, &packed.path).await {
            Ok(url) => url,
            Err(why) => return Done { packed, url: Err(why), beside: Vec::new(), log: Vec::new() },
        };
        let upload_millis = started.elapsed().as_millis();
        let url_key = if self.parameters.target == Target::S3 { "s3_url" } else { "gcs_url" };
        self.log.push(json!({
            "file": self.name,
            "kfl_index": packed.kfl_index,
            "kfl_query": packed.kfl_query,
            url_key: url,
            "time": gmt(self.now),
        }));
        let oldest = self.log.len().saturating_sub(LOG);
        self.log.drain(..oldest);
        let service = self.parameters.target.name();
        let mut beside = Vec::new();
        if let Err(why) = self.put_log().await {
            beside.push(format!("The progress log is not uploaded; the next one has its lines too: {why}"));
        }
        let text = format!(
            "New PCAP: {url}; L4 streams: {}; KFL: \"{}\"; Snapshot time: {} ms; {service} upload time: {upload_millis} ms",
            packed.streams, packed.kfl_query, packed.snapshot_millis
        );
        beside.extend(self.slack(text).await);
        Done { packed, url: Ok(url), beside, log: self.log }
    }

    async fn put(&self, key: &str, path: &str) -> Result<String, String> {
        let path = self.data_dir.join(path);
        let put = match &self.parameters.bucket {
            Bucket::S3(bucket) => self.outlets.s3_put(bucket, key, &path).await,
            Bucket::Gcs { bucket, account } => self.outlets.gcs_put(bucket, key, &path, account).await,
        };
        put.map_err(|error| error.text())
    }

    async fn put_log(&self) -> Result<(), String> {
        let (data_dir, path, log) = (self.data_dir.clone(), self.log_path.clone(), self.log.clone());
        let written = tokio::task::spawn_blocking(move || {
            let files = crate::files::Files::open(&data_dir, u64::MAX).map_err(|error| error.to_string())?;
            put(&files, &path, &serde_json::to_vec_pretty(&log).unwrap_or_default())
                .map_err(|error| error.to_string())
        });
        written.await.map_err(|error| error.to_string())??;
        self.put(&self.log_key, &self.log_path).await.map(drop)
    }

    /// Tells people; gives what went wrong.
    async fn slack(&self, text: String) -> Vec<String> {
        let attachment = Attachment { pretext: "Notification".to_owned(), text, color: "#ff0000".to_owned() };
        let mut wrong = Vec::new();
        if let Some(webhook) = &self.parameters.slack_webhook
            && let Err(error) = self.outlets.slack(webhook, &attachment).await
        {
            wrong.push(error.text());
        }
        if let Some((token, channel)) = &self.parameters.slack_bot {
            let message = BotMessage {
                token: token.clone(),
                channel: channel.clone(),
                attachment,
                ..BotMessage::default()
            };
            if let Err(error) = self.outlets.slack_bot(&message).await {
                wrong.push(error.text());
            }
        }
        wrong
    }
}
