//! Lists that policy filters: what is refused, and what the filter leaves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::borrow::Cow;

use mcp::envelope::{Rejected, list};

fn filtered(result: &str, keep: &[&str]) -> String {
    list::filter(result, "tools", "name", |name| keep.contains(&name)).unwrap().into_owned()
}

fn refusal(result: &str, member: &'static str, key: &'static str) -> Rejected {
    let rejected = list::filter(result, member, key, |_| true).map(drop).unwrap_err();
    assert_eq!(list::names(result, member, key).map(drop).unwrap_err(), rejected);
    rejected
}

#[test]
fn only_the_elements_and_their_commas_go() {
    let result = "{\"a\":[1],\n \"tools\": [ {\"name\":\"a\"} ,\n {\"x\":{\"name\":\"z\"},\"n\\u0061me\":\"b\"}\t, {\"name\":\"c\" } ] , \"_meta\":{} }";
    for (keep, expected) in [
        (&["a", "b", "c"][..], result),
        (&["a"], "{\"a\":[1],\n \"tools\": [ {\"name\":\"a\"} ] , \"_meta\":{} }"),
        (&["b"], "{\"a\":[1],\n \"tools\": [\n {\"x\":{\"name\":\"z\"},\"n\\u0061me\":\"b\"}\t] , \"_meta\":{} }"),
        (&["c"], "{\"a\":[1],\n \"tools\": [ {\"name\":\"c\" } ] , \"_meta\":{} }"),
        (&["a", "c"], "{\"a\":[1],\n \"tools\": [ {\"name\":\"a\"} , {\"name\":\"c\" } ] , \"_meta\":{} }"),
        (&["z"], "{\"a\":[1],\n \"tools\": [] , \"_meta\":{} }"),
    ] {
        assert_eq!(filtered(result, keep), expected, "{keep:?}");
    }
    let untouched = list::filter(result, "tools", "name", |_| true).unwrap();
    assert!(matches!(untouched, Cow::Borrowed(_)));
}

#[test]
fn names_are_read_with_their_escapes_resolved_and_the_cursor_too() {
    let result = r#"{"resources":[{"uri":"file:\/\/\/a"},{"uri":""}],"nextCursor":"\u0063"}"#;
    let (names, cursor) = list::names(result, "resources", "uri").unwrap();
    assert_eq!(names, ["file:///a", ""]);
    assert_eq!(cursor.as_deref(), Some("c"));
    assert_eq!(list::names(r#"{"tools":[]}"#, "tools", "name").unwrap(), (Vec::new(), None));
    assert_eq!(filtered(r#"{"tools":[ ]}"#, &[]), r#"{"tools":[ ]}"#);
}

/// Results whose `tools` must not be filtered by name, and what is said.
const UNSAFE: &[(&str, &str)] = &[
    (r#"{"tools":[{"name":"a","name":"b"}]}"#, "duplicate key `name` at byte 22; send each key once"),
    (r#"{"tools":[{"name":"a","n\u0061me":"b"}]}"#, "duplicate key `name` at byte 22; send each key once"),
    (r#"{"tools":[],"tools":[]}"#, "duplicate key `tools` at byte 12; send each key once"),
    (r#"{"tools":[{"name":"a","s":{"x":1,"x":2}}]}"#, "duplicate key `x` at byte 33; send each key once"),
    (r#"{"tools":[],"x":{"y":1,"y":1}}"#, "duplicate key `y` at byte 23; send each key once"),
    (r#"{"tools":[{"name":"a","Name":"b"}]}"#, "key `Name` at byte 22 differs from `name` only in case; write `name`"),
    (r#"{"tools":[],"TOOLS":[]}"#, "key `TOOLS` at byte 12 differs from `tools` only in case; write `tools`"),
    ("{\"tool\u{17f}\":[]}", "the result has no `tools`; it must be an array"),
    (r#"{"tools":[{"title":"a"}]}"#, "the element at byte 10 has no `name`; it must have one"),
    (r#"{"tools":[{"name":1}]}"#, "`name` of the element at byte 10 is not a string; it must be one"),
    (r#"{"tools":[{"name":null}]}"#, "`name` of the element at byte 10 is not a string; it must be one"),
    (r#"{"tools":["a"]}"#, "the element of `tools` at byte 10 is not an object; it must be one"),
    (r#"{"tools":{}}"#, "`tools` is not an array; it must be one"),
    (r#"{"tools":null}"#, "`tools` is not an array; it must be one"),
    (r#"{}"#, "the result has no `tools`; it must be an array"),
    (r#"[]"#, "the result has no `tools`; it must be an array"),
    (r#"{"tools":[{"name":"\ud800"}]}"#, "unpaired surrogate escape at byte 19; send both halves or neither"),
];

#[test]
fn a_list_is_read_as_strictly_as_a_request() {
    for (result, says) in UNSAFE {
        let rejected = refusal(result, "tools", "name");
        assert_eq!(rejected.message, format!("the server's answer cannot be read: {says}"), "{result}");
        assert_eq!((rejected.code, rejected.status), (-32603, 502));
    }
    refusal(r#"{"resourceTemplates":[{"URITemplate":"a:{b}"}]}"#, "resourceTemplates", "uriTemplate");
}
