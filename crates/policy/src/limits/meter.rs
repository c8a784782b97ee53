//! One counter.

use super::{Full, Window, WindowKind};
use crate::decimal::Decimal;
use crate::time::Timestamp;

/// What one counter has counted so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meter {}

/// What was taken from a meter, to give it back if it turns out that nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {}

/// The text is not what a meter or a taken amount was stored as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a stored counter: `{0}`")]
pub struct NotStored(pub(super) String);

impl Meter {
    /// Takes `cost` if it fits, together with what the window already holds, into `max`.
    ///
    /// # Errors
    /// If it does not fit; nothing is taken then.
    pub fn take(
        &mut self,
        now: Timestamp,
        window: Window,
        kind: WindowKind,
        max: &Decimal,
        cost: &Decimal,
    ) -> Result<Taken, Full> {
        todo!("{now:?} {window:?} {kind:?} {max} {cost}")
    }

    /// Gives back what was taken; does nothing if the window it was taken in is over.
    pub fn give_back(&mut self, taken: &Taken) {
        todo!("{taken:?}")
    }

    /// Whether nothing it holds matters at `now` or later, so that it may be forgotten.
    #[must_use]
    pub fn is_idle(&self, now: Timestamp) -> bool {
        todo!("{now:?}")
    }

    /// The meter as text, for storage; the same for as long as version 1 of the text is read.
    #[must_use]
    pub fn encode(&self) -> String {
        todo!()
    }

    /// Reads what [`Meter::encode`] wrote.
    ///
    /// # Errors
    /// If the text is anything else.
    pub fn decode(text: &str) -> Result<Self, NotStored> {
        todo!("{text}")
    }
}

impl Taken {
    /// The amount as text, for storage.
    #[must_use]
    pub fn encode(&self) -> String {
        todo!()
    }

    /// Reads what [`Taken::encode`] wrote.
    ///
    /// # Errors
    /// If the text is anything else.
    pub fn decode(text: &str) -> Result<Self, NotStored> {
        todo!("{text}")
    }
}
