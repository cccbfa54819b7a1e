/// Who is told how far the writing of a package has come; nobody unless it is said.
#[derive(Clone, Copy)]
pub struct Progress<'a> {
    /// Called with files and bytes when it becomes known that they will be written.
    pub expect: &'a (dyn Fn(u64, u64) + Sync),
    /// Called with files and bytes as they are written.
    pub add: &'a (dyn Fn(u64, u64) + Sync),
}

impl std::fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}

impl Default for Progress<'_> {
    fn default() -> Self {
        Self { expect: &|_, _| {}, add: &|_, _| {} }
    }
}

impl Progress<'_> {
    /// Tells of texts that will be written whole.
    pub(super) fn expect_texts<'a>(&self, texts: impl Iterator<Item = &'a [u8]>) {
        let (files, bytes) = texts.fold((0, 0), |(files, bytes), text| (files + 1, bytes + text.len()));
        (self.expect)(files, u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}
