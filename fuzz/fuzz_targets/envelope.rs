//! Any bytes are answered or read, and what is read stays what it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp::envelope::{Bounds, Message, list, member, read_batch, read_reply, read_request, without_line_breaks};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = read_request(bytes, &Bounds::REQUEST) {
        check(&message);
        let lenient = read_reply(bytes, &Bounds::REPLY).expect("what passes strictly passes otherwise too");
        assert_eq!(lenient.method(), message.method());
        let batch = read_batch(bytes, &Bounds::REQUEST, 8).expect("a message passes where batches do");
        assert_eq!(batch.len(), 1);
    }
    if let Ok(messages) = read_batch(bytes, &Bounds::REQUEST, 8) {
        assert!((1..=8).contains(&messages.len()));
        messages.iter().for_each(check);
    }
    if let Ok(message) = read_reply(bytes, &Bounds::REPLY) {
        check_rewriting(&message);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_list(text);
    }
});

/// A message from an agent means the same after every rewriting.
fn check(message: &Message<'_>) {
    check_rewriting(message);
    let params = message.params().map(|params| params.raw);
    assert_eq!(params, member(message.raw(), "params"));
    let line = message.without_line_breaks();
    let again = read_request(line.as_bytes(), &Bounds::REQUEST).expect("line breaks mean nothing");
    assert_eq!(again.method(), message.method());
    let names = |message: &Message<'_>| message.params().and_then(|params| params.name.clone().map(String::from));
    assert_eq!(names(&again), names(message));
}

fn check_rewriting(message: &Message<'_>) {
    let other = message.with_id("\"other\"");
    if let Some(id) = message.id() {
        assert_eq!(member(&other, "id"), Some("\"other\""));
        let again = read_reply(other.as_bytes(), &Bounds::REPLY).expect("another id changes nothing else");
        assert_eq!(again.with_id(id.raw()), message.raw());
    }
}

fn check_list(result: &str) {
    let Ok((names, cursor)) = list::names(result, "tools", "name") else { return };
    let kept = |name: &str| name.len() % 2 == 0;
    let filtered = list::filter(result, "tools", "name", kept).expect("it was read before");
    let (left, same_cursor) = list::names(&filtered, "tools", "name").expect("a filtered list is a list");
    assert_eq!(left, names.into_iter().filter(|name| kept(name)).collect::<Vec<_>>());
    assert_eq!(same_cursor, cursor);
    assert!(!without_line_breaks(&filtered).contains('\n'));
}
