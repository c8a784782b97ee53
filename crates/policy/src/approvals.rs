//! The states of an approval and what may follow what.

use crate::time::Timestamp;

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody has decided yet.
    Pending,
    /// A person said yes, and the call has not been made since.
    Approved,
    /// The approved call has been made.
    Spent,
    /// A person said no.
    Denied,
    /// Nobody decided, or nobody made the call, in time.
    Expired,
}

impl State {
    /// The state as records and lists write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Spent => "spent",
            Self::Denied => "denied",
            Self::Expired => "expired",
        }
    }

    /// The state that records and lists write so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Approved, Self::Spent, Self::Denied, Self::Expired]
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    /// The state at `now`, for an approval that ends at `expires_at`: what is still open then has expired.
    #[must_use]
    pub fn at(self, now: Timestamp, expires_at: Timestamp) -> Self {
        match self {
            Self::Pending | Self::Approved if now >= expires_at => Self::Expired,
            Self::Pending | Self::Approved | Self::Spent | Self::Denied | Self::Expired => self,
        }
    }

    /// The state after `event`, which happens at `now`, for an approval that ends at `expires_at`.
    ///
    /// # Errors
    /// If that cannot happen in this state; the state stays what [`State::at`] says.
    pub fn after(self, event: Event, now: Timestamp, expires_at: Timestamp) -> Result<Self, Refused> {
        let state = self.at(now, expires_at);
        match (state, event) {
            (Self::Pending, Event::Approve) => Ok(Self::Approved),
            (Self::Pending | Self::Approved, Event::Deny) => Ok(Self::Denied),
            (Self::Approved, Event::Spend) => Ok(Self::Spent),
            (Self::Spent, Event::GiveBack) => Ok(Self::Approved.at(now, expires_at)),
            (Self::Pending | Self::Approved | Self::Spent | Self::Denied | Self::Expired, _) => {
                Err(Refused { state, event })
            }
        }
    }
}

/// What can happen to an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A person says yes.
    Approve,
    /// A person says no, or takes a yes back that has not been used.
    Deny,
    /// The approved call is about to be sent.
    Spend,
    /// It turned out that nothing was sent.
    GiveBack,
}

/// The event cannot happen in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Refused {
    /// The state that the approval is in.
    pub state: State,
    /// What was tried.
    pub event: Event,
}

impl Refused {
    const fn sentence(self) -> &'static str {
        match (self.event, self.state) {
            (Event::GiveBack, _) => "the approval has not been spent, so there is nothing to give back",
            (_, State::Pending) => "nobody has decided about the approval yet",
            (_, State::Approved) => "the approval has already been given",
            (_, State::Spent) => "the approval has already been used",
            (_, State::Denied) => "the approval has already been denied",
            (_, State::Expired) => "the approval has expired",
        }
    }
}
