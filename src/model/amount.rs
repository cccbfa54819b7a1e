//! Numbers and counts as people read them.

/// A number with its thousands apart.
#[must_use]
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 log`, `2 logs`.
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{} {noun}s", thousands(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_well() {
        let read = [0, 1, 2, 999, 1000, 1_234_567].map(|count| counted(count, "log"));
        assert_eq!(read, ["0 logs", "1 log", "2 logs", "999 logs", "1,000 logs", "1,234,567 logs"]);
    }
}
