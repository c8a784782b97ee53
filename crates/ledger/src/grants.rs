//! Grants: what one agent may use, and the hash of the token it shows.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::Timestamp;

use crate::LedgerError;
use crate::chain::{Hash, sha256};
use crate::facts::{Facts, fresh_id};

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

impl Token {
    fn draw() -> Result<Self, LedgerError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| LedgerError::Write(error.into()))?;
        Ok(Self(format!("tg_{}", URL_SAFE_NO_PAD.encode(random))))
    }

    /// The hash under which the ledger knows the token.
    #[must_use]
    pub fn sha256(text: &str) -> [u8; 32] {
        sha256(text.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

impl Origin {
    /// The word used in records and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::File, Self::Api].into_iter().find(|origin| origin.as_str() == text)
    }
}

/// A grant and the hash of its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) grant: Arc<Grant>,
    pub(crate) token_sha256: Hash,
}

impl Held {
    fn changed(&self, change: impl FnOnce(&mut Grant)) -> Self {
        let mut grant = Grant::clone(&self.grant);
        change(&mut grant);
        grant.generation += 1;
        Self { grant: grant.into(), token_sha256: self.token_sha256 }
    }
}

/// Tells whether the grant that a call was judged under is still the same.
pub(crate) fn still_holds(facts: &mut dyn Facts, check: &GrantCheck<'_>, now: Timestamp) -> Result<bool, LedgerError> {
    match *check {
        GrantCheck::Implicit => Ok(true),
        GrantCheck::Generation { grant, generation } => {
            Ok(facts.grant(grant)?.is_some_and(|held| held.grant.generation == generation && held.grant.is_valid(now)))
        }
    }
}

/// A new grant, to be written.
pub(crate) fn create(facts: &mut dyn Facts, new: NewGrant, now: Timestamp) -> Result<(Held, Token), LedgerError> {
    if facts.grants()?.iter().any(|held| held.is_called(&new.label)) {
        return Err(LedgerError::LabelTaken(new.label));
    }
    let token = Token::draw()?;
    let grant = Grant {
        id: fresh_id("gr_", now)?,
        label: new.label,
        access: new.access,
        expires: new.expires,
        created_at: now,
        revoked_at: None,
        generation: 1,
        origin: Origin::Api,
    };
    Ok((Held { grant: grant.into(), token_sha256: Token::sha256(token.as_str()) }, token))
}

/// The grant after it was revoked.
pub(crate) fn revoke(facts: &mut dyn Facts, id_or_label: &str, now: Timestamp) -> Result<Held, LedgerError> {
    let held = changeable(facts, id_or_label)?;
    Ok(held.changed(|grant| grant.revoked_at = Some(now)))
}

/// The grant with another token.
pub(crate) fn rotate(facts: &mut dyn Facts, id_or_label: &str) -> Result<(Held, Token), LedgerError> {
    let token = Token::draw()?;
    let held = changeable(facts, id_or_label)?.changed(|_| ());
    Ok((Held { token_sha256: Token::sha256(token.as_str()), ..held }, token))
}

/// What must change for the file's grants to be exactly these.
pub(crate) fn publish(facts: &mut dyn Facts, wanted: &[FileGrant], now: Timestamp) -> Result<Vec<Held>, LedgerError> {
    let existing = facts.grants()?;
    let mut changes = Vec::new();
    for file in wanted {
        if existing.iter().any(|held| held.is_called(&file.label) && held.grant.origin == Origin::Api) {
            return Err(LedgerError::LabelTaken(file.label.clone()));
        }
        let before = existing.iter().find(|held| held.grant.origin == Origin::File && held.grant.label == file.label);
        changes.extend(published(before, file, now)?);
    }
    let removed = existing.iter().filter(|held| {
        held.grant.origin == Origin::File
            && held.grant.revoked_at.is_none()
            && !wanted.iter().any(|file| file.label == held.grant.label)
    });
    changes.extend(removed.map(|held| held.changed(|grant| grant.revoked_at = Some(now))));
    Ok(changes)
}

impl Held {
    fn is_called(&self, label: &str) -> bool {
        self.grant.revoked_at.is_none() && self.grant.label == label
    }
}

fn changeable(facts: &mut dyn Facts, id_or_label: &str) -> Result<Held, LedgerError> {
    let mut held = facts.grants()?.into_iter().filter(|held| held.grant.revoked_at.is_none());
    let found = held.find(|held| held.grant.id == id_or_label || held.grant.label == id_or_label);
    match found {
        None => Err(LedgerError::Unknown { what: "grant", name: id_or_label.to_owned() }),
        Some(held) if held.grant.origin == Origin::File => Err(LedgerError::ReadOnly(held.grant.label.clone())),
        Some(held) => Ok(held),
    }
}

/// A grant that was removed from the file and comes back keeps its id, and with it its counters.
fn published(before: Option<&Held>, file: &FileGrant, now: Timestamp) -> Result<Option<Held>, LedgerError> {
    let Some(before) = before else {
        let grant = Grant {
            id: fresh_id("gr_", now)?,
            label: file.label.clone(),
            access: file.access.clone(),
            expires: file.expires,
            created_at: now,
            revoked_at: None,
            generation: 1,
            origin: Origin::File,
        };
        return Ok(Some(Held { grant: grant.into(), token_sha256: file.token_sha256 }));
    };
    let unchanged = before.grant.revoked_at.is_none()
        && before.grant.access == file.access
        && before.grant.expires == file.expires
        && before.token_sha256 == file.token_sha256;
    if unchanged {
        return Ok(None);
    }
    let changed = before.changed(|grant| {
        grant.access.clone_from(&file.access);
        grant.expires = file.expires;
        grant.revoked_at = None;
    });
    Ok(Some(Held { token_sha256: file.token_sha256, ..changed }))
}
