//! One spelling for each JSON value.

/// The text has no canonical form: it is not JSON, repeats a key, or is nested too deeply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no canonical form: {0}")]
pub struct NotCanonical(String);

/// The one spelling of a JSON value: keys sorted by code point, no spaces, minimal escapes, numbers by value.
///
/// A number too long or too large to be exact stays as it is written, behind a `#` that no JSON value begins with.
///
/// # Errors
/// If the text is not JSON, has an object with the same key twice, or is nested more than 512 deep.
pub fn canonical_json(raw: &str) -> Result<String, NotCanonical> {
    todo!("{raw}")
}

/// The keys of the outermost object, in the order of the text; none if the text is not an object.
#[must_use]
pub fn argument_keys(raw: &str) -> Vec<String> {
    todo!("{raw}")
}
