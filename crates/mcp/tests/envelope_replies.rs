//! What an upstream sends: its envelope is read strictly, the rest is its own business.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use mcp::envelope::{Bounds, IdKey, Kind, Message, Outcome, Reference, member, read_reply, read_request};

fn reply(message: &str) -> Message<'_> {
    read_reply(message.as_bytes(), &Bounds::REPLY).unwrap()
}

fn refused(message: &str) -> String {
    let rejected = read_reply(message.as_bytes(), &Bounds::REPLY).map(drop).unwrap_err();
    assert_eq!((rejected.code, rejected.status), (-32603, 502));
    rejected.message
}

fn is_error(message: &str) -> bool {
    match reply(message).kind {
        Kind::Response(response) => response.is_error_result(),
        Kind::Request(_) | Kind::Notification(_) => false,
    }
}

#[test]
fn a_result_is_its_own_bytes() {
    let message = reply(" {\"id\":\"a\",\"result\": {\"x\":1,\"x\":[2],\"s\":\"\\ud800\"} ,\"jsonrpc\":\"2.0\"}\n");
    let Kind::Response(response) = &message.kind else { unreachable!() };
    assert_eq!(response.outcome, Outcome::Result(r#"{"x":1,"x":[2],"s":"\ud800"}"#));
    assert_eq!(response.id.unwrap().key(), IdKey::from_raw(r#""\u0061""#).unwrap());
    assert_eq!(
        message.with_id("17"),
        "{\"id\":17,\"result\": {\"x\":1,\"x\":[2],\"s\":\"\\ud800\"} ,\"jsonrpc\":\"2.0\"}"
    );
}

#[test]
fn a_tool_that_failed_says_so_at_the_top_of_its_result() {
    let with = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
    assert!(is_error(&with(r#"{"content":[],"isError":true}"#)));
    assert!(is_error(&with(r#"{"is\u0045rror" : true}"#)));
    for result in [r#"{"isError":false}"#, r#"{"isError":"true"}"#, r#"{"x":{"isError":true}}"#, "{}", "true", "[]"] {
        assert!(!is_error(&with(result)), "{result}");
    }
    assert!(!is_error(r#"{"jsonrpc":"2.0","id":1,"error":{"isError":true}}"#));
}

#[test]
fn an_error_may_not_know_what_it_answers() {
    for message in [
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"no"}}"#,
    ] {
        let message = reply(message);
        assert_eq!(message.id(), None);
        assert_eq!(message.with_id("1"), message.raw().replace("null", "1").as_str());
    }
}

#[test]
fn the_envelope_is_read_strictly() {
    for (message, says) in [
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"result":{}}"#, "duplicate key `id`"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"Result":{}}"#, "key `Result`"),
        (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, "`id` must be"),
        (r#"{"jsonrpc":"2.0","result":{}}"#, "`id` must be"),
        (r#"{"jsonrpc":"2.0","id":1.5,"result":{}}"#, "`id` must be"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, "`result` stands beside `error`"),
        (r#"{"id":1,"result":{}}"#, "`jsonrpc` must be"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}"#, "expected `,` or `}`"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}} {}"#, "there is something after the message"),
        ("[]", "this protocol revision has no batches"),
        ("Listening on port 3000", "expected a value at byte 0, found `L`"),
        ("", "the message is empty"),
    ] {
        let told = refused(message);
        assert!(told.starts_with(&format!("the server's answer cannot be read: {says}")), "{message}: {told}");
    }
    assert!(read_reply(b"{\"a\":\"\xff\"}", &Bounds::REPLY).is_err());
}

#[test]
fn what_a_server_asks_is_read_for_what_routes_it() {
    let request =
        reply(r#"{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage","params":{"a":1,"a":2,"name":5}}"#);
    assert!(matches!(&request.kind, Kind::Request(request) if request.method == "sampling/createMessage"));
    assert_eq!(request.params().unwrap().raw, r#"{"a":1,"a":2,"name":5}"#);

    let cancelled =
        reply(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId": "s" ,"reason":"x"}}"#);
    assert_eq!(cancelled.params().unwrap().request_id.unwrap().raw(), r#""s""#);
    assert_eq!(
        cancelled.with_request_id("9"),
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId": 9 ,"reason":"x"}}"#
    );
    assert_eq!(cancelled.with_id("9"), cancelled.raw());

    let progress =
        reply(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1}}"#);
    assert_eq!(progress.params().unwrap().progress_token, Some(r#""t""#));
    let updated = reply(r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:\/b"}}"#);
    assert_eq!(updated.params().unwrap().uri.as_deref(), Some("a:/b"));
}

#[test]
fn what_the_gate_needs_of_a_request_is_read_on_the_way() {
    let read = |message: &'static str| read_request(message.as_bytes(), &Bounds::REQUEST).unwrap();
    let initialize = read(
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"version":"1","name":"cl\u0069ent"}}}"#,
    );
    let params = initialize.params().unwrap();
    assert_eq!(params.protocol_version.as_deref(), Some("2025-06-18"));
    assert_eq!(params.client_name.as_deref(), Some("client"));
    assert_eq!(params.capabilities, Some(r#"{"roots":{}}"#));

    let call = read(
        r#"{"jsonrpc":"2.0","id":-0,"method":"tools/call","params":{"_meta":{"x":1,"progressToken":7},"name":"t","arguments": {"a":1} }}"#,
    );
    let params = call.params().unwrap();
    assert_eq!((params.progress_token, params.arguments), (Some("7"), Some(r#"{"a":1}"#)));
    assert_eq!(call.id().unwrap().key(), IdKey::from(0));

    let completion = |reference| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{{"ref":{reference},"argument":{{}}}}}}"#
        )
    };
    let prompt = completion(r#"{"name":"p","type":"ref\/prompt","uri":"a:b"}"#);
    let prompt = read_request(prompt.as_bytes(), &Bounds::REQUEST).unwrap();
    assert_eq!(prompt.params().unwrap().reference, Some(Reference::Prompt("p".into())));
    let resource = completion(r#"{"type":"ref/resource","uri":"file:///{a}"}"#);
    let resource = read_request(resource.as_bytes(), &Bounds::REQUEST).unwrap();
    assert_eq!(resource.params().unwrap().reference, Some(Reference::Resource("file:///{a}".into())));
}

#[test]
fn ids_are_equal_by_value_and_kind() {
    let key = |raw| IdKey::from_raw(raw).unwrap();
    assert_eq!(key("-0"), key("0"));
    assert_eq!(key(r#""a\/""#), key(r#""a/""#));
    assert_ne!(key("1"), key(r#""1""#));
    assert_ne!(key("9007199254740992"), key("9007199254740993"));
    assert_ne!(key("123456789012345678901234567890"), key("123456789012345678901234567891"));
    for raw in ["0", "-7", "123456789012345678901234567890", r#""a\"b""#] {
        assert_eq!(key(raw).to_raw(), raw);
    }
    for raw in ["1.0", "null", "", "-", "true", "{}", "\""] {
        assert_eq!(IdKey::from_raw(raw), None, "{raw}");
    }
}

#[test]
fn a_member_is_found_without_reading_the_rest_into_types() {
    let object = r#" { "a" : {"b":1} , "b":[2], "b":"last" }"#;
    assert_eq!(member(object, "a"), Some(r#"{"b":1}"#));
    assert_eq!(member(object, "b"), Some(r#""last""#));
    assert_eq!(member(object, "c"), None);
    assert_eq!(member("[1]", "a"), None);
}
