//! Chooses what a disclosure shows, by `*`, `**` and `?` alone, so that two people cannot understand a pattern differently.

/// A pattern for artifacts: `*` and `?` stand for characters of one folder or file name, `**` also for those of folders.
///
/// It is compared with an artifact's path in the case (`data/…`) or, where it begins with `s3://`, with the object's place in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// The pattern as it is written.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` is one of those it stands for.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        // Which ends of the text the pattern so far can reach: time grows with the product of the lengths, whatever the pattern.
        let mut reached = vec![false; text.len() + 1];
        if let Some(start) = reached.first_mut() {
            *start = true;
        }
        let mut at = 0;
        while let Some(sign) = pattern.get(at) {
            let across = *sign == b'*' && pattern.get(at + 1) == Some(&b'*');
            at += if across { 2 } else { 1 };
            let mut next = vec![false; text.len() + 1];
            for end in 0..=text.len() {
                let before = end.checked_sub(1).and_then(|before| Some((*text.get(before)?, before)));
                let was = |place: usize, places: &[bool]| places.get(place).copied().unwrap_or(false);
                let now = match *sign {
                    b'*' => {
                        let goes_on = |(byte, before): (u8, usize)| (across || byte != b'/') && was(before, &next);
                        was(end, &reached) || before.is_some_and(goes_on)
                    }
                    b'?' => before.is_some_and(|(byte, before)| byte != b'/' && was(before, &reached)),
                    sign => before.is_some_and(|(byte, before)| byte == sign && was(before, &reached)),
                };
                if let Some(place) = next.get_mut(end) {
                    *place = now;
                }
            }
            reached = next;
        }
        reached.last().copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stays_in_its_folder_and_two_do_not() {
        for (pattern, text, expected) in [
            ("data/s3/*/a", "data/s3/bucket/a", true),
            ("data/s3/*/a", "data/s3/bucket/x/a", false),
            ("data/**/a", "data/s3/bucket/x/a", true),
            ("data/**", "data/s3/bucket/x/a", true),
            ("data/*", "data/s3/bucket", false),
            ("data/s3/b?cket/a", "data/s3/bucket/a", true),
            ("data/s3?bucket/a", "data/s3/bucket/a", false),
            ("data/s3/bucket/a", "data/s3/bucket/ab", false),
            ("*", "", true),
            ("", "a", false),
            ("**.json.gz", "data/x.json.gz", true),
            ("s3://bucket/AWSLogs/**/us-east-1/**", "s3://bucket/AWSLogs/1/CloudTrail/us-east-1/x", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_is_matched_quickly() {
        assert!(!Glob::new(&"*a".repeat(300)).matches(&"a".repeat(299)));
    }
}
