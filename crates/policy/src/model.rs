//! A policy that has been checked, ready to judge.

use std::collections::HashMap;
use std::time::Duration;

use crate::condition::Condition;
use crate::decimal::Decimal;
use crate::document::{Format, Node, Pointer};
use crate::judge;
use crate::limits::{Window, WindowKind};
use crate::path;
use crate::pattern::Pattern;
use crate::problem::Problem;
use crate::read;
use crate::verdict::{Call, Explanation, Step, Target, Verdict};

/// A checked policy. There is no way to have one from a document with an error.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(crate) version: String,
    pub(crate) unlisted: Unlisted,
    pub(crate) hide: Vec<HidePattern>,
    pub(crate) tools: Section,
    /// Absent if the document has no `resources` at all.
    pub(crate) resources: Option<Section>,
    pub(crate) prompts: Section,
    pub(crate) all_tools: Rule,
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
    /// All scopes.
    pub const ALL: [Self; 4] = [Self::Grant, Self::Session, Self::Server, Self::Gateway];

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
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
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
#[derive(Debug, Clone)]
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
    pub(crate) counter: Counter,
    pub(crate) cost: Cost,
}

/// Limits are the same if they are the same rule of equal policies.
impl PartialEq for Limit {
    fn eq(&self, other: &Self) -> bool {
        let key = |limit: &Self| (limit.rule.clone(), limit.scope, limit.window, limit.kind, limit.max, limit.count);
        key(self) == key(other) && self.counter == other.counter && self.on_deny == other.on_deny
    }
}

impl Eq for Limit {}

/// Which counter a limit takes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Counter {
    /// The one of this name.
    Named(String),
    /// One for each name that is called, as `rate_limit` has it.
    PerName,
}

/// How much a limit takes for a call.
#[derive(Debug, Clone)]
pub(crate) enum Cost {
    One,
    /// The number at this path.
    At {
        written: String,
        steps: Vec<path::Step>,
    },
}

/// What happens to what a document does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlisted {
    Deny,
    Allow,
}

/// One pattern of `hide`.
#[derive(Debug, Clone)]
pub(crate) struct HidePattern {
    pub(crate) pointer: String,
    pub(crate) pattern: Pattern,
}

/// The rules for tools, for resources or for prompts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Section {
    pub(crate) exact: HashMap<String, Rule>,
    /// Those with more literal characters first.
    pub(crate) patterns: Vec<(Pattern, Rule)>,
}

/// What the rules of a section say to a name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found<'p> {
    Rule(&'p Rule),
    /// Two patterns match equally well.
    Tie,
    Unlisted,
}

impl Section {
    pub(crate) fn find(&self, name: &str) -> Found<'_> {
        if let Some(rule) = self.exact.get(name) {
            return Found::Rule(rule);
        }
        let mut matching = self.patterns.iter().filter(|(pattern, _)| pattern.matches(name));
        let Some((best, rule)) = matching.next() else {
            return Found::Unlisted;
        };
        match matching.next() {
            Some((next, _)) if next.literals() == best.literals() => Found::Tie,
            _ => Found::Rule(rule),
        }
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.exact.values().chain(self.patterns.iter().map(|(_, rule)| rule))
    }
}

/// One rule, or what `all_tools` adds to every rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rule {
    pub(crate) pointer: String,
    pub(crate) action_pointer: String,
    pub(crate) action: Action,
    pub(crate) reason: Option<String>,
    pub(crate) patience: Patience,
    pub(crate) deny_if: Vec<Entry>,
    pub(crate) require: Vec<Entry>,
    pub(crate) approve_if: Vec<Entry>,
    /// In the order in which they are checked: `limits`, then `rate_limit`.
    pub(crate) limits: Vec<Limit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Action {
    #[default]
    Allow,
    Deny,
    RequireApproval,
    Hide,
}

impl Action {
    pub(crate) const ALL: [Self; 4] = [Self::Allow, Self::Deny, Self::RequireApproval, Self::Hide];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::RequireApproval => "require_approval",
            Self::Hide => "hide",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

/// How long an approval stays open, and how long the agent is kept waiting for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    pub(crate) timeout: Duration,
    pub(crate) hold: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(60 * 60), hold: Duration::ZERO }
    }
}

/// One entry of `require`, `deny_if` or `approve_if`.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) pointer: String,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) on_deny: Option<String>,
    pub(crate) patience: Patience,
}

impl Policy {
    /// Reads and checks a policy document.
    ///
    /// # Errors
    /// All problems of the document, warnings included, if at least one of them is an error.
    pub fn parse(text: &str, format: Format) -> Result<Checked, Vec<Problem>> {
        read::document(text, format)
    }

    /// Checks a policy that is part of a larger document.
    ///
    /// Problems point into `text`, their pointers begin with `at`; the rules that decisions name do not. Duplicate keys
    /// inside of the policy are reported here as well, equal to what [`crate::document::parse`] said about them.
    ///
    /// # Errors
    /// All problems of this part, warnings included, if at least one of them is an error.
    pub fn from_node(node: &Node, text: &str, at: &Pointer) -> Result<Checked, Vec<Problem>> {
        read::part(node, text, at)
    }

    /// What tells this policy from any other: the first 16 hexadecimal digits of the SHA-256 of its canonical JSON.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Judges a call.
    #[must_use]
    pub fn judge<'p>(&'p self, call: &Call<'_>) -> Verdict<'p> {
        judge::judge(self, call, &mut ())
    }

    /// Judges a call and tells how the verdict came about.
    #[must_use]
    pub fn explain<'p>(&'p self, call: &Call<'_>) -> Explanation<'p> {
        let mut steps: Vec<Step> = Vec::new();
        let verdict = judge::judge(self, call, &mut steps);
        Explanation { steps, verdict }
    }

    /// The rule that hides this from lists, if one does. Completion is hidden with what it completes.
    #[must_use]
    pub fn hides<'p>(&'p self, target: &Target<'_>) -> Option<&'p str> {
        judge::hides(self, target)
    }

    /// Whether anything at all may be hidden from such a list.
    #[must_use]
    pub fn hides_anything(&self, what: Listed) -> bool {
        let hides = |section: &Section| section.rules().any(|rule| rule.action == Action::Hide);
        match what {
            Listed::Tools => !self.hide.is_empty() || hides(&self.tools),
            Listed::Resources => self.resources.as_ref().is_some_and(hides),
            Listed::Prompts => hides(&self.prompts),
        }
    }
}
