//! `kubeshark kfl`

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::Subcommand;

use crate::{
    exit::{Failure, Outcome},
    query,
};

/// Try filters without a capture
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Say whether a query makes sense, and where it does not
    Check {
        /// The query
        query: String,
    },
    /// Print the lines of NDJSON that match a query
    ///
    /// For instance of what `kubeshark dissect` printed.
    Match {
        /// The query
        query: String,
        /// The lines; `-` is standard input
        #[arg(default_value = "-")]
        file: PathBuf,
    },
}

pub(crate) fn run(args: &Args) -> Outcome {
    match &args.action {
        Action::Check { query } => query::compile(query).map(drop),
        Action::Match { query, file } => matching(&query::compile(query)?, file),
    }
}

fn matching(filter: &kfl::Filter, file: &Path) -> Outcome {
    let name = file.display();
    let lines: Box<dyn BufRead> = if file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(
            File::open(file).map_err(|error| Failure::Failed(format!("cannot open {name}: {error}")))?,
        ))
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut left = filter.limit().unwrap_or(u64::MAX);
    for (index, line) in lines.lines().enumerate() {
        if left == 0 {
            break;
        }
        let refused = |why: String| Failure::Failed(format!("{name}, line {}: {why}", index + 1));
        let line = line.map_err(|error| refused(error.to_string()))?;
        let record: serde_json::Value =
            serde_json::from_str(&line).map_err(|error| refused(error.to_string()))?;
        if filter.matches(&record) {
            writeln!(out, "{}", kfl::json::to_string(&filter.altered(&record)))?;
            left -= 1;
        }
    }
    out.flush()?;
    Ok(())
}
