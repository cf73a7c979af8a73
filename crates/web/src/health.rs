//! `/healthz`, `/readyz` and `/metrics`: how a process is, without a word about traffic.

use std::fmt::Display;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

/// What a process says of itself.
pub trait Report: Clone + Send + Sync + 'static {
    /// Whether it can do its work now.
    fn readiness(&self) -> Readiness;

    /// Its numbers.
    fn metrics(&self, out: &mut Metrics);
}

/// Whether a process can do its work, with a sentence that says why or what it lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready(String),
    /// Not yet, or no longer.
    NotReady(String),
}

/// `/healthz` (200 while the process answers at all), `/readyz` (200 or 503) and `/metrics`.
pub fn routes<R: Report>(report: R) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready::<R>))
        .route("/metrics", get(metrics::<R>))
        .with_state(report)
}

async fn ready<R: Report>(State(report): State<R>) -> Response {
    match report.readiness() {
        Readiness::Ready(why) => (StatusCode::OK, why + "\n").into_response(),
        Readiness::NotReady(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n").into_response(),
    }
}

async fn metrics<R: Report>(State(report): State<R>) -> Response {
    let mut out = Metrics::default();
    report.metrics(&mut out);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], out.text).into_response()
}

/// Metrics in the text format of Prometheus, version 0.0.4.
///
/// ```
/// let mut metrics = web::Metrics::default();
/// metrics.counter("shark_teeth_total", "Teeth lost.").with(&[("jaw", "upper")], 3).with(&[("jaw", "lower")], 5);
/// metrics.gauge("shark_depth_metres", "Depth below the surface.").is(12.5);
/// assert!(metrics.to_string().contains("shark_teeth_total{jaw=\"lower\"} 5\n"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    text: String,
}

/// One metric, of which the values are still to be written.
#[derive(Debug)]
pub struct Metric<'a> {
    name: &'a str,
    text: &'a mut String,
}

impl Metrics {
    /// A number that only grows; its name ends in `_total`.
    pub fn counter<'a>(&'a mut self, name: &'a str, help: &str) -> Metric<'a> {
        self.metric(name, "counter", help)
    }

    /// A number that goes up and down.
    pub fn gauge<'a>(&'a mut self, name: &'a str, help: &str) -> Metric<'a> {
        self.metric(name, "gauge", help)
    }

    /// Metrics that are written already, in the same format.
    pub fn append(&mut self, text: &str) {
        self.text.push_str(text);
        if !text.is_empty() && !text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn metric<'a>(&'a mut self, name: &'a str, kind: &str, help: &str) -> Metric<'a> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.text.extend(["# HELP ", name, " ", &help, "\n# TYPE ", name, " ", kind, "\n"]);
        Metric { name, text: &mut self.text }
    }
}

impl Display for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Metric<'_> {
    /// Its only value.
    pub fn is(self, value: impl Display) {
        self.with(&[], value);
    }

    /// A value of these labels, in a chain of values.
    #[expect(clippy::return_self_not_must_use, reason = "the last of a chain of values is not used")]
    pub fn with(mut self, labels: &[(&str, &str)], value: impl Display) -> Self {
        self.add(labels, value);
        self
    }

    /// A value of these labels.
    pub fn add(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(self.name);
        let mut separator = "{";
        for (name, label) in labels {
            let label = label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.text.extend([separator, name, "=\"", &label, "\""]);
            separator = ",";
        }
        self.text.push_str(if labels.is_empty() { " " } else { "} " });
        self.text.extend([&value.to_string(), "\n"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_written_as_prometheus_reads_them() {
        let mut metrics = Metrics::default();
        metrics
            .counter("a_total", "Of a\\b,\nand c.")
            .with(&[("x", "1"), ("y", "\"q\"\\\n")], 3)
            .with(&[], 4);
        metrics.gauge("b", "Of b.").is(0.5);
        assert_eq!(
            metrics.to_string(),
            "# HELP a_total Of a\\\\b,\\nand c.\n# TYPE a_total counter\n\
             a_total{x=\"1\",y=\"\\\"q\\\"\\\\\\n\"} 3\na_total 4\n\
             # HELP b Of b.\n# TYPE b gauge\nb 0.5\n"
        );
    }
}
