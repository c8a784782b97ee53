//! `toolgate explain`.

use crate::support::{Place, Ran};

const POLICY: &str = r#"
version: "1"
default: deny
hide: ["delete_*"]
tools:
  create_charge:
    require:
      - conditions: [{ path: args.currency, op: in, value: [usd, eur] }]
        on_deny: Only USD and EUR
    deny_if:
      - conditions: [{ path: grant.label, op: eq, value: intern }]
        on_deny: Not for interns
    approve_if:
      - conditions: [{ path: args.amount, op: gt, value: 100 }]
        timeout: 30m
    limits:
      - { counter: spend, window: day, max: 1000, cost: args.amount }
resources:
  "file:///srv/*": {}
prompts:
  summarise: {}
"#;

fn explain(arguments: &[&str]) -> Ran {
    let place = Place::new();
    place.write("policy.yaml", POLICY);
    let all = [&["explain", "--policy", "policy.yaml"], arguments].concat();
    place.run(&all)
}

#[track_caller]
fn check(arguments: &[&str], code: i32, outcome: &str, rule: &str) -> serde_json::Value {
    let ran = explain(&[arguments, &["--json"]].concat()).ends_with(code);
    let [object] = ran.objects().try_into().unwrap();
    assert_eq!((object["outcome"].as_str(), object["rule"].as_str()), (Some(outcome), Some(rule)));
    assert!(object["steps"].as_array().is_some_and(|steps| !steps.is_empty()), "{object}");
    object
}

#[test]
fn an_allowed_call_names_its_rule_and_its_limits() {
    let arguments = ["--tool", "create_charge", "--args", r#"{"currency":"usd","amount":99.5}"#];
    let object = check(&arguments, 0, "allow", "/tools/create_charge");
    assert_eq!(object["limits"][0]["rule"], "/tools/create_charge/limits/0");
    assert_eq!(object["limits"][0]["cost"], "99.5");
    assert_eq!(object["limits"][0]["max"], "1000");
}

#[test]
fn a_denied_call_tells_the_reason_and_exits_with_1() {
    let arguments = ["--tool", "create_charge", "--args", r#"{"currency":"gbp","amount":1}"#];
    let object = check(&arguments, 1, "deny", "/tools/create_charge/require/0");
    assert_eq!(object["reason"], "Only USD and EUR");
}

#[test]
fn the_grant_is_part_of_the_call() {
    let arguments = ["--tool", "create_charge", "--args", r#"{"currency":"usd","amount":1}"#];
    let arguments = [&arguments[..], &["--grant", "intern"]].concat();
    check(&arguments, 1, "deny", "/tools/create_charge/deny_if/0");
}

#[test]
fn an_approval_is_no_denial() {
    let arguments = ["--tool", "create_charge", "--args", r#"{"currency":"usd","amount":101}"#];
    let object = check(&arguments, 0, "approve", "/tools/create_charge/approve_if/0");
    assert_eq!(object["timeout_seconds"], 1800);
}

#[test]
fn what_is_not_listed_follows_the_default() {
    check(&["--tool", "other"], 1, "deny", "/default");
    check(&["--prompt", "other"], 1, "deny", "/default");
}

#[test]
fn a_hidden_tool_is_hidden() {
    check(&["--tool", "delete_all"], 1, "hide", "/hide/0");
}

#[test]
fn resources_and_prompts_can_be_asked_about() {
    check(&["--resource", "file:///srv/a"], 0, "allow", "/resources/file:~1~1~1srv~1*");
    check(&["--prompt", "summarise"], 0, "allow", "/prompts/summarise");
}

#[test]
fn people_get_the_steps_as_a_table() {
    let ran = explain(&["--tool", "create_charge"]).ends_with(1);
    assert!(
        ran.stdout.starts_with("create_charge: deny\n  rule    /tools/create_charge/require/0\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("\nSTEP "), "{}", ran.stdout);
}

#[test]
fn arguments_are_read_as_strictly_as_the_gate_does() {
    for arguments in ["", "[]", "{", "null", "{} {}", r#"{"a":1,"a":2}"#, r#"{}}, "name": {"a":1}"#] {
        let ran = explain(&["--tool", "create_charge", "--args", arguments]).ends_with(2);
        assert!(ran.stderr.starts_with("error: "), "{arguments}: {}", ran.stderr);
    }
}

#[test]
fn exactly_one_thing_is_asked_about() {
    explain(&[]).ends_with(2);
    explain(&["--tool", "a", "--prompt", "b"]).ends_with(2);
}

#[test]
fn an_invalid_policy_explains_nothing() {
    let place = Place::new();
    place.write("policy.yaml", "version: 1\n");
    let ran = place.run(&["explain", "--policy", "policy.yaml", "--tool", "t"]).ends_with(1);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("--> policy.yaml:1:10"), "{}", ran.stderr);
    place.run(&["explain", "--policy", "none.yaml", "--tool", "t"]).ends_with(3);
}
