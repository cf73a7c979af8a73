//! Numbers as text, faster than the formatter of the standard library: every entry prints a dozen of them.

/// Appends `number`.
pub(crate) fn push(out: &mut String, number: u64) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Appends `number` with zeros before it, at least `width` digits.
pub(crate) fn push_padded(out: &mut String, number: u64, width: usize) {
    const ZEROS: &str = "00000000000000000000";
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    out.push_str(&ZEROS[..width.saturating_sub(digits.len()).min(ZEROS.len())]);
    out.push_str(digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_the_standard_library_does() {
        for number in [0, 7, 19_561, 999_999_999_999, 1_000_000_000_000, u64::MAX] {
            let mut out = String::new();
            push_padded(&mut out, number, 12);
            assert_eq!(out, format!("{number:012}"));
        }
    }
}
