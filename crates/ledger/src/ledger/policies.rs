//! Policies made at run time, and settings.

use policy::Timestamp;
use policy::document::Format;

use super::Ledger;
use crate::change::Change;
use crate::policies::next_revision;
use crate::sqlite::rows;
use crate::{LedgerError, StoredPolicy};

impl Ledger {
    /// Stores a policy document and returns its revision.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn put_policy(
        &self,
        name: &str,
        text: &str,
        format: Format,
        by: &str,
        now: Timestamp,
    ) -> Result<u64, LedgerError> {
        let policy = StoredPolicy {
            name: name.to_owned(),
            revision: 0,
            text: text.to_owned(),
            format,
            stored_at: now,
            stored_by: by.to_owned(),
        };
        self.change(move |facts, _| {
            let policy = next_revision(facts, policy)?;
            Ok((policy.revision, vec![Change::Policy((&policy).into())]))
        })
        .await
    }

    /// Reads the latest document of a name.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn policy(&self, name: &str) -> Result<Option<StoredPolicy>, LedgerError> {
        let name = name.to_owned();
        self.read(move |connection| rows::policy(connection, &name)?.map(StoredPolicy::try_from).transpose()).await
    }

    /// Lists the latest document of every name.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn policies(&self) -> Result<Vec<StoredPolicy>, LedgerError> {
        self.read(|connection| rows::policies(connection)?.into_iter().map(StoredPolicy::try_from).collect()).await
    }

    /// Removes a policy, all revisions of it.
    ///
    /// # Errors
    /// There is none, or it could not be written.
    pub async fn remove_policy(&self, name: &str) -> Result<(), LedgerError> {
        let name = name.to_owned();
        self.change(move |facts, _| match facts.policy_revision(&name)? {
            0 => Err(LedgerError::Unknown { what: "policy", name }),
            _ => Ok(((), vec![Change::PolicyRemoved { name }])),
        })
        .await
    }

    /// Reads a setting kept in the ledger.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, LedgerError> {
        let key = key.to_owned();
        self.read(move |connection| Ok(rows::meta(connection, &key)?)).await
    }

    /// Writes a setting kept in the ledger.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn set_meta(&self, key: &str, value: &str) -> Result<(), LedgerError> {
        let change = Change::Meta { key: key.to_owned(), value: value.to_owned() };
        self.change(move |_, _| Ok(((), vec![change]))).await
    }
}
