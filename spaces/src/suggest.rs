//! The known name that a mistyped one was probably meant to be.

/// The candidate with the smallest edit distance, if that is at most a third of its length (at least 1).
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, best) = candidates.into_iter().map(|c| (edit_distance(name, c), c)).min()?;
    (distance <= (best.len() / 3).max(1)).then_some(best)
}

/// Levenshtein distance in characters, one row of the table at a time. Only the start of a long `a` is looked at.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("abc", ""), 3);
        assert_eq!(nearest("lenet", ["lenet-like", "vgg5"]), None);
        assert_eq!(nearest("vgg-5", ["lenet-like", "vgg5"]), Some("vgg5"));
    }
}
