//! The examples of the policy reference are what they say they are.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use policy::document::Format;
use policy::{Call, Policy, Target, Verdict};

const REFERENCE: &str = include_str!("../../../docs/policy-reference.md");

/// The fenced blocks of the reference, with their language.
fn blocks() -> Vec<(Format, String)> {
    let mut blocks = Vec::new();
    let mut lines = REFERENCE.lines();
    while let Some(line) = lines.next() {
        let format = match line {
            "```yaml" => Format::Yaml,
            "```json" => Format::Json,
            _ => continue,
        };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push((format, body.join("\n")));
    }
    blocks
}

/// A whole document around a part of one.
fn completed(format: Format, block: &str) -> String {
    let indented = |spaces: usize| block.lines().map(|line| format!("{:spaces$}{line}\n", "")).collect::<String>();
    let head = "version: \"1\"\ndefault: deny\n";
    match (format, block) {
        (Format::Json, condition) if condition.starts_with("{ \"path\"") => {
            format!(
                r#"{{"version": "1", "default": "deny", "all_tools": {{"require": [{{"conditions": [{condition}]}}]}}}}"#
            )
        }
        (Format::Yaml, sections) if sections.starts_with("tools:") || sections.starts_with("resources:") => {
            format!("{head}{block}")
        }
        (Format::Yaml, conditions) if conditions.starts_with("conditions:") => {
            format!("{head}all_tools:\n  require:\n    -\n{}", indented(6))
        }
        (Format::Yaml, fields) if !fields.starts_with("version:") => format!("{head}tools:\n  t:\n{}", indented(4)),
        _ => block.to_owned(),
    }
}

#[test]
fn every_example_is_a_valid_policy_or_part_of_one() {
    let mut count = 0;
    for (format, block) in blocks().into_iter().filter(|(_, block)| !block.contains("dev.toolgate/decision")) {
        let text = completed(format, &block);
        if let Err(problems) = Policy::parse(&text, format) {
            panic!("{text}\n{problems:#?}");
        }
        count += 1;
    }
    assert!(count > 15, "only {count} examples were found");
}

#[test]
fn the_first_policy_does_what_its_table_says() {
    let (format, text) = blocks().into_iter().next().expect("a first example");
    let policy = Policy::parse(&text, format).expect("a valid policy").policy;
    let judge = |tool, arguments| {
        let call = Call { target: Target::Tool(tool), arguments: Some(arguments), grant_label: "a", client_name: None };
        match policy.judge(&call) {
            Verdict::Allow { rule, charges } => format!("allow {rule} {}", charges.len()),
            Verdict::Deny { rule, .. } => format!("deny {rule}"),
            Verdict::Hide { rule } => format!("hide {rule}"),
            Verdict::Approve { rule, timeout, .. } => format!("approve {rule} {}", timeout.as_secs()),
        }
    };
    let charge = "/tools/create_charge";
    assert_eq!(judge("get_invoice", r#"{"id": 7}"#), "allow /tools/get_invoice 0");
    assert_eq!(judge("create_charge", r#"{"currency": "usd", "amount": 900}"#), format!("allow {charge} 1"));
    assert_eq!(
        judge("create_charge", r#"{"currency": "usd", "amount": 20000}"#),
        format!("approve {charge}/approve_if/0 1800")
    );
    assert_eq!(judge("create_charge", r#"{"currency": "usd", "amount": 60000}"#), format!("deny {charge}/deny_if/0"));
    assert_eq!(judge("create_charge", r#"{"currency": "usd", "amount": "900"}"#), format!("deny {charge}/deny_if/0"));
    assert_eq!(judge("create_charge", r#"{"currency": "gbp", "amount": 900}"#), format!("deny {charge}/require/0"));
    assert_eq!(judge("refund", "{}"), "deny /default");
    assert_eq!(judge("delete_invoice", r#"{"id": 7}"#), "hide /hide/0");
}
