use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

#[test]
fn accept_is_read_as_http_defines_it() {
    for (accept, json, event_stream) in [
        ("application/json, text/event-stream", true, true),
        ("application/json", true, false),
        ("Text/Event-Stream", false, true),
        ("*/*", true, true),
        ("application/*;q=0.5", true, false),
        ("text/event-stream;q=0, */*", true, false),
        ("*/*;q=0.0", false, false),
        ("text/html", false, false),
        ("", false, false),
    ] {
        assert_eq!(accepts(&headers(&[("accept", accept)])), Accepts { json, event_stream }, "{accept}");
    }
    let two = headers(&[("accept", "application/json"), ("accept", "text/event-stream")]);
    assert_eq!(accepts(&two), Accepts { json: true, event_stream: true });
    assert_eq!(accepts(&HeaderMap::new()), Accepts { json: true, event_stream: true });
}

#[test]
fn a_post_brings_json_and_takes_both() {
    let both = ("accept", "application/json, text/event-stream");
    assert!(check_post(&headers(&[("content-type", "application/json; charset=utf-8"), both])).is_ok());
    for other in ["text/plain", "application/json-rpc", "application/x-www-form-urlencoded", ""] {
        assert_eq!(check_post(&headers(&[("content-type", other), both])), Err(Refused::NotJson), "{other}");
    }
    assert_eq!(check_post(&headers(&[both])), Err(Refused::NotJson));
    let twice = headers(&[("content-type", "application/json"), ("content-type", "text/plain"), both]);
    assert_eq!(check_post(&twice), Err(Refused::NotJson));
    let refused = check_post(&headers(&[("content-type", "application/json"), ("accept", "application/json")]));
    let refused = refused.unwrap_err();
    assert_eq!(refused.status(), 406);
    assert_eq!(
        refused.to_string(),
        "`Accept` does not allow both `application/json` and `text/event-stream`; add it to the header"
    );
    assert!(check_get(&headers(&[("accept", "text/event-stream")])).is_ok());
    assert!(check_get(&headers(&[("accept", "application/json")])).is_err());
}

#[test]
fn a_revision_is_known_or_refused() {
    assert_eq!(revision(&HeaderMap::new()), Ok(None));
    let known = headers(&[(PROTOCOL_VERSION.as_str(), "2025-06-18")]);
    assert_eq!(revision(&known), Ok(Some(Revision::V2025_06_18)));
    let refused = revision(&headers(&[(PROTOCOL_VERSION.as_str(), "2025-06-19")])).unwrap_err();
    assert_eq!(refused.status(), 400);
    assert!(
        refused.to_string().starts_with("`MCP-Protocol-Version` `2025-06-19` is not spoken here; send one of `2024")
    );
    let twice = headers(&[(PROTOCOL_VERSION.as_str(), "2025-06-18"), (PROTOCOL_VERSION.as_str(), "2025-03-26")]);
    assert_eq!(revision(&twice), Err(Refused::Unreadable { name: "MCP-Protocol-Version" }));
}

#[test]
fn a_token_comes_once() {
    assert_eq!(bearer(&headers(&[("authorization", "Bearer tg_x")])), Some("tg_x"));
    assert_eq!(bearer(&headers(&[("authorization", "bearer  tg_x ")])), Some("tg_x"));
    for other in ["Basic tg_x", "Bearer", "Bearer ", "tg_x", "Bearer a b"] {
        assert_eq!(bearer(&headers(&[("authorization", other)])), None, "{other}");
    }
    assert_eq!(bearer(&headers(&[("authorization", "Bearer a"), ("authorization", "Bearer b")])), None);
}

#[test]
fn loopback_is_trusted_and_the_rest_is_named() {
    let trust = Trust { origins: vec!["https://console.example.com".into()], hosts: vec!["gate.example.com".into()] };
    for host in ["localhost", "LOCALHOST:7400", "127.0.0.1:7400", "127.8.8.8", "[::1]:7400", "a.localhost"] {
        assert!(trust.trusts_host(host), "{host}");
    }
    for host in ["gate.example.com", "gate.example.com:7400", "Gate.Example.Com"] {
        assert!(trust.trusts_host(host), "{host}");
    }
    for host in [
        "evil.example.com",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "localhost:7400@evil",
        "0.0.0.0",
        "[::]",
        "[::1",
        "::1:x",
        "",
        ":80",
        "localhost:80:80",
        "[::1]x",
    ] {
        assert!(!trust.trusts_host(host), "{host}");
    }
    for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:1", "https://console.example.com"] {
        assert!(trust.trusts_origin(origin), "{origin}");
    }
    for origin in ["null", "http://console.example.com", "https://evil.example.com", "file://localhost", "localhost"] {
        assert!(!trust.trusts_origin(origin), "{origin}");
    }
}

#[test]
fn a_foreign_page_is_refused_with_the_remedy() {
    let trust = Trust::default();
    assert_eq!(trust.check(&headers(&[("host", "127.0.0.1:7400")])), Ok(()));
    assert_eq!(trust.check(&HeaderMap::new()), Err(Refused::Unreadable { name: "Host" }));
    let rebound = trust.check(&headers(&[("host", "evil.example.com:7400")])).unwrap_err();
    assert_eq!(rebound.status(), 403);
    assert_eq!(
        rebound.to_string(),
        "`Host` `evil.example.com:7400` is not allowed; add it to the allowed hosts if the gate is known by that name"
    );
    let page = trust.check(&headers(&[("host", "localhost"), ("origin", "https://evil.example.com")])).unwrap_err();
    assert_eq!(page, Refused::ForeignOrigin { sent: "https://evil.example.com".to_owned() });
}
