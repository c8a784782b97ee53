//! One call in the ledger: what it wanted, what came of it.

use std::fmt;
use std::str::FromStr;

use policy::Timestamp;
use ulid::Ulid;

/// Names an entry: a ULID, so that ids sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(Ulid);

/// The text is not the canonical form of a ULID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a record id: 26 upper-case letters and digits are expected")]
pub struct InvalidEntryId;

/// What the gate decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Forwarded.
    Allow,
    /// Refused by a rule.
    Deny,
    /// Answered as if the tool did not exist.
    Hide,
    /// Refused by a limit.
    Limit,
    /// Waits for a person.
    Approve,
    /// Could not be read safely.
    Reject,
}

/// What a call is, as far as the ledger cares. Recorded before anything is forwarded.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    /// The entry's id, made for the same time as `at`: filters by time rely on it.
    pub id: EntryId,
    /// When the call was judged.
    pub at: Timestamp,
    /// Label of the grant.
    pub grant: &'a str,
    /// The client's name, as it gave it.
    pub client: Option<&'a str>,
    /// The downstream session.
    pub session: &'a str,
    /// The server's configured name.
    pub server: &'a str,
    /// The method; empty if it could not be read.
    pub method: &'a str,
    /// The tool's or prompt's name, or the resource's URI.
    pub tool: Option<&'a str>,
    /// The tool's category, where it is known.
    pub category: Option<&'a str>,
    /// The policy's name.
    pub policy: Option<&'a str>,
    /// The policy's version.
    pub policy_version: Option<&'a str>,
    /// The rule that decided.
    pub rule: Option<&'a str>,
    /// The top-level keys of the arguments.
    pub argument_keys: &'a [&'a str],
    /// [`crate::Ledger::hmac_arguments`] of the canonical arguments.
    pub arguments_hmac: Option<[u8; 32]>,
    /// The raw JSON-RPC id.
    pub request_id: Option<&'a str>,
    /// The trace the call belongs to.
    pub trace_id: Option<&'a str>,
}

/// What came of sending a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// When the outcome was known.
    pub at: Timestamp,
    /// The outcome.
    pub ending: Ending,
    /// Microseconds spent in the gate.
    pub gateway_us: u64,
    /// Microseconds spent waiting for the upstream.
    pub upstream_us: u64,
}

/// How a forwarded call ended, with what decides over its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The upstream answered.
    Answered {
        /// A JSON-RPC error, or a result with `isError: true`: limits that count successes are given back.
        is_error: bool,
        /// The transport's status, for example of HTTP.
        status: Option<u16>,
    },
    /// The upstream failed after the call had, or may have, gone out.
    Failed,
    /// The upstream did not answer in time.
    TimedOut,
    /// Provably nothing went out: quota and approval are given back.
    NotSent,
    /// Nobody knows; the quota stays taken.
    Unknown,
}

/// The recorded form of an [`Ending`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamResult {
    /// The upstream answered.
    Answered,
    /// The upstream failed.
    Failed,
    /// The upstream did not answer in time.
    TimedOut,
    /// Nothing went out.
    NotSent,
    /// Nobody knows.
    Unknown,
}

/// One entry as it is listed and exported: the columns of its opened and its settled record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Place of the opened record in the chain.
    pub opened_seq: u64,
    /// Hash of the opened record.
    pub opened_hash: [u8; 32],
    /// The entry's id.
    pub id: EntryId,
    /// When the call was judged.
    pub at: Timestamp,
    /// Which process wrote the opened record.
    pub instance: u64,
    /// What was decided.
    pub outcome: Outcome,
    /// Label of the grant.
    pub grant: String,
    /// The client's name.
    pub client: Option<String>,
    /// The downstream session.
    pub session: String,
    /// The server's configured name.
    pub server: String,
    /// The method.
    pub method: String,
    /// Tool, prompt or URI.
    pub tool: Option<String>,
    /// The tool's category.
    pub category: Option<String>,
    /// The policy's name.
    pub policy: Option<String>,
    /// The policy's version.
    pub policy_version: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The approval that was spent.
    pub approval: Option<String>,
    /// Top-level keys of the arguments, as a JSON list.
    pub argument_keys: Option<String>,
    /// HMAC of the canonical arguments.
    pub arguments_hmac: Option<[u8; 32]>,
    /// The raw JSON-RPC id.
    pub request_id: Option<String>,
    /// The trace the call belongs to.
    pub trace_id: Option<String>,
    /// Place of the settled record in the chain.
    pub settled_seq: Option<u64>,
    /// Hash of the settled record.
    pub settled_hash: Option<[u8; 32]>,
    /// When the outcome was known.
    pub settled_at: Option<Timestamp>,
    /// What came of it.
    pub result: Option<UpstreamResult>,
    /// The transport's status.
    pub upstream_status: Option<u16>,
    /// Whether the answer was an error.
    pub is_error: Option<bool>,
    /// Microseconds spent in the gate.
    pub gateway_us: Option<u64>,
    /// Microseconds spent waiting for the upstream.
    pub upstream_us: Option<u64>,
}

/// Which entries are asked for; what is `None` is not asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// At or after this time.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// Label of the grant.
    pub grant: Option<String>,
    /// The server's name.
    pub server: Option<String>,
    /// Tool, prompt or URI.
    pub tool: Option<String>,
    /// What was decided.
    pub outcome: Option<Outcome>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Only entries opened after this place in the chain.
    pub after_seq: Option<u64>,
}

impl Settlement {
    pub(crate) fn not_sent(at: Timestamp) -> Self {
        Self { at, ending: Ending::NotSent, gateway_us: 0, upstream_us: 0 }
    }

    pub(crate) fn unknown(at: Timestamp) -> Self {
        Self { at, ending: Ending::Unknown, gateway_us: 0, upstream_us: 0 }
    }
}

impl EntryId {
    /// Builds the id of an entry opened at `at`, made unique by the low 80 bits of `random`.
    #[must_use]
    pub fn new(at: Timestamp, random: u128) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        Self(Ulid::from_parts(millis, random))
    }

    /// Builds the id of an entry opened at `at`.
    ///
    /// Unique, not secret: a thread draws random bits once and counts on from there.
    #[must_use]
    pub fn generate(at: Timestamp) -> Self {
        thread_local! {
            static NEXT: std::cell::Cell<Option<u128>> = const { std::cell::Cell::new(None) };
        }
        let random = NEXT.with(|next| {
            let current = next.get().unwrap_or_else(random_bits);
            next.set(Some(current.wrapping_add(1)));
            current
        });
        Self::new(at, random)
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.to_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Ulid::from_bytes(bytes))
    }
}

fn random_bits() -> u128 {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // The id must only be unique; the database refuses a second one.
        bytes[..8].copy_from_slice(&u64::from(std::process::id()).to_le_bytes());
    }
    u128::from_le_bytes(bytes)
}

impl fmt::Display for EntryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; ulid::ULID_LEN];
        formatter.pad(self.0.array_to_str(&mut text))
    }
}

impl FromStr for EntryId {
    type Err = InvalidEntryId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Self(Ulid::from_string(text).map_err(|_| InvalidEntryId)?);
        let mut canonical = [0; ulid::ULID_LEN];
        if id.0.array_to_str(&mut canonical) == text { Ok(id) } else { Err(InvalidEntryId) }
    }
}

impl Outcome {
    /// The word used in records, filters and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Hide => "hide",
            Self::Limit => "limit",
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Allow, Self::Deny, Self::Hide, Self::Limit, Self::Approve, Self::Reject]
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }
}

impl UpstreamResult {
    /// The word used in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Answered, Self::Failed, Self::TimedOut, Self::NotSent, Self::Unknown]
            .into_iter()
            .find(|result| result.as_str() == text)
    }
}
