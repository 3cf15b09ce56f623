//! "Did you mean": the known word that is nearest to one that is not known.

/// The nearest of the words, if it is near enough that it was probably meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may differ: "pol" is "pool", "foo" is nothing.
    let most = (word.chars().count() / 3).clamp(1, 3);
    let word = plain(word);
    let near = known.into_iter().map(|candidate| (distance(&word, &plain(candidate)), candidate));
    near.filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Case and the kind of dash are no difference.
fn plain(word: &str) -> Vec<char> {
    // A longer text is no slip of a known word, and comparing it would cost its square.
    word.chars().take(100).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// How many letters have to be put in, left out or changed (Levenshtein).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_leaves_strangers() {
        let known = ["policy", "nodes", "host", "idle_timeout"];
        for (word, meant) in [
            ("polcy", Some("policy")),
            ("Policy", Some("policy")),
            ("idle-timeout", Some("idle_timeout")),
            ("node", Some("nodes")),
            ("weather", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
