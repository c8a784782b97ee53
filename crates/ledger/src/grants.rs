//! Grants: what one agent may use, and the hash of the token it shows.

use std::fmt;

use policy::Timestamp;

/// One (server, policy) pair of a grant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Access {
    /// The server's name.
    pub server: String,
    /// The policy's name.
    pub policy: String,
}

/// Where a grant was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file: read-only elsewhere.
    File,
    /// The API, the console or the command line.
    Api,
}

/// What one agent may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// `gr_` and a ULID; counters of scope `grant` belong to it.
    pub id: String,
    /// What people call it; unique among the grants that are not revoked.
    pub label: String,
    /// The servers it may use, each under a policy.
    pub access: Vec<Access>,
    /// When it lapses.
    pub expires: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Grows with every change of the grant.
    pub generation: u64,
    /// Where it was made.
    pub origin: Origin,
}

impl Grant {
    /// Tells whether the grant is worth anything at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// A grant to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGrant {
    /// What people call it.
    pub label: String,
    /// The servers it may use.
    pub access: Vec<Access>,
    /// When it lapses.
    pub expires: Option<Timestamp>,
}

/// A grant of the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileGrant {
    /// What people call it.
    pub label: String,
    /// SHA-256 of its token.
    pub token_sha256: [u8; 32],
    /// The servers it may use.
    pub access: Vec<Access>,
    /// When it lapses.
    pub expires: Option<Timestamp>,
}

/// How a reservation makes sure that its grant is still the one that was judged.
#[derive(Clone, Copy, Debug)]
pub enum GrantCheck<'a> {
    /// There is nothing to check: the grant of `toolgate run`.
    Implicit,
    /// The grant must exist, be unrevoked and unexpired, and be of this generation.
    Generation {
        /// The grant's id.
        grant: &'a str,
        /// The generation that was judged.
        generation: u64,
    },
}

/// A bearer token, shown once: `tg_` and 256 random bits. Only its hash is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The text to hand out.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}
