//! Why a message could not be read safely.

use std::fmt;

/// A message that is not forwarded, because it cannot be read safely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// JSON-RPC code: -32700 it is not JSON as it must be, -32600 its envelope, -32602 its `params`; -32603 an upstream wrote it.
    pub code: i64,
    /// HTTP status: 400, or 413 when it is too large; 502 when an upstream wrote it.
    pub status: u16,
    /// The raw id, where one was read before or beside the fault.
    pub id: Option<String>,
    /// Lowercase; names the thing and says what to do.
    pub message: String,
    /// The method, where one was read, up to [`Rejected::LONGEST_NAME`].
    pub method: Option<String>,
    /// The `name` (or else the `uri`) in `params`, where one was read, up to [`Rejected::LONGEST_NAME`].
    pub name: Option<String>,
}

impl Rejected {
    /// How many characters of a refused method or name are kept, so that refusals cannot fill what records them.
    pub const LONGEST_NAME: usize = 256;

    /// The JSON-RPC error that answers it.
    #[must_use]
    pub fn answer(&self) -> String {
        super::answer::error(self.id.as_deref().unwrap_or("null"), self.code, &self.message, None)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Rejected {}
