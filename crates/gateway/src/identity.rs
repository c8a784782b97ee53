//! Who asks: a bearer token, hashed, looked up among the grants that live.

use std::sync::Arc;

use http::HeaderMap;
use ledger::{Grant, GrantCheck, Ledger, LedgerError};
use policy::Timestamp;
use ring::digest;

/// Longest token that is looked at, in bytes.
const TOKEN_BYTES: usize = 1024;

/// Who makes a call.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// An agent that has shown the token of a grant.
    Granted(Arc<Grant>),
    /// The agent that started `toolgate run`, under this label.
    Local(Arc<str>),
}

impl Caller {
    /// The label that rules and records know.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Granted(grant) => &grant.label,
            Self::Local(label) => label,
        }
    }

    /// What counters of scope `grant` belong to, and sessions to.
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Granted(grant) => &grant.id,
            Self::Local(label) => label,
        }
    }

    /// What reserving has to check again.
    pub(crate) fn check(&self) -> GrantCheck<'_> {
        match self {
            Self::Granted(grant) => GrantCheck::Generation { grant: &grant.id, generation: grant.generation },
            Self::Local(_) => GrantCheck::Implicit,
        }
    }
}

/// Why nobody was recognised. The difference is for the log and the metrics, never for the caller.
#[derive(Debug)]
pub(crate) enum Anonymous {
    NoToken,
    UnknownToken,
    Expired,
    Unreadable(LedgerError),
}

impl Anonymous {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::UnknownToken => "unknown_token",
            Self::Expired => "expired",
            Self::Unreadable(_) => "ledger_unreadable",
        }
    }
}

/// Finds the grant whose token a request carries (RFC 6750, section 2.1).
///
/// # Errors
///
/// [`Anonymous`] if there is no token, it is not known, or its grant has ended.
pub(crate) async fn authenticate(headers: &HeaderMap, ledger: &Ledger, now: Timestamp) -> Result<Caller, Anonymous> {
    let token = token(headers).ok_or(Anonymous::NoToken)?;
    let found = ledger.grant_by_token(&hash(token)).await.map_err(Anonymous::Unreadable)?;
    let grant = found.ok_or(Anonymous::UnknownToken)?;
    if grant.is_valid(now) { Ok(Caller::Granted(grant)) } else { Err(Anonymous::Expired) }
}

/// The token of a request, if it carries exactly one of a sensible length.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    mcp::server::headers::bearer(headers).filter(|token| token.len() <= TOKEN_BYTES)
}

/// Hashes a token the way grants are looked up.
pub(crate) fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}
