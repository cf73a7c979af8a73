//! "Did you mean": the known name that is least different from what was typed.

/// The name that differs from `typed` in the fewest letters, if that is near enough to be meant.
pub fn nearest<'n>(typed: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let typed: Vec<char> = typed.chars().take(LONGEST).flat_map(char::to_lowercase).collect();
    let allowed = (typed.len() / 3).max(1);
    names
        .into_iter()
        .map(|name| (distance(&typed, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Longer words are compared by their start.
const LONGEST: usize = 64;

/// Letters to insert, delete or change (Levenshtein), case aside.
fn distance(typed: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=typed.len()).collect();
    for (line, letter) in name.chars().take(LONGEST).flat_map(char::to_lowercase).enumerate() {
        let (mut diagonal, mut left) = (line, line + 1);
        for (cell, known) in row.iter_mut().skip(1).zip(typed) {
            let changed = diagonal + usize::from(*known != letter);
            diagonal = *cell;
            *cell = changed.min(left + 1).min(diagonal + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds() {
        let names = ["contains", "startsWith", "endsWith", "now"];
        for (typed, expected) in [
            ("startswith", Some("startsWith")),
            ("contain", Some("contains")),
            ("endWith", Some("endsWith")),
            ("nwo", None),
            ("matches", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), expected, "{typed}");
        }
    }
}
