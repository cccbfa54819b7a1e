//! How far one word is from another: what somebody meant who slipped on the keys.

/// How many letters have to be put in, taken out, changed, or exchanged with their neighbour.
pub(super) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let mut previous = None;
    for (row, letter) in (1..).zip(one.chars()) {
        let mut this = vec![row];
        for (column, wanted) in other.iter().enumerate() {
            let at = |cells: &[usize], column: usize| cells.get(column).copied().unwrap_or(usize::MAX - 1);
            let changed = at(&last, column) + usize::from(letter != *wanted);
            let mut least = changed.min(at(&last, column + 1) + 1).min(at(&this, column) + 1);
            let before = column.checked_sub(1).and_then(|column| other.get(column).map(|letter| (column, *letter)));
            if let Some((column, neighbour)) = before
                && previous == Some(*wanted)
                && letter == neighbour
            {
                least = least.min(at(&before_last, column) + 1);
            }
            this.push(least);
        }
        before_last = std::mem::replace(&mut last, this);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_put_in_taken_out_changed_or_exchanged_are_counted() {
        for (one, other, expected) in [
            ("eu-west-1", "eu-west-1", 0),
            ("eu-wst-1", "eu-west-1", 1),
            ("eu-wesst-1", "eu-west-1", 1),
            ("eu-wast-1", "eu-west-1", 1),
            ("eu-wset-1", "eu-west-1", 1),
            ("ue-wset-1", "eu-west-1", 2),
            ("", "eu", 2),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }
}
