//! The ledger of `dissect`, printed for people. JSON, metrics and documentation have the same rows in camelCase.

use std::io::{self, Write};

use worker::Report;

/// Rows that are told even when they are 0.
const ALWAYS: &[(&str, &str)] = &[("capture", "packets"), ("capture", "bytes")];

/// The stages, from packets to entries.
const STAGES: &[&str] = &["capture", "decode", "flow", "dissect", "packets", "entries"];

/// Where everything ended: `all` rows, one a line; or a line per stage of what was counted.
pub(crate) fn write(out: &mut dyn Write, report: &Report, all: bool) -> io::Result<()> {
    let mut rows = Vec::new();
    report.ledger.each(&mut |stage, row, count| {
        if all || count > 0 || ALWAYS.contains(&(stage, row)) {
            rows.push((stage, words(row), count));
        }
    });
    let entries = [("all", report.entries.values().sum()), ("printed", report.printed)];
    rows.extend(entries.map(|(row, count)| ("entries", row.to_owned(), count)));
    rows.extend(report.entries.iter().map(|(protocol, count)| ("entries", protocol.clone(), *count)));
    // In the order in which they come about; rows of a stage need not lie together.
    rows.sort_by_key(|(stage, ..)| STAGES.iter().position(|known| known == stage));
    if all {
        for (stage, row, count) in rows {
            writeln!(out, "{stage:8} {row:26} {:>18}", grouped(count))?;
        }
        return out.flush();
    }
    for stage in rows.chunk_by(|(left, ..), (right, ..)| left == right) {
        let counts: Vec<_> =
            stage.iter().map(|(_, row, count)| format!("{row} {}", grouped(*count))).collect();
        writeln!(out, "{:8} {}", stage[0].0, counts.join(" · "))?;
    }
    out.flush()
}

/// `badIpHeader` is `bad IP header`.
fn words(row: &str) -> String {
    let mut words: Vec<String> = vec![String::new()];
    for char in row.chars() {
        if char.is_ascii_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(char.to_ascii_lowercase());
        }
    }
    let spelt = words.into_iter().map(|word| match word.as_str() {
        "tcp" | "udp" | "ip" | "arp" | "icmp" | "igmp" | "sctp" | "esp" | "ospf" | "gre" => {
            word.to_uppercase()
        }
        "icmpv6" => "ICMPv6".to_owned(),
        _ => word,
    });
    spelt.collect::<Vec<_>>().join(" ")
}

/// `1,234,567`
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_words() {
        for (row, expected) in [
            ("packets", "packets"),
            ("kernelDropped", "kernel dropped"),
            ("badIpHeader", "bad IP header"),
            ("icmpv6", "ICMPv6"),
            ("tcpOpened", "TCP opened"),
        ] {
            assert_eq!(words(row), expected);
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        for (count, expected) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (123_456, "123,456"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(count), expected);
        }
    }
}
