//! What `prometheus.*` counts.

use std::collections::BTreeMap;

/// Series by name, and in a name by their labels, in Prometheus' text format.
#[derive(Debug, Default)]
pub(crate) struct Series {
    families: BTreeMap<String, Family>,
    len: usize,
    pub(crate) is_changed: bool,
}

#[derive(Debug)]
struct Family {
    help: String,
    kind: &'static str,
    values: BTreeMap<String, f64>,
}

impl Series {
    /// Sets the value of a series; of a counter, adds to it.
    pub(crate) fn set(
        &mut self,
        limit: usize,
        (name, help, kind): (&str, &str, u8),
        value: f64,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let kind = match kind {
            1 => "counter",
            2 => "gauge",
            3 => "untyped",
            other => return Err(format!("type {other} is none of 1 (counter), 2 (gauge), 3 (untyped)")),
        };
        if let Some(bad) =
            [name].into_iter().chain(labels.keys().map(String::as_str)).find(|name| !is_name(name))
        {
            return Err(format!("'{bad}' is no name in Prometheus: letters, digits and _ only"));
        }
        let text =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect::<Vec<_>>();
        let text = text.join(",");
        let known = self.families.get(name).is_some_and(|family| family.values.contains_key(&text));
        if !known && self.len >= limit {
            return Err(format!("more than {limit} series"));
        }
        let family = self.families.entry(name.to_owned()).or_insert_with(|| Family {
            help: help.to_owned(),
            kind,
            values: BTreeMap::new(),
        });
        if family.kind != kind {
            return Err(format!("{name} is a {} already", family.kind));
        }
        self.len += usize::from(!known);
        let slot = family.values.entry(text).or_default();
        *slot = if kind == "counter" { *slot + value } else { value };
        self.is_changed = true;
        Ok(())
    }

    /// All of them as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, family) in &self.families {
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            text.extend(["# HELP ", name, " ", &help, "\n# TYPE ", name, " ", family.kind, "\n"]);
            for (labels, value) in &family.values {
                let (open, close) = if labels.is_empty() { ("", "") } else { ("{", "}") };
                text.extend([name, open, labels, close, " ", &value.to_string(), "\n"]);
            }
        }
        text
    }
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_bounded_and_printed_as_prometheus_reads_them() {
        let mut series = Series::default();
        let labels = |value: &str| BTreeMap::from([("path".to_owned(), value.to_owned())]);
        series.set(2, ("hits", "How often.", 1), 1.0, &labels("/a\"b")).unwrap();
        series.set(2, ("hits", "How often.", 1), 2.0, &labels("/a\"b")).unwrap();
        series.set(2, ("load", "Now.", 2), 0.5, &BTreeMap::new()).unwrap();
        for bad in [
            series.set(2, ("hits", "", 1), 1.0, &labels("/c")),
            series.set(2, ("hits", "", 2), 1.0, &labels("/a\"b")),
            series.set(2, ("0", "", 2), 1.0, &BTreeMap::new()),
            series.set(2, ("x", "", 9), 1.0, &BTreeMap::new()),
        ] {
            assert!(bad.is_err());
        }
        let expected = "# HELP hits How often.\n# TYPE hits counter\nhits{path=\"/a\\\"b\"} 3\n\
                        # HELP load Now.\n# TYPE load gauge\nload 0.5\n";
        assert_eq!(series.text(), expected);
    }
}
