//! A policy that has been checked, ready to judge.

use crate::decimal::Decimal;
use crate::document::{Format, Node, Pointer};
use crate::limits::{Window, WindowKind};
use crate::problem::Problem;
use crate::verdict::{Call, Explanation, Target, Verdict};

/// A checked policy. There is no way to have one from a document with an error.
#[derive(Debug, Clone)]
pub struct Policy {
    version: String,
}

/// A policy together with what its author should know about it.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The policy.
    pub policy: Policy,
    /// Warnings, in the order of the document.
    pub warnings: Vec<Problem>,
}

/// What a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listed {
    /// `tools/list`.
    Tools,
    /// `resources/list` and `resources/templates/list`.
    Resources,
    /// `prompts/list`.
    Prompts,
}

/// Whose calls one counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All calls of one grant, whatever its sessions and servers.
    Grant,
    /// The calls of one session.
    Session,
    /// All calls to one server.
    Server,
    /// All calls.
    Gateway,
}

impl Scope {
    /// The scope as documents write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Session => "session",
            Self::Server => "server",
            Self::Gateway => "gateway",
        }
    }

    /// The scope that documents write so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Grant, Self::Session, Self::Server, Self::Gateway]
            .into_iter()
            .find(|scope| scope.as_str() == text)
    }
}

/// Which calls stay counted once the upstream has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Count {
    /// Every call that was sent.
    Sent,
    /// Only calls that the upstream did not answer with an error; a call without an answer stays counted.
    Successes,
}

/// One limit of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The JSON pointer of the limit.
    pub rule: String,
    /// Whose calls it counts.
    pub scope: Scope,
    /// How long a count lasts.
    pub window: Window,
    /// Whether the window stands still or slides.
    pub kind: WindowKind,
    /// How much fits into one window.
    pub max: Decimal,
    /// Whether failed calls stay counted.
    pub count: Count,
    /// What to tell the agent when it is reached.
    pub on_deny: Option<String>,
}

impl Policy {
    /// Reads and checks a policy document.
    ///
    /// # Errors
    /// All problems of the document, warnings included, if at least one of them is an error.
    pub fn parse(text: &str, format: Format) -> Result<Checked, Vec<Problem>> {
        todo!("{text} {format:?}")
    }

    /// Checks a policy that is part of a larger document.
    ///
    /// Problems point into `text`, their pointers begin with `at`; the rules that decisions name do not.
    ///
    /// # Errors
    /// All problems of this part, warnings included, if at least one of them is an error.
    pub fn from_node(node: &Node, text: &str, at: &Pointer) -> Result<Checked, Vec<Problem>> {
        todo!("{node:?} {text} {at}")
    }

    /// What tells this policy from any other: the first 16 hexadecimal digits of the SHA-256 of its canonical JSON.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Judges a call.
    #[must_use]
    pub fn judge<'p>(&'p self, call: &Call<'_>) -> Verdict<'p> {
        todo!("{call:?}")
    }

    /// Judges a call and tells how the verdict came about.
    #[must_use]
    pub fn explain<'p>(&'p self, call: &Call<'_>) -> Explanation<'p> {
        todo!("{call:?}")
    }

    /// The rule that hides this from lists, if one does.
    #[must_use]
    pub fn hides<'p>(&'p self, target: &Target<'_>) -> Option<&'p str> {
        todo!("{target:?}")
    }

    /// Whether anything at all may be hidden from such a list.
    #[must_use]
    pub fn hides_anything(&self, what: Listed) -> bool {
        todo!("{what:?}")
    }
}
