//! Making, changing and finding grants.

use std::sync::Arc;

use policy::Timestamp;

use super::{Backend, Ledger};
use crate::change::Change;
use crate::grants::Held;
use crate::{FileGrant, Grant, LedgerError, NewGrant, Token, grants};

impl Ledger {
    /// Makes a grant and its token.
    ///
    /// # Errors
    /// The label is taken, or it could not be written.
    pub async fn create_grant(&self, new: NewGrant, now: Timestamp) -> Result<(Arc<Grant>, Token), LedgerError> {
        self.change(move |facts, _| {
            let (held, token) = grants::create(facts, new, now)?;
            Ok(((Arc::clone(&held.grant), token), vec![Change::Grant((&held).into())]))
        })
        .await
    }

    /// Lists grants by label; revoked ones too if asked.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn grants(&self, with_revoked: bool) -> Result<Vec<Arc<Grant>>, LedgerError> {
        let mut grants = self.question(|facts| facts.grants()).await?;
        grants.retain(|held| with_revoked || held.grant.revoked_at.is_none());
        grants.sort_by(|left, right| (&left.grant.label, &left.grant.id).cmp(&(&right.grant.label, &right.grant.id)));
        Ok(grants.into_iter().map(|held| held.grant).collect())
    }

    /// Revokes a grant by id or label; from then on no reservation under it succeeds.
    ///
    /// # Errors
    /// There is none, it comes from the file, or it could not be written.
    pub async fn revoke_grant(&self, id_or_label: &str, now: Timestamp) -> Result<Arc<Grant>, LedgerError> {
        let name = id_or_label.to_owned();
        self.change(move |facts, _| {
            let held = grants::revoke(facts, &name, now)?;
            Ok((Arc::clone(&held.grant), vec![Change::Grant((&held).into())]))
        })
        .await
    }

    /// Replaces a grant's token; the old one is worthless at once.
    ///
    /// # Errors
    /// There is none, it comes from the file, or it could not be written.
    pub async fn rotate_grant(&self, id_or_label: &str) -> Result<(Arc<Grant>, Token), LedgerError> {
        let name = id_or_label.to_owned();
        self.change(move |facts, _| {
            let (held, token) = grants::rotate(facts, &name)?;
            Ok(((Arc::clone(&held.grant), token), vec![Change::Grant((&held).into())]))
        })
        .await
    }

    /// Finds the unrevoked grant of a token, which may have expired. In exclusive mode this is a look-up in memory.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn grant_by_token(&self, token_sha256: &[u8; 32]) -> Result<Option<Arc<Grant>>, LedgerError> {
        match &self.backend {
            Backend::Log(log) => Ok(log.grant_by_token(token_sha256)),
            Backend::Shared(shared) => {
                let wanted = *token_sha256;
                let is_it = move |held: &Held| held.token_sha256 == wanted && held.grant.revoked_at.is_none();
                shared.ask(move |facts| Ok(facts.grants()?.into_iter().find(is_it).map(|held| held.grant))).await
            }
        }
    }

    /// Replaces the grants that come from the configuration file. Unchanged ones keep their generation, all keep their ids.
    ///
    /// # Errors
    /// A label belongs to a grant made elsewhere, or it could not be written.
    pub async fn publish_file_grants(&self, grants: &[FileGrant], now: Timestamp) -> Result<(), LedgerError> {
        let wanted = grants.to_vec();
        self.change(move |facts, _| {
            Ok(((), grants::publish(facts, &wanted, now)?.iter().map(|held| Change::Grant(held.into())).collect()))
        })
        .await
    }
}
