//! Messages at and beyond the bounds: deep, huge, with very many keys.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use mcp::envelope::{Bounds, Rejected, list, member, read_batch, read_reply, read_request};

fn call(arguments: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":{arguments}}}}}"#)
}

fn refusal(message: &str, bounds: &Bounds) -> Rejected {
    read_request(message.as_bytes(), bounds).map(drop).unwrap_err()
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    format!("{}1{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn nesting_counts_from_the_outermost() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let fits = call(&format!(r#"{{"a":{}}}"#, nested(open, close, 61)));
        assert!(read_request(fits.as_bytes(), &Bounds::REQUEST).is_ok(), "{open}");
        for deeper in [62, 10_000, 1_000_000] {
            let message = call(&format!(r#"{{"a":{}}}"#, nested(open, close, deeper)));
            let rejected = refusal(&message, &Bounds { bytes: usize::MAX, ..Bounds::REQUEST });
            assert!(rejected.message.starts_with("objects and arrays nest deeper than 64 at byte"), "{rejected}");
            assert_eq!((rejected.code, rejected.id.as_deref()), (-32700, Some("1")));
        }
    }
    let batch = format!("[{}]", call(&format!(r#"{{"a":{}}}"#, nested("[", "]", 60))));
    assert!(read_batch(batch.as_bytes(), &Bounds::REQUEST, 10).is_ok());
    let batch = format!("[{}]", call(&format!(r#"{{"a":{}}}"#, nested("[", "]", 61))));
    assert!(read_batch(batch.as_bytes(), &Bounds::REQUEST, 10).is_err(), "the batch itself counts");
}

#[test]
fn no_bounds_make_reading_nest_without_end() {
    let bounds = Bounds { bytes: usize::MAX, depth: usize::MAX };
    let rejected = refusal(&nested("[", "]", 1_000_000).replacen('[', r#"{"a":"#, 1), &bounds);
    assert!(rejected.message.starts_with("objects and arrays nest deeper than 512"), "{rejected}");
    let answer = |depth| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, nested("[", "]", depth));
    assert!(read_reply(answer(511).as_bytes(), &Bounds::REPLY).is_ok());
    assert!(read_reply(answer(512).as_bytes(), &Bounds::REPLY).is_err());
    assert_eq!(member(&nested(r#"{"a":"#, "}", 1000), "a"), None);
}

#[test]
fn a_message_that_is_too_large_is_not_looked_at() {
    let bounds = Bounds { bytes: 100, ..Bounds::REQUEST };
    let rejected = refusal(&"x".repeat(101), &bounds);
    assert_eq!((rejected.code, rejected.status, rejected.id), (-32700, 413, None));
    assert_eq!(rejected.message, "the message has 101 bytes, more than the 100 that are read; send less at once");
    let huge = vec![b' '; 20 * 1024 * 1024];
    assert_eq!(read_request(&huge, &Bounds::REQUEST).map(drop).unwrap_err().status, 413);
}

#[test]
fn a_refusal_keeps_little_of_a_long_name() {
    let name = "é".repeat(100_000);
    let message = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{name}","params":{{"name":"{name}","Name":1}}}}"#);
    let rejected = refusal(&message, &Bounds::REQUEST);
    assert_eq!(rejected.name.unwrap().chars().count(), Rejected::LONGEST_NAME);
    assert_eq!(rejected.method.unwrap().chars().count(), Rejected::LONGEST_NAME);
    assert!(rejected.message.len() < 300, "{}", rejected.message);
}

fn with_keys(keys: impl Iterator<Item = String>) -> String {
    let members: Vec<String> = keys.map(|key| format!(r#""{key}":1"#)).collect();
    call(&format!("{{{}}}", members.join(",")))
}

#[test]
fn very_many_keys_are_compared_once() {
    let bounds = Bounds { bytes: usize::MAX, ..Bounds::REQUEST };
    let keys = || (0..100_000).map(|number| format!("key {number}"));
    assert!(read_request(with_keys(keys()).as_bytes(), &bounds).is_ok());
    let rejected = refusal(&with_keys(keys().chain(["key 17".to_owned()])), &bounds);
    assert!(rejected.message.starts_with("duplicate key `key 17` at byte"), "{rejected}");
    let escaped = with_keys(keys().chain([r"\u006bey 99999".to_owned()]));
    let rejected = refusal(&escaped, &bounds);
    assert!(rejected.message.starts_with("duplicate key `key 99999` at byte"), "{rejected}");
}

#[test]
fn a_duplicate_is_found_at_every_number_of_keys() {
    for count in 1..70 {
        for repeated in [0, count / 2, count - 1] {
            let keys = || (0..count).map(|number| format!("k{number}"));
            assert!(read_request(with_keys(keys()).as_bytes(), &Bounds::REQUEST).is_ok(), "{count}");
            let message = with_keys(keys().chain([format!("k{repeated}")]));
            assert!(read_request(message.as_bytes(), &Bounds::REQUEST).is_err(), "{repeated} of {count}");
        }
    }
}

#[test]
fn very_many_small_objects_and_strings_are_read() {
    let bounds = Bounds { bytes: usize::MAX, ..Bounds::REQUEST };
    let objects = vec![r#"{"a":{"b":"\n"}}"#; 100_000].join(",");
    let message = call(&format!(r#"{{"a":[{objects}]}}"#));
    assert!(read_request(message.as_bytes(), &bounds).is_ok());
}

/// Strings are looked at eight bytes at a time; each length and place of the byte that ends a run is its own case.
#[test]
fn what_ends_a_run_of_plain_bytes_is_seen_at_every_place() {
    for length in 0..40 {
        let plain = "x".repeat(length);
        for tail in ["", "é", "\u{7f}", "\u{80}", "\u{ffff}", "😀", " ", "!", "#", "[", "]", "~"] {
            let message = call(&format!(r#"{{"a":"{plain}{tail}{plain}"}}"#));
            assert!(read_request(message.as_bytes(), &Bounds::REQUEST).is_ok(), "{length} {tail:?}");
        }
        for control in (0..0x20).map(char::from) {
            let message = call(&format!(r#"{{"a":"{plain}{control}{plain}"}}"#));
            let place = message.find(control).unwrap();
            let expected = format!("bare control character in a string at byte {place};");
            assert!(refusal(&message, &Bounds::REQUEST).message.starts_with(&expected), "{length} {control:?}");
        }
        for escape in [r"\n", r#"\""#, r"\\", r"\u0041", r"\ud83d\ude00"] {
            let message = call(&format!(r#"{{"a":"{plain}{escape}{plain}{escape}"}}"#));
            assert!(read_request(message.as_bytes(), &Bounds::REQUEST).is_ok(), "{length} {escape}");
        }
    }
}

#[test]
fn a_long_list_is_filtered() {
    let tools: Vec<String> = (0..10_000).map(|number| format!(r#"{{"name":"t{number}"}}"#)).collect();
    let result = format!(r#"{{"tools":[{}]}}"#, tools.join(","));
    let filtered = list::filter(&result, "tools", "name", |name| name.ends_with('0')).unwrap();
    assert_eq!(list::names(&filtered, "tools", "name").unwrap().0.len(), 1_000);
}
