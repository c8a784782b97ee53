//! Lists that policy filters: read as strictly as requests, and what stays keeps its bytes.

use std::borrow::Cow;

use super::Rejected;

/// Removes the elements of `member` whose `key` is not to be kept.
///
/// # Errors
/// When the result cannot be read safely.
pub fn filter<'a>(
    result_raw: &'a str,
    member: &'static str,
    key: &'static str,
    keep: impl FnMut(&str) -> bool,
) -> Result<Cow<'a, str>, Rejected> {
    let _ = (result_raw, member, key, keep);
    todo!()
}

/// The `key` of every element of `member`, in order, and the cursor of the next page.
///
/// # Errors
/// When the result cannot be read safely.
pub fn names(
    result_raw: &str,
    member: &'static str,
    key: &'static str,
) -> Result<(Vec<String>, Option<String>), Rejected> {
    let _ = (result_raw, member, key);
    todo!()
}
