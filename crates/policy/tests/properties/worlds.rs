//! Policies and calls, made of parts that are likely to meet.

use proptest::prelude::*;
use proptest::sample::select;

/// A rule or `all_tools`, as lists of the JSON texts of its entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuleText {
    pub(crate) action: Option<&'static str>,
    pub(crate) deny_if: Vec<String>,
    pub(crate) require: Vec<String>,
    pub(crate) approve_if: Vec<String>,
    pub(crate) limits: Vec<String>,
    pub(crate) rate_limit: Option<u8>,
}

/// A policy that can be written down, and added to.
#[derive(Debug, Clone)]
pub(crate) struct PolicyText {
    pub(crate) default: &'static str,
    pub(crate) hide: Vec<&'static str>,
    pub(crate) tools: Vec<(&'static str, RuleText)>,
    pub(crate) all_tools: RuleText,
}

impl RuleText {
    fn written(&self, with_action: bool) -> String {
        let list = |name: &str, entries: &[String]| format!(r#""{name}": [{}]"#, entries.join(", "));
        let mut fields = vec![
            list("deny_if", &self.deny_if),
            list("require", &self.require),
            list("approve_if", &self.approve_if),
            list("limits", &self.limits),
        ];
        if with_action {
            fields.extend(self.action.map(|action| format!(r#""action": "{action}""#)));
            fields.extend(self.rate_limit.map(|max| format!(r#""rate_limit": "{max}/minute""#)));
        }
        format!("{{ {} }}", fields.join(", "))
    }
}

impl PolicyText {
    pub(crate) fn written(&self) -> String {
        let hide: Vec<String> = self.hide.iter().map(|name| format!("{name:?}")).collect();
        let tools: Vec<String> =
            self.tools.iter().map(|(name, rule)| format!("{name:?}: {}", rule.written(true))).collect();
        format!(
            r#"{{ "version": "1", "default": "{}", "hide": [{}], "tools": {{ {} }}, "all_tools": {} }}"#,
            self.default,
            hide.join(", "),
            tools.join(", "),
            self.all_tools.written(false),
        )
    }
}

pub(crate) fn tool() -> impl Strategy<Value = &'static str> {
    select(vec!["t", "get_a", "get_b", "put_a", "drop"])
}

/// Values, some equal in value but not in kind or spelling.
pub(crate) fn value() -> impl Strategy<Value = String> {
    let scalar = select(vec![
        "1",
        "1.0",
        "2",
        "10e-1",
        "-3",
        "0.1",
        "1e400",
        "1e500",
        r#""1""#,
        r#""a""#,
        r#""\u0061b""#,
        "true",
        "false",
        "null",
        r#""""#,
    ])
    .prop_map(str::to_owned);
    scalar.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|members| format!("[{}]", members.join(", "))),
            proptest::collection::vec(inner, 0..3).prop_map(|members| object(&members)),
        ]
    })
}

/// An object with these values, under keys some of which differ only in case.
fn object(values: &[String]) -> String {
    let keys = ["x", "y", "Y"];
    let fields: Vec<String> = keys.iter().zip(values).map(|(key, value)| format!(r#""{key}": {value}"#)).collect();
    format!("{{{}}}", fields.join(", "))
}

pub(crate) fn arguments() -> impl Strategy<Value = Option<String>> {
    let fields = proptest::collection::btree_map(select(vec!["x", "X", "y", "n"]), value(), 0..4);
    let object = fields.prop_map(|fields| {
        let fields: Vec<String> = fields.iter().map(|(key, value)| format!(r#""{key}": {value}"#)).collect();
        format!("{{{}}}", fields.join(", "))
    });
    proptest::option::weighted(0.9, object)
}

pub(crate) fn condition() -> impl Strategy<Value = String> {
    let path = select(vec![
        "args.x",
        "args.y",
        "args.x[*]",
        "args.x.y",
        "args.y[0]",
        "args.x[*].y",
        "grant.label",
        "client.name",
    ]);
    let scalar = || select(vec!["1", "2", r#""1""#, r#""a""#, "true", "null"]);
    let test = prop_oneof![
        (select(vec!["eq", "neq", "contains"]), scalar())
            .prop_map(|(op, value)| format!(r#""{op}", "value": {value}"#)),
        (select(vec!["in", "not_in"]), scalar(), scalar())
            .prop_map(|(op, one, two)| format!(r#""{op}", "value": [{one}, {two}]"#)),
        (select(vec!["lt", "lte", "gt", "gte"]), -3..3_i8)
            .prop_map(|(op, number)| format!(r#""{op}", "value": {number}"#)),
        select(vec!["a", "^1$", "."]).prop_map(|regex| format!(r#""regex", "value": "{regex}""#)),
        any::<bool>().prop_map(|truth| format!(r#""exists", "value": {truth}"#)),
    ];
    (path, test).prop_map(|(path, test)| format!(r#"{{ "path": "{path}", "op": {test} }}"#))
}

pub(crate) fn entry() -> impl Strategy<Value = String> {
    proptest::collection::vec(condition(), 0..3)
        .prop_map(|conditions| format!(r#"{{ "conditions": [{}] }}"#, conditions.join(", ")))
}

pub(crate) fn limit() -> impl Strategy<Value = String> {
    let cost = proptest::option::of(select(vec![r#", "cost": "args.n""#, r#", "cost": "args.x""#]));
    (select(vec!["c", "d"]), 0..4_u8, select(vec!["grant", "session", "gateway"]), cost).prop_map(
        |(counter, max, scope, cost)| {
            format!(
                r#"{{ "counter": "{counter}", "window": "minute", "max": {max}, "scope": "{scope}"{} }}"#,
                cost.unwrap_or_default()
            )
        },
    )
}

fn rule() -> impl Strategy<Value = RuleText> {
    let entries = || proptest::collection::vec(entry(), 0..2);
    let action = proptest::option::weighted(0.3, select(vec!["allow", "deny", "require_approval", "hide"]));
    let limits = proptest::collection::vec(limit(), 0..3);
    let rate_limit = proptest::option::weighted(0.2, 0..3_u8);
    (action, entries(), entries(), entries(), limits, rate_limit).prop_map(
        |(action, deny_if, require, approve_if, limits, rate_limit)| RuleText {
            action,
            deny_if,
            require,
            approve_if,
            limits,
            rate_limit,
        },
    )
}

pub(crate) fn policy() -> impl Strategy<Value = PolicyText> {
    let names = vec!["t", "get_a", "get_*", "*_a", "put_*", "*"];
    let tools = proptest::collection::btree_map(select(names), rule(), 0..4);
    let hide = proptest::collection::vec(select(vec!["drop", "put_*", "*_b"]), 0..2);
    (select(vec!["deny", "allow"]), hide, tools, rule()).prop_map(|(default, hide, tools, all_tools)| PolicyText {
        default,
        hide,
        tools: tools.into_iter().collect(),
        all_tools,
    })
}
