//! Documents as trees, and problems with their places and remedies.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

use policy::document::{Format, Node, NodeKind, Pointer, parse};
use policy::{Call, Policy, Problem, Severity, Target, Verdict, argument_keys, canonical_json};

fn problems(text: &str, format: Format) -> Vec<Problem> {
    Policy::parse(text, format).map(|checked| checked.warnings).unwrap_or_else(|problems| problems)
}

/// One problem a line: place, what the span covers, pointer, message and help.
fn drawn(text: &str, format: Format) -> String {
    let line = |problem: &Problem| {
        let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
        let covered = text[problem.span.clone()].lines().next().unwrap_or_default().to_owned();
        let Problem { line, column, pointer, message, help, .. } = problem;
        format!("{line}:{column} {severity} at {pointer:?} [{covered}]\n  {message}\n  {help}\n")
    };
    problems(text, format).iter().map(line).collect()
}

#[test]
fn a_problem_has_its_place_and_a_remedy() {
    let text = "version: 1\ndefault: dney\ntools:\n  'größe 😀': { acton: deny }\n  t:\n    require:\n      - conditions: [{ path: arguments.x, op: equals, value: 1 }]\n";
    let expected = r#"1:10 error at "/version" [1]
  `version` must be the string "1", not the number `1`
  put the 1 in quotes: `"1"`
2:10 error at "/default" [dney]
  `default` cannot be `dney`
  did you mean `deny`? It can be `deny` or `allow`
4:16 error at "/tools/größe 😀/acton" [acton]
  a rule has no field `acton`
  did you mean `action`? Otherwise remove it
7:30 error at "/tools/t/require/0/conditions/0/path" [arguments.x]
  `arguments.x` is not a path: a path begins with `args.`, or is `grant.label` or `client.name`
  for an argument write `args.x`
7:47 error at "/tools/t/require/0/conditions/0/op" [equals]
  there is no operator `equals`
  did you mean `eq`?
"#;
    assert_eq!(drawn(text, Format::Yaml), expected);
}

#[test]
fn a_json_problem_has_its_place_too() {
    let text = "{\r\n  \"version\": \"1\",\r\n  \"default\": \"deny\",\r\n  \"tools\": { \"é\": { \"rate_limit\": \"10/minutes\" } }\r\n}";
    let expected = r#"4:35 error at "/tools/é/rate_limit" ["10/minutes"]
  `rate_limit` must be like `10/minute`, or an object with `max` and `window`, not `10/minutes`
  write a whole number, a slash and `minute`, `hour` or `day`, or `{ "max": 10, "window": 60 }`
"#;
    assert_eq!(drawn(text, Format::Json), expected);
}

#[test]
fn warnings_leave_the_policy_usable() {
    let text = "version: '1'\ndefault: deny\nhide: [gone_*]\ntools:\n  get_*: {}\n  '*user': {}\n  gone_thing: {}\n  gone_*: {}\n  t:\n    rate_limit: 1/minute\n    limits: [{ counter: c, window: hour, max: 1, scope: session }]\n    deny_if: [{ conditions: [{ path: args.x, op: eq, value: no }] }]\n";
    let found = problems(text, Format::Yaml);
    let pointers: Vec<&str> = found.iter().map(|problem| problem.pointer.as_str()).collect();
    let expected = ["/tools", "/tools/gone_thing", "/tools/gone_*", "/tools/t/rate_limit", "/tools/t/limits/0/scope"];
    assert_eq!(pointers[..5], expected);
    assert_eq!(pointers[5..], ["/tools/t/deny_if/0/conditions/0/value"]);
    assert!(found.iter().all(|problem| problem.severity == Severity::Warning));
    assert!(Policy::parse(text, Format::Yaml).is_ok());
}

#[test]
fn patterns_that_cannot_meet_are_no_tie() {
    for (one, other, ties) in [
        ("get_*", "put_*", false),
        ("get_*", "*_get", true),
        ("a*c", "ab*", true),
        ("a*b", "c*d", false),
        ("*a*", "*b*", true),
        ("ab*", "a**b", true),
        ("abc*", "ab*", false),
    ] {
        let text = format!(r#"{{"version": "1", "default": "deny", "tools": {{"{one}": {{}}, "{other}": {{}}}}}}"#);
        assert_eq!(!problems(&text, Format::Json).is_empty(), ties, "{one} and {other}");
    }
}

#[test]
fn a_policy_inside_of_a_larger_document_keeps_its_own_pointers_in_decisions() {
    let text = "policies:\n  mine:\n    version: '1'\n    default: deny\n    tools: { t: { action: deny } }\n  bad: { version: '1', default: maybe }\n";
    let root = parse(text, Format::Yaml).expect("readable").root;
    let at = |name: &str| Pointer::root().key("policies").key(name);
    let part = |name: &str| root.get("policies").and_then(|policies| policies.get(name)).expect("a policy");
    let policy = Policy::from_node(part("mine"), text, &at("mine")).expect("valid").policy;
    let call = Call { target: Target::Tool("t"), arguments: None, grant_label: "a", client_name: None };
    assert!(matches!(policy.judge(&call), Verdict::Deny { rule: "/tools/t/action", .. }));
    let problems = Policy::from_node(part("bad"), text, &at("bad")).expect_err("invalid");
    assert_eq!(problems[0].pointer, "/policies/bad/default");
    assert_eq!((problems[0].line, problems[0].column), (6, 33));
}

#[test]
fn the_version_tells_policies_apart_by_what_they_say() {
    let version = |text: &str, format| Policy::parse(text, format).expect("valid").policy.version().to_owned();
    let json = version(
        r#"{"version":"1","default":"deny","tools":{"a":{},"t":{"limits":[{"counter":"c","window":"day","max":100}]}}}"#,
        Format::Json,
    );
    let yaml = version(
        "default: deny\nversion: '1'\ntools:\n  t: { limits: [{ max: 1e2, window: day, counter: c }] }\n  a: {}\n",
        Format::Yaml,
    );
    let other = version(r#"{"version":"1","default":"allow"}"#, Format::Json);
    assert_eq!(json, yaml);
    assert_ne!(json, other);
    assert_eq!(json.len(), 16);
}

#[test]
fn plain_yaml_scalars_are_what_the_core_schema_says() {
    let kind = |text: &str| {
        parse(&format!("x: {text}"), Format::Yaml).expect("readable").root.get("x").expect("x").kind.clone()
    };
    let number = |text: &str| NodeKind::Number(text.to_owned());
    let string = |text: &str| NodeKind::String(text.to_owned());
    for (text, expected) in [
        ("~", NodeKind::Null),
        ("", NodeKind::Null),
        ("Null", NodeKind::Null),
        ("TRUE", NodeKind::Bool(true)),
        ("false", NodeKind::Bool(false)),
        ("tRUE", string("tRUE")),
        ("no", string("no")),
        ("+12", number("12")),
        ("-12", number("-12")),
        (".5", number("0.5")),
        ("5.", number("5")),
        ("-.5e3", number("-0.5e3")),
        ("1e400", number("1e400")),
        ("1_000", string("1_000")),
        ("12:30", string("12:30")),
        ("1.2.3", string("1.2.3")),
        ("-", NodeKind::List(vec![Node { kind: NodeKind::Null, span: 0..0 }])),
        ("2026-01-01", string("2026-01-01")),
        ("'5'", string("5")),
        ("!!str 5", string("5")),
        ("\"a\\tb\"", string("a\tb")),
    ] {
        if text != "-" {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
    assert!(parse("x: -", Format::Yaml).is_err());
}

#[test]
fn aliases_that_explode_are_refused() {
    let mut text = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for (name, inner) in
        ["b", "c", "d", "e", "f", "g", "h", "i", "j"].iter().zip(["a", "b", "c", "d", "e", "f", "g", "h", "i"])
    {
        let aliases = vec![format!("*{inner}"); 10].join(", ");
        text.push_str(&format!("{name}: &{name} [{aliases}]\n"));
    }
    let problems = parse(&text, Format::Yaml).expect_err("too many values");
    assert!(problems[0].message.contains("aliases"), "{problems:?}");
}

#[test]
fn a_byte_order_mark_does_no_harm_to_documents() {
    for (text, format) in [
        ("\u{feff}{\"version\": \"2\", \"default\": \"deny\"}", Format::Json),
        ("\u{feff}version: '2'\ndefault: deny\n", Format::Yaml),
    ] {
        let found = problems(text, format);
        assert_eq!(found.len(), 1);
        assert!(text[found[0].span.clone()].contains('2'), "{found:?}");
    }
}

#[test]
fn a_file_name_tells_the_format() {
    for (name, format) in [
        ("a.json", Format::Json),
        ("A.JSON", Format::Json),
        ("a.yaml", Format::Yaml),
        ("a.yml", Format::Yaml),
        ("json", Format::Yaml),
        ("é", Format::Yaml),
    ] {
        assert_eq!(Format::of_file_name(name), format, "{name}");
    }
}

#[test]
fn an_explanation_tells_what_was_looked_at() {
    let text = "version: '1'\ndefault: deny\ntools:\n  t:\n    deny_if: [{ conditions: [{ path: args.x, op: gt, value: 5 }] }]\n    require: [{ conditions: [{ path: args.y, op: in, value: [a, b] }] }]\n    limits: [{ counter: c, window: day, max: 10, cost: args.x }]\n";
    let policy = Policy::parse(text, Format::Yaml).expect("valid").policy;
    let explain = |arguments| {
        let call = Call { target: Target::Tool("t"), arguments: Some(arguments), grant_label: "a", client_name: None };
        let steps = policy.explain(&call).steps;
        steps.iter().map(|step| format!("{}: {} -> {}\n", step.rule, step.looked_at, step.result)).collect::<String>()
    };
    let passed = r#"/tools/t: `t` -> this rule decides
/tools/t/deny_if/0/conditions/0: `args.x` gt 5 -> false
/tools/t/require/0/conditions/0: `args.y` in ["a", "b"] -> true
/tools/t/limits/0: the counter `c` -> takes 2.5 of 10 per 86400 s
/tools/t: `t` -> allowed, if its limits have room
"#;
    assert_eq!(explain(r#"{"x": 2.50, "y": "b"}"#), passed);
    let denied = r#"/tools/t: `t` -> this rule decides
/tools/t/deny_if/0/conditions/0: `args.x` gt 5 -> undetermined: it is a string, which cannot be judged here
/tools/t/deny_if/0: all conditions -> matches: it cannot be told that it does not
"#;
    assert_eq!(explain(r#"{"x": "2"}"#), denied);
}

#[test]
fn a_denial_says_why() {
    let text = "version: '1'\ndefault: deny\ntools:\n  a: { deny_if: [{ conditions: [{ path: args.x, op: gt, value: 5 }], on_deny: Too much }] }\n  b: { reason: Not now, deny_if: [{ conditions: [] }] }\n  c: { require: [{ conditions: [{ path: args.x, op: exists, value: true }] }] }\n  d: { limits: [{ counter: c, window: day, max: 1, cost: args.x }] }\n";
    let policy = Policy::parse(text, Format::Yaml).expect("valid").policy;
    let reason = |tool, arguments| match policy.judge(&Call {
        target: Target::Tool(tool),
        arguments: Some(arguments),
        grant_label: "a",
        client_name: None,
    }) {
        Verdict::Deny { reason, .. } => reason.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason("a", r#"{"x": 6}"#), "Too much");
    assert_eq!(
        reason("a", r#"{"X": 1}"#),
        "Too much (`args.x` cannot be judged: a key differs from it only in upper and lower case)"
    );
    assert_eq!(reason("b", "{}"), "Not now");
    assert_eq!(reason("c", "{}"), "`args.x` is missing, and the policy requires it");
    assert_eq!(
        reason("d", "{}"),
        "`args.x` must be a number that is not negative, because a limit counts it; it is missing"
    );
    assert_eq!(reason("e", "{}"), "the tool `e` is not in this policy, which allows only what it lists");
}

#[test]
fn canonical_json_has_one_spelling() {
    for (text, expected) in [
        (
            r#" { "b" : [ 1.0 , true , null ] , "a" : "\u0061\/\u00e9\n" } "#,
            "{\"a\":\"a/é\\u000a\",\"b\":[1,true,null]}",
        ),
        ("1e2", "100"),
        ("-0.0", "0"),
        ("0.1e-1", "0.01"),
        ("1e300", "1e300"),
        ("1e500", "#1e500"),
        (r#"{"b":{"z":1,"a":{}},"a":[]}"#, r#"{"a":[],"b":{"a":{},"z":1}}"#),
    ] {
        assert_eq!(canonical_json(text).as_deref(), Ok(expected), "{text}");
    }
    for text in [r#"{"a":1,"\u0061":2}"#, "{", "", "[1,]", "nope", "1 2", r#"{"a" 1}"#, "\"a"] {
        assert!(canonical_json(text).is_err(), "{text}");
    }
    assert_eq!(argument_keys(r#" {"b": {"x": 1}, "\u0061": "}"} "#), ["b", "a"]);
    assert!(argument_keys("[1]").is_empty());
}
