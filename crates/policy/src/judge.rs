//! From a call to a verdict, step by step.
//!
//! The order is that of the reference: hidden, unlisted, `action`, `deny_if`, `require`, what the limits cost, approval.
//! The first step that has something to say says it.

use std::borrow::Cow;

use crate::arguments::Arguments;
use crate::condition::{Condition, Doubt, Facts, Outcome, Quantifier};
use crate::model::{Action, Entry, Found, Patience, Policy, Rule, Section, Unlisted};
use crate::observer::Observer;
use crate::uri;
use crate::verdict::{Call, Target, Verdict};

/// Methods that no policy governs: the handshake, lists, logging levels, cancellation and progress.
const UNGOVERNED: [&str; 12] = [
    "initialize",
    "server/discover",
    "ping",
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "prompts/list",
    "logging/setLevel",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
];

/// Methods that name what they are about, and cannot be judged without that name.
const NAMING: [&str; 6] = [
    "tools/call",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/get",
    "completion/complete",
];

/// How much of a name is repeated in what the agent is told.
const LONGEST_TOLD_NAME: usize = 120;

const DEFAULT: &str = "/default";

/// What a call names, and the rules for such names.
pub(crate) struct Subject<'p, 'a> {
    section: Option<&'p Section>,
    pointer: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) name: &'a str,
    uri: Option<&'a str>,
}

impl<'p, 'a> Subject<'p, 'a> {
    fn of(policy: &'p Policy, target: &Target<'a>) -> Option<Self> {
        let subject = |section, pointer, kind, name, uri| Some(Self { section, pointer, kind, name, uri });
        match *target {
            Target::Tool(name) => subject(Some(&policy.tools), "/tools", "tool", name, None),
            Target::Resource(name) | Target::CompleteResource(name) => {
                subject(policy.resources.as_ref(), "/resources", "resource", name, Some(name))
            }
            Target::Prompt(name) | Target::CompletePrompt(name) => {
                subject(Some(&policy.prompts), "/prompts", "prompt", name, None)
            }
            Target::Method(_) => None,
        }
    }

    fn find(&self) -> Found<'p> {
        self.section.map_or(Found::Unlisted, |section| section.find(self.name))
    }
}

/// The rule that hides a target from lists and calls.
pub(crate) fn hides<'p>(policy: &'p Policy, target: &Target<'_>) -> Option<&'p str> {
    let subject = Subject::of(policy, target)?;
    hidden_by(policy, target, &subject.find())
}

fn hidden_by<'p>(policy: &'p Policy, target: &Target<'_>, found: &Found<'p>) -> Option<&'p str> {
    if let Target::Tool(name) = target
        && let Some(hidden) = policy.hide.iter().find(|hidden| hidden.pattern.matches(name))
    {
        return Some(&hidden.pointer);
    }
    match found {
        Found::Rule(rule) if rule.action == Action::Hide => Some(&rule.action_pointer),
        Found::Rule(_) | Found::Tie | Found::Unlisted => None,
    }
}

pub(crate) fn judge<'p>(policy: &'p Policy, call: &Call<'_>, observer: &mut impl Observer) -> Verdict<'p> {
    let Some(subject) = Subject::of(policy, &call.target) else {
        return judge_method(policy, &call.target, observer);
    };
    let found = subject.find();
    if let Some(rule) = hidden_by(policy, &call.target, &found) {
        observer.note(rule, || (told(subject.name), "hidden".to_owned()));
        return Verdict::Hide { rule };
    }
    let rule = match listed(policy, &subject, &found, observer) {
        Ok(rule) => rule,
        Err(denial) => return denial,
    };
    if let Some(denied) = denied_by_action(rule, &subject, observer) {
        return denied;
    }
    if matches!(call.target, Target::CompleteResource(_) | Target::CompletePrompt(_)) {
        return Verdict::Allow { rule: rule.map_or(DEFAULT, |rule| &rule.pointer), charges: Vec::new() };
    }
    let extra = matches!(call.target, Target::Tool(_)).then_some(&policy.all_tools);
    let facts = Facts {
        arguments: Arguments::new(call.arguments),
        grant_label: call.grant_label,
        client_name: call.client_name,
        uri: subject.uri,
    };
    Judgement { rule, extra, subject, facts, observer }.verdict()
}

fn judge_method<'p>(policy: &'p Policy, target: &Target<'_>, observer: &mut impl Observer) -> Verdict<'p> {
    let method = match target {
        Target::Method(method) => method,
        Target::Tool(name)
        | Target::Resource(name)
        | Target::Prompt(name)
        | Target::CompleteResource(name)
        | Target::CompletePrompt(name) => name,
    };
    if UNGOVERNED.contains(method) {
        observer.note("", || (told(method), "passes: no policy governs this method".to_owned()));
        return Verdict::Allow { rule: "", charges: Vec::new() };
    }
    if NAMING.contains(method) {
        observer.note(DEFAULT, || (told(method), "denied: it does not say what it is about".to_owned()));
        let reason = format!("{} does not say what it is about", told(method));
        return Verdict::Deny { rule: DEFAULT, reason: reason.into() };
    }
    unlisted(policy, || format!("the method {}", told(method)), observer)
        .err()
        .unwrap_or(Verdict::Allow { rule: DEFAULT, charges: Vec::new() })
}

/// The rule for what the call names; none if it is not listed and that is allowed.
fn listed<'p>(
    policy: &'p Policy,
    subject: &Subject<'p, '_>,
    found: &Found<'p>,
    observer: &mut impl Observer,
) -> Result<Option<&'p Rule>, Verdict<'p>> {
    let deny = |rule, reason: String| Err(Verdict::Deny { rule, reason: reason.into() });
    if subject.uri.is_some_and(uri::has_dot_segments) && subject.section.is_some() {
        observer.note(subject.pointer, || (told(subject.name), "denied: the URI has dot segments".to_owned()));
        return deny(
            subject.pointer,
            format!("{} has dot segments, so it cannot be told which resource it means", told(subject.name)),
        );
    }
    match found {
        Found::Rule(rule) => {
            observer.note(&rule.pointer, || (told(subject.name), "this rule decides".to_owned()));
            Ok(Some(rule))
        }
        Found::Tie => {
            observer
                .note(subject.pointer, || (told(subject.name), "denied: two patterns match equally well".to_owned()));
            deny(
                subject.pointer,
                format!("two patterns of the policy match {} equally well, so neither decides", told(subject.name)),
            )
        }
        Found::Unlisted => unlisted(policy, || format_name(subject), observer).map(|()| None),
    }
}

fn format_name(subject: &Subject<'_, '_>) -> String {
    format!("the {} {}", subject.kind, told(subject.name))
}

fn unlisted<'p>(
    policy: &'p Policy,
    what: impl Fn() -> String,
    observer: &mut impl Observer,
) -> Result<(), Verdict<'p>> {
    match policy.unlisted {
        Unlisted::Allow => {
            observer.note(DEFAULT, || (what(), "not listed, which is allowed".to_owned()));
            Ok(())
        }
        Unlisted::Deny => {
            observer.note(DEFAULT, || (what(), "denied: not listed".to_owned()));
            Err(Verdict::Deny {
                rule: DEFAULT,
                reason: format!("{} is not in this policy, which allows only what it lists", what()).into(),
            })
        }
    }
}

fn denied_by_action<'p>(
    rule: Option<&'p Rule>,
    subject: &Subject<'_, '_>,
    observer: &mut impl Observer,
) -> Option<Verdict<'p>> {
    let rule = rule.filter(|rule| rule.action == Action::Deny)?;
    observer.note(&rule.action_pointer, || (told(subject.name), "denied".to_owned()));
    let reason = rule
        .reason
        .as_deref()
        .map_or_else(|| format!("{} is denied by this policy", format_name(subject)).into(), Cow::Borrowed);
    Some(Verdict::Deny { rule: &rule.action_pointer, reason })
}

/// A call of something that is listed, or need not be, on its way to a verdict.
pub(crate) struct Judgement<'p, 'a, 'o, O> {
    rule: Option<&'p Rule>,
    /// What `all_tools` adds.
    extra: Option<&'p Rule>,
    pub(crate) subject: Subject<'p, 'a>,
    pub(crate) facts: Facts<'a>,
    pub(crate) observer: &'o mut O,
}

impl<'p, O: Observer> Judgement<'p, '_, '_, O> {
    fn verdict(mut self) -> Verdict<'p> {
        let denied = self.denied_by_deny_if().or_else(|| self.denied_by_require());
        if let Some(verdict) = denied {
            return verdict;
        }
        let charges = match self.charges() {
            Ok(charges) => charges,
            Err(denied) => return denied,
        };
        match self.asks() {
            Some((rule, patience)) => {
                let reason = self.rule.and_then(|rule| rule.reason.as_deref());
                Verdict::Approve { rule, reason, timeout: patience.timeout, hold: patience.hold, charges }
            }
            None => {
                let rule = self.rule.map_or(DEFAULT, |rule| &rule.pointer);
                self.observer.note(rule, || (told(self.subject.name), "allowed, if its limits have room".to_owned()));
                Verdict::Allow { rule, charges }
            }
        }
    }

    /// The rule's own entries of a kind, then those of `all_tools`, each with the reason of its rule.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &'p Rule> + use<'p, O> {
        self.rule.into_iter().chain(self.extra)
    }

    fn denied_by_deny_if(&mut self) -> Option<Verdict<'p>> {
        for rule in self.rules() {
            for entry in &rule.deny_if {
                if let Some(doubt) = self.matches(entry) {
                    return Some(deny(rule, entry, doubt, || match entry.conditions.as_slice() {
                        [] => "calls like this one are denied".to_owned(),
                        conditions => {
                            format!("calls with such {} are denied", paths(conditions))
                        }
                    }));
                }
            }
        }
        None
    }

    fn denied_by_require(&mut self) -> Option<Verdict<'p>> {
        for rule in self.rules() {
            for entry in &rule.require {
                for (index, condition) in entry.conditions.iter().enumerate() {
                    let outcome = self.facts.judge(condition, Quantifier::All);
                    self.observer.condition(entry, index, condition, outcome);
                    let path = &condition.written;
                    let (why, doubt) = match outcome {
                        Outcome::True => continue,
                        Outcome::False => ("does not meet what the policy requires", None),
                        Outcome::Absent => ("is missing, and the policy requires it", None),
                        Outcome::Undetermined(doubt) => ("cannot be judged", Some((path.as_str(), doubt))),
                    };
                    self.observer.note(&entry.pointer, || {
                        ("`require`".to_owned(), "denied: not every condition is true".to_owned())
                    });
                    return Some(deny(rule, entry, doubt, || format!("`{path}` {why}")));
                }
            }
        }
        None
    }

    /// Whether all conditions of an entry are true or undetermined; if so, with the doubt there is.
    fn matches(&mut self, entry: &'p Entry) -> Option<Option<(&'p str, Doubt)>> {
        let mut doubtful = None;
        for (index, condition) in entry.conditions.iter().enumerate() {
            let outcome = self.facts.judge(condition, Quantifier::Any);
            self.observer.condition(entry, index, condition, outcome);
            match outcome {
                Outcome::True => {}
                Outcome::False | Outcome::Absent => return None,
                Outcome::Undetermined(doubt) => doubtful = doubtful.or(Some((condition.written.as_str(), doubt))),
            }
        }
        self.observer.note(&entry.pointer, || {
            let result = if doubtful.is_some() { "matches: it cannot be told that it does not" } else { "matches" };
            ("all conditions".to_owned(), result.to_owned())
        });
        Some(doubtful)
    }

    fn asks(&mut self) -> Option<(&'p str, Patience)> {
        if let Some(rule) = self.rule.filter(|rule| rule.action == Action::RequireApproval) {
            self.observer.note(&rule.action_pointer, || (told(self.subject.name), "asks for approval".to_owned()));
            return Some((&rule.action_pointer, rule.patience));
        }
        for rule in self.rules() {
            for entry in &rule.approve_if {
                if self.matches(entry).is_some() {
                    return Some((&entry.pointer, entry.patience));
                }
            }
        }
        None
    }
}

/// A denial with what the author of the entry or of the rule wants said, and with the doubt, if there was one.
fn deny<'p>(
    rule: &'p Rule,
    entry: &'p Entry,
    doubt: Option<(&str, Doubt)>,
    otherwise: impl FnOnce() -> String,
) -> Verdict<'p> {
    let own = entry.on_deny.as_deref().or(rule.reason.as_deref());
    let reason = match (own, doubt) {
        (Some(own), None) => Cow::Borrowed(own),
        (Some(own), Some((path, doubt))) => format!("{own} (`{path}` cannot be judged: {doubt})").into(),
        (None, Some((path, doubt))) => format!("`{path}` cannot be judged: {doubt}").into(),
        (None, None) => otherwise().into(),
    };
    Verdict::Deny { rule: &entry.pointer, reason }
}

fn paths(conditions: &[Condition]) -> String {
    let names: Vec<String> = conditions.iter().map(|condition| format!("`{}`", condition.written)).collect();
    names.join(" and ")
}

/// A name as it is repeated to people and agents.
fn told(name: &str) -> String {
    match name.char_indices().nth(LONGEST_TOLD_NAME) {
        Some((end, _)) => format!("`{}…`", name.get(..end).unwrap_or_default()),
        None => format!("`{name}`"),
    }
}
