//! What a policy hides: to the agent it does not exist.

use crate::agent::{Session, told};
use crate::configuration::Configuration;
use crate::gateway::Gateway;
use crate::upstream::Upstream;

const HIDING: &str = r#"{"version":"1","default":"allow","hide":["secret_*"]}"#;

fn start(policy: &str) -> (Gateway, Upstream, Session) {
    let upstream = Upstream::start();
    upstream.server("s").has_tools(["open", "secret_door"]);
    let configuration =
        Configuration::default().server("s", &upstream.url("s")).policy("p", policy).grant("a", "s", "p");
    let gateway = Gateway::start(&configuration);
    let session = gateway.agents.open("a", "s");
    (gateway, upstream, session)
}

#[test]
fn a_hidden_tool_is_answered_like_one_that_is_not_there() {
    let (gateway, upstream, session) = start(HIDING);
    let hidden = session.call(1, "secret_door", "{}");
    let absent = session.call(1, "secret_well", "{}");
    let unknown = session.call(1, "another_name", "{}");
    assert_eq!(hidden.status, unknown.status);
    assert_eq!(hidden.text().replace("secret_door", "X"), unknown.text().replace("another_name", "X"));
    assert_eq!(hidden.text().replace("secret_door", "X"), absent.text().replace("secret_well", "X"));
    assert_eq!(
        hidden.text(),
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool: secret_door"}}"#
    );
    assert_eq!(upstream.server("s").calls(), 0);
    let outcomes: Vec<_> = gateway.entries_after(0).iter().map(|entry| entry["outcome"].clone()).collect();
    assert_eq!(outcomes, ["hide", "hide", "hide"]);
}

#[test]
fn a_tool_that_the_server_has_got_since_is_found() {
    let (_gateway, upstream, session) = start(HIDING);
    assert_eq!(told(&session.call(1, "new", "{}")), "hide");
    upstream.server("s").has_tools(["open", "new", "secret_door"]);
    assert_eq!(told(&session.call(2, "new", "{}")), "allow");
    assert_eq!(upstream.server("s").calls(), 1);
}

#[test]
fn the_list_is_asked_for_as_often_for_hidden_names_as_for_absent_ones() {
    let (_gateway, upstream, session) = start(HIDING);
    let server = upstream.server("s");
    let asked = |id, tool| {
        let before = server.count();
        session.call(id, tool, "{}");
        server.received_after(before).iter().map(|message| message.method.clone()).collect::<Vec<_>>()
    };
    for id in 1..4 {
        assert_eq!(asked(id, "secret_door"), ["tools/list"]);
        assert_eq!(asked(id, "another_name"), ["tools/list"]);
    }
}

#[test]
fn without_anything_hidden_the_server_itself_answers_for_unknown_names() {
    let (_gateway, upstream, session) = start(r#"{"version":"1","default":"allow"}"#);
    let answer = session.call(1, "another_name", "{}");
    assert_eq!(answer.text(), upstream.server("s").last_answer());
    assert_eq!(upstream.server("s").calls(), 1);
}

/// The pages of a list, each with what filtering leaves of it.
const PAGES: [[&str; 2]; 3] = [
    [
        r#"{ "tools" : [ {"name":"a", "x":{"secret_":1.0e2} } , {"inputSchema":{} ,"name":"secret_b"},{"name":"c"} ] ,"nextCursor": "page-1", "other":[ ] }"#,
        r#"{ "tools" : [ {"name":"a", "x":{"secret_":1.0e2} } ,{"name":"c"} ] ,"nextCursor": "page-1", "other":[ ] }"#,
    ],
    [
        r#"{"_meta":{"k":"\u00e9"},"nextCursor":"page-2","tools":[{"name":"s\u0065cret_d"},{"name":"secret_e","title":"E"}]}"#,
        r#"{"_meta":{"k":"\u00e9"},"nextCursor":"page-2","tools":[]}"#,
    ],
    [
        r#"{"tools":[ {"name":"f" , "description":"ends here"}]}"#,
        r#"{"tools":[ {"name":"f" , "description":"ends here"}]}"#,
    ],
];

#[test]
fn a_list_is_filtered_page_by_page_and_otherwise_left_as_it_is() {
    let (_gateway, upstream, session) = start(HIDING);
    let server = upstream.server("s");
    server.lists("tools/list", PAGES.iter().map(|[whole, _]| (*whole).to_owned()).collect());
    for (number, [whole, left]) in PAGES.iter().enumerate() {
        let params = if number == 0 { String::new() } else { format!(r#","params":{{"cursor":"page-{number}"}}"#) };
        let answer = session.post(format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"tools/list"{params}}}"#));
        let sent = server.last_answer();
        assert!(sent.contains(whole));
        assert_eq!(answer.text(), sent.replace(whole, left), "page {number}");
    }
}

#[test]
fn a_list_that_readers_may_read_differently_does_not_pass() {
    let (_gateway, upstream, session) = start(HIDING);
    for page in [
        r#"{"tools":[{"name":"a","name":"secret_b"}]}"#,
        r#"{"tools":[{"name":"a","Name":"secret_b"}]}"#,
        r#"{"tools":[],"tools":[{"name":"secret_b"}]}"#,
        r#"{"tools":[],"Tools":[{"name":"secret_b"}]}"#,
    ] {
        upstream.server("s").lists("tools/list", vec![page.to_owned()]);
        let answer = session.post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
        assert!(!answer.text().contains("secret_b"), "{}", answer.text());
        assert_eq!(answer.json()["error"]["code"], -32603, "{}", answer.text());
    }
}

#[test]
fn names_on_later_pages_are_there() {
    let (_gateway, upstream, session) = start(HIDING);
    let server = upstream.server("s");
    server.lists("tools/list", PAGES.iter().map(|[whole, _]| (*whole).to_owned()).collect());
    assert_eq!(told(&session.call(1, "f", "{}")), "allow");
    assert_eq!(told(&session.call(2, "secret_e", "{}")), "hide");
    assert_eq!(server.calls(), 1);
}
