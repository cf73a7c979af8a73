//! `kubeshark scripts list`

use std::io::{self, Write};

use hyper::Method;
use serde_json::Value;

use crate::{asking::Hub, commands::console::printable, exit::Outcome};

pub(super) async fn run(hub: Hub) -> Outcome {
    let scripts = hub.ask(Method::GET, "/api/scripts", None).await?;
    let scripts = scripts.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut out = io::stdout().lock();
    if scripts.is_empty() {
        writeln!(out, "The hub runs no scripts. `kubeshark scripts FOLDER` delivers some.")?;
    }
    for script in scripts {
        let text = |key: &str| printable(script[key].as_str().unwrap_or_default());
        let inactive = if script["active"] == true { "" } else { "  (inactive)" };
        let path = script["path"].as_str().map(|path| format!("  {path}")).unwrap_or_default();
        let index = script["index"].as_u64().unwrap_or_default();
        writeln!(out, "{index:>3}  {}{inactive}{path}", text("title"))?;
        if script["error"].is_string() {
            writeln!(out, "     {}", text("error"))?;
        }
        for worker in script["workers"].as_array().map(Vec::as_slice).unwrap_or_default() {
            writeln!(out, "     {}", fares(worker))?;
        }
    }
    Ok(out.flush()?)
}

/// One line of how a script fares on a worker.
fn fares(worker: &Value) -> String {
    let name = worker["node"].as_str().or_else(|| worker["worker"].as_str()).unwrap_or_default();
    if worker["connected"] != true {
        return format!("{name}: away");
    }
    let Some(phase) = worker["phase"].as_str() else { return format!("{name}: not yet") };
    let counts = [("failed", "failed"), ("dropped", "dropped"), ("strikes", "strikes")];
    let counts = counts.into_iter().filter(|(key, _)| worker[key].as_u64().is_some_and(|count| count > 0));
    let counts: Vec<_> = counts.map(|(key, words)| format!(", {} {words}", worker[key])).collect();
    let error = worker["error"].as_str().map(|error| format!(": {}", printable(error)));
    let (counts, error) = (counts.concat(), error.unwrap_or_default());
    format!("{name}: {phase}, {} calls{counts}{error}", worker["calls"])
}
