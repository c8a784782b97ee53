//! Adding a restriction to what decides a call never lets more through.

use policy::document::Format;
use policy::{Call, Policy, Target, Timestamp, Verdict};
use proptest::prelude::*;

use crate::config;
use crate::ledger::{Caller, Ledger};
use crate::worlds::{self, PolicyText};

/// What may happen to a call, from the most to the least that is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Passage {
    Stopped,
    Asks,
    Passes,
}

#[derive(Debug, Clone)]
enum Addition {
    DenyIf(String),
    Require(String),
    Limit(String),
    Hide,
    HideAction,
}

#[derive(Debug, Clone)]
struct Made {
    tool: &'static str,
    arguments: Option<String>,
    session: bool,
}

fn made() -> impl Strategy<Value = Made> {
    (worlds::tool(), worlds::arguments(), any::<bool>()).prop_map(|(tool, arguments, session)| Made {
        tool,
        arguments,
        session,
    })
}

fn addition() -> impl Strategy<Value = Addition> {
    prop_oneof![
        worlds::entry().prop_map(Addition::DenyIf),
        worlds::entry().prop_map(Addition::Require),
        worlds::limit().prop_map(Addition::Limit),
        Just(Addition::Hide),
        Just(Addition::HideAction),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_restriction_added_to_the_deciding_entry_never_widens(
        text in worlds::policy(),
        history in proptest::collection::vec(made(), 0..5),
        call in made(),
        addition in addition(),
        to_all_tools in any::<bool>(),
    ) {
        let Some(narrower) = with(&text, call.tool, &addition, to_all_tools) else { return Ok(()); };
        let before = parse(&text);
        let after = parse(&narrower);
        let mut counters = Ledger::default();
        for past in &history {
            pass(&before, past, &mut counters);
        }
        let mut same = counters.clone();
        let (was, is) = (pass(&before, &call, &mut counters), pass(&after, &call, &mut same));
        prop_assert!(is <= was, "{was:?} became {is:?} by {addition:?}");
    }

    #[test]
    fn a_restriction_added_to_all_tools_never_widens(
        text in worlds::policy(),
        call in made(),
        addition in addition(),
    ) {
        let mut narrower = text.clone();
        match addition {
            Addition::DenyIf(entry) => narrower.all_tools.deny_if.push(entry),
            Addition::Require(entry) => narrower.all_tools.require.insert(0, entry),
            Addition::Limit(limit) => narrower.all_tools.limits.push(limit),
            Addition::Hide | Addition::HideAction => narrower.hide.push("*"),
        }
        let mut counters = (Ledger::default(), Ledger::default());
        prop_assert!(pass(&parse(&narrower), &call, &mut counters.1) <= pass(&parse(&text), &call, &mut counters.0));
    }
}

/// The policy with a restriction added to the entry that decides the call; nothing if no entry does.
fn with(text: &PolicyText, tool: &'static str, addition: &Addition, in_front: bool) -> Option<PolicyText> {
    let mut narrower = text.clone();
    if matches!(addition, Addition::Hide) {
        narrower.hide.push(tool);
        return Some(narrower);
    }
    let deciding = deciding(text, tool)?;
    let rule = &mut narrower.tools.iter_mut().find(|(name, _)| *name == deciding)?.1;
    let add =
        |list: &mut Vec<String>, entry: &String| list.insert(if in_front { 0 } else { list.len() }, entry.clone());
    match addition {
        Addition::DenyIf(entry) => add(&mut rule.deny_if, entry),
        Addition::Require(entry) => add(&mut rule.require, entry),
        Addition::Limit(limit) => add(&mut rule.limits, limit),
        Addition::HideAction => rule.action = Some("hide"),
        Addition::Hide => {}
    }
    Some(narrower)
}

/// The key that decides, found without any help of the crate: the exact one, or the pattern with most literal characters.
fn deciding(text: &PolicyText, tool: &str) -> Option<&'static str> {
    let matches = |key: &str| match key.split_once('*') {
        Some((start, end)) => tool.len() >= start.len() + end.len() && tool.starts_with(start) && tool.ends_with(end),
        None => key == tool,
    };
    let matching = text.tools.iter().map(|(name, _)| *name).filter(|name| matches(name));
    matching.max_by_key(|name| (!name.contains('*'), name.len()))
}

fn parse(text: &PolicyText) -> Policy {
    match Policy::parse(&text.written(), Format::Json) {
        Ok(checked) => checked.policy,
        Err(problems) => panic!("{problems:?}"),
    }
}

fn pass(policy: &Policy, made: &Made, counters: &mut Ledger) -> Passage {
    let call = Call {
        target: Target::Tool(made.tool),
        arguments: made.arguments.as_deref(),
        grant_label: "a",
        client_name: None,
    };
    let caller = Caller { grant: "a", session: if made.session { "s1" } else { "s2" }, server: "up" };
    match policy.judge(&call) {
        Verdict::Deny { .. } | Verdict::Hide { .. } => Passage::Stopped,
        // An approved call still has to fit into its limits.
        Verdict::Approve { charges, .. } => {
            match counters.clone().reserve(&charges, &caller, Timestamp::from_micros(0)) {
                Ok(_) => Passage::Asks,
                Err(_) => Passage::Stopped,
            }
        }
        Verdict::Allow { charges, .. } => match counters.reserve(&charges, &caller, Timestamp::from_micros(0)) {
            Ok(_) => Passage::Passes,
            Err(_) => Passage::Stopped,
        },
    }
}
