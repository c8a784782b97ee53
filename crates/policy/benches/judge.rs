//! What judging one call costs. The budget is a median under 3 µs for 20 rules, 3 limits and 1 KiB of arguments.
//!
//! `cargo bench -p policy`

#![allow(clippy::panic, missing_docs, reason = "a benchmark fails by panicking, and nobody calls it")]

use divan::{Bencher, black_box};
use policy::document::Format;
use policy::{Call, Policy, Target, Verdict, canonical_json};

fn main() {
    divan::main();
}

/// A policy whose tool `create_order` has 20 entries and 3 limits, next to 20 other tools.
fn policy() -> Policy {
    let conditions = [
        r#"{ "path": "args.note", "op": "contains", "value": "DROP TABLE" }"#,
        r#"{ "path": "args.amount", "op": "gt", "value": 50000 }"#,
        r#"{ "path": "args.amount", "op": "lt", "value": 0.01 }"#,
        r#"{ "path": "args.currency", "op": "not_in", "value": ["usd", "eur", "gbp"] }"#,
        r#"{ "path": "args.currency", "op": "eq", "value": "xxx" }"#,
        r#"{ "path": "args.path", "op": "regex", "value": "^/etc/" }"#,
        r#"{ "path": "args.path", "op": "regex", "value": "\\.env$" }"#,
        r#"{ "path": "args.path", "op": "contains", "value": ".." }"#,
        r#"{ "path": "args.items[*].amount", "op": "gt", "value": 999.99 }"#,
        r#"{ "path": "args.items[0].sku", "op": "eq", "value": "none" }"#,
        r#"{ "path": "args.items[1].quantity", "op": "gte", "value": 100 }"#,
        r#"{ "path": "args.customer.name", "op": "eq", "value": "nobody" }"#,
        r#"{ "path": "args.customer.email", "op": "exists", "value": true }"#,
        r#"{ "path": "args.customer.address.country", "op": "in", "value": ["xx", "yy"] }"#,
        r#"{ "path": "args.force", "op": "exists", "value": true }"#,
        r#"{ "path": "args.dry_run", "op": "eq", "value": true }"#,
        r#"{ "path": "args.express", "op": "neq", "value": true }"#,
        r#"{ "path": "args.tags", "op": "contains", "value": "internal" }"#,
        r#"{ "path": "grant.label", "op": "eq", "value": "guest" }"#,
        r#"{ "path": "client.name", "op": "eq", "value": "unknown" }"#,
    ];
    let entry = |condition: &&str| format!(r#"{{ "conditions": [{condition}] }}"#);
    let entries: Vec<String> = conditions.iter().map(entry).collect();
    let others: Vec<String> = (0..20).map(|n| format!(r#""get_thing_{n}_*": {{}}"#)).collect();
    let limits = r#"[
        { "counter": "calls", "window": "minute", "max": 100 },
        { "counter": "spend", "window": "day", "max": 1000000, "cost": "args.amount" },
        { "counter": "all", "window": "hour", "max": 1000, "scope": "gateway", "kind": "sliding" }
    ]"#;
    let text = format!(
        r#"{{ "version": "1", "default": "deny", "hide": ["delete_*", "drop_*"], "tools": {{
            {}, "create_order": {{ "deny_if": [{}], "limits": {limits} }} }} }}"#,
        others.join(", "),
        entries.join(", "),
    );
    match Policy::parse(&text, Format::Json) {
        Ok(checked) => checked.policy,
        Err(problems) => panic!("{problems:?}"),
    }
}

/// About 1 KiB of arguments.
fn arguments() -> String {
    let items: Vec<String> =
        (0..6).map(|n| format!(r#"{{"sku":"item-{n}","amount":9{n}.50,"quantity":{n},"gift":false}}"#)).collect();
    let note = "a note that somebody wrote, of the length that notes have; ".repeat(8);
    format!(
        r#"{{"customer":{{"name":"Ada","address":{{"street":"1 High Street","country":"gb"}}}},"currency":"gbp",
            "amount":1234.50,"path":"/srv/orders","items":[{}],"note":"{note}","express":true,"tags":["a","b"]}}"#,
        items.join(",")
    )
}

#[divan::bench(sample_size = 1000)]
fn judge_20_entries_3_limits_1_kib(bencher: Bencher<'_, '_>) {
    let (policy, arguments) = (policy(), arguments());
    assert!((1000..1200).contains(&arguments.len()), "{}", arguments.len());
    let call = Call {
        target: Target::Tool("create_order"),
        arguments: Some(&arguments),
        grant_label: "alice-laptop",
        client_name: None,
    };
    // Nothing matches, so every entry is judged.
    assert!(matches!(policy.judge(&call), Verdict::Allow { charges, .. } if charges.len() == 3));
    bencher.bench(|| policy.judge(black_box(&call)));
}

#[divan::bench(sample_size = 1000)]
fn judge_without_conditions(bencher: Bencher<'_, '_>) {
    let (policy, arguments) = (policy(), arguments());
    let call = Call {
        target: Target::Tool("get_thing_7_now"),
        arguments: Some(&arguments),
        grant_label: "alice-laptop",
        client_name: None,
    };
    bencher.bench(|| policy.judge(black_box(&call)));
}

#[divan::bench(sample_size = 1000)]
fn canonical_1_kib(bencher: Bencher<'_, '_>) {
    let arguments = arguments();
    bencher.bench(|| canonical_json(black_box(&arguments)));
}
