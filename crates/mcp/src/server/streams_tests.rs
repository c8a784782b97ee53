use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Everything that can be read now, as `id=data`, and whether the stream has ended.
fn read(subscription: &mut Subscription) -> (Vec<String>, bool) {
    let mut events = Vec::new();
    loop {
        match subscription.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(event)) => {
                events.push(format!("{}={}", event.id, std::str::from_utf8(&event.data).unwrap()));
            }
            Poll::Ready(None) => return (events, true),
            Poll::Pending => return (events, false),
        }
    }
}

fn pushed(streams: &Streams, stream: StreamId, messages: &[&str]) {
    for message in messages {
        streams.push(stream, bytes(message)).unwrap();
    }
}

fn room_is_ready(streams: &Streams, stream: StreamId, waker: &Waker) -> bool {
    let mut room = std::pin::pin!(streams.room(stream));
    room.as_mut().poll(&mut Context::from_waker(waker)).is_ready()
}

#[test]
fn events_arrive_in_order_and_the_stream_ends() {
    let streams = Streams::new(Limits::default());
    let stream = streams.open().unwrap();
    pushed(&streams, stream, &["a", "b"]);
    let mut reader = streams.subscribe(stream).unwrap();
    assert_eq!(read(&mut reader), (vec!["1-1=a".to_owned(), "1-2=b".to_owned()], false));
    let wakes = Arc::new(Wakes::default());
    assert!(reader.poll_next(&mut Context::from_waker(&Waker::from(wakes.clone()))).is_pending());
    assert_eq!(streams.push(stream, bytes("c")).unwrap(), "1-3");
    streams.finish(stream);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1, "one wake, until the reader asks again");
    assert_eq!(read(&mut reader), (vec!["1-3=c".to_owned()], true));
    assert_eq!(streams.push(stream, bytes("d")), Err(StreamError::Ended));
}

#[test]
fn a_broken_stream_goes_on_where_the_client_says() {
    let streams = Streams::new(Limits::default());
    let stream = streams.open().unwrap();
    let mut reader = streams.subscribe(stream).unwrap();
    pushed(&streams, stream, &["a", "b", "c"]);
    assert_eq!(read(&mut reader).0.len(), 3);
    drop(reader);
    pushed(&streams, stream, &["d"]);
    streams.finish(stream);
    let mut resumed = streams.resume("1-1").unwrap();
    assert_eq!(read(&mut resumed), (vec!["1-2=b".to_owned(), "1-3=c".to_owned(), "1-4=d".to_owned()], true));
    drop(resumed);
    assert!(streams.resume("1-4").is_ok(), "the client may ask again, nothing is left to send");
    let gone = streams.resume("1-1").map(drop).unwrap_err();
    assert_eq!(gone, StreamError::Gone { event: "1-1".to_owned() }, "what was acknowledged is not kept");
}

#[test]
fn an_event_nobody_sent_is_unknown() {
    let streams = Streams::new(Limits::default());
    let stream = streams.open().unwrap();
    pushed(&streams, stream, &["a"]);
    for id in ["1-2", "2-1", "0-0", "", "1", "a-b", "1-+1", "1-99999999999999999999", "-"] {
        let refused = streams.resume(id).map(drop).unwrap_err();
        assert_eq!(refused, StreamError::Unknown { event: id.to_owned() });
    }
    assert!(streams.resume("1-0").is_ok());
}

#[test]
fn the_newest_reader_wins() {
    let streams = Streams::new(Limits::default());
    let stream = streams.open().unwrap();
    let mut first = streams.subscribe(stream).unwrap();
    let wakes = Arc::new(Wakes::default());
    assert!(first.poll_next(&mut Context::from_waker(&Waker::from(wakes.clone()))).is_pending());
    let mut second = streams.subscribe(stream).unwrap();
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    pushed(&streams, stream, &["a"]);
    assert_eq!(read(&mut first), (Vec::new(), true));
    drop(first);
    assert!(streams.has_reader(stream), "a reader that was replaced takes nothing with it");
    assert_eq!(read(&mut second), (vec!["1-1=a".to_owned()], false));
    drop(second);
    assert!(!streams.has_reader(stream));
}

#[test]
fn what_is_kept_is_bounded_and_what_was_delivered_goes_first() {
    let streams = Streams::new(Limits { events: 3, bytes: 100, streams: 4 });
    let (read_stream, unread) = (streams.open().unwrap(), streams.open().unwrap());
    let mut reader = streams.subscribe(read_stream).unwrap();
    pushed(&streams, unread, &["x"]);
    pushed(&streams, read_stream, &["a", "b"]);
    assert_eq!(read(&mut reader).0.len(), 2);
    pushed(&streams, read_stream, &["c"]);
    assert_eq!(read(&mut reader).0, ["1-3=c"]);
    assert_eq!(streams.resume("1-0").map(drop), Err(StreamError::Gone { event: "1-0".to_owned() }));
    assert_eq!(read(&mut streams.resume("1-1").unwrap()).0, ["1-2=b", "1-3=c"]);
    assert_eq!(read(&mut streams.subscribe(unread).unwrap()).0, ["2-1=x"]);
}

#[test]
fn events_nobody_reads_are_dropped_by_their_bytes_too() {
    let streams = Streams::new(Limits { events: 100, bytes: 10, streams: 4 });
    let stream = streams.open().unwrap();
    pushed(&streams, stream, &["12345", "67890", "abcde"]);
    assert_eq!(streams.resume("1-0").map(drop), Err(StreamError::Gone { event: "1-0".to_owned() }));
    assert_eq!(read(&mut streams.subscribe(stream).unwrap()).0, ["1-2=67890", "1-3=abcde"]);
}

#[test]
fn a_message_beyond_the_bound_still_reaches_a_reader_that_keeps_up() {
    let streams = Streams::new(Limits { events: 4, bytes: 4, streams: 4 });
    let stream = streams.open().unwrap();
    let mut reader = streams.subscribe(stream).unwrap();
    for _ in 0..3 {
        pushed(&streams, stream, &["much too long"]);
        assert_eq!(read(&mut reader).0.len(), 1);
    }
    assert_eq!(streams.state().streams.values().map(Stream::kept).sum::<usize>(), 0);
    let mut other = streams.subscribe(stream).unwrap();
    drop(reader);
    assert_eq!(read(&mut other), (Vec::new(), false));
}

#[test]
fn a_slow_reader_is_waited_for_and_cut_when_nobody_waits() {
    let streams = Streams::new(Limits { events: 8, bytes: 100, streams: 4 });
    let stream = streams.open().unwrap();
    let mut reader = streams.subscribe(stream).unwrap();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    pushed(&streams, stream, &["a"]);
    assert!(room_is_ready(&streams, stream, &waker));
    pushed(&streams, stream, &["b"]);
    assert!(!room_is_ready(&streams, stream, &waker));
    assert!(matches!(reader.poll_next(&mut Context::from_waker(&waker)), Poll::Ready(Some(_))));
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert!(room_is_ready(&streams, stream, &waker));
    pushed(&streams, stream, &["c", "d", "e", "f", "g", "h", "i", "j", "k"]);
    assert_eq!(read(&mut reader), (Vec::new(), true));
    assert!(room_is_ready(&streams, stream, &waker), "without a reader there is nothing to wait for");
    assert_eq!(read(&mut streams.resume("1-3").unwrap()).0.len(), 8);
    let lost = streams.resume("1-1").map(drop);
    assert_eq!(lost, Err(StreamError::Gone { event: "1-1".to_owned() }));
}

#[test]
fn streams_are_bounded_and_finished_ones_make_room() {
    let streams = Streams::new(Limits { streams: 2, ..Limits::default() });
    let (first, second) = (streams.open().unwrap(), streams.open().unwrap());
    assert_eq!(streams.open(), Err(StreamError::TooMany { limit: 2 }));
    pushed(&streams, first, &["a"]);
    streams.finish(first);
    let third = streams.open().unwrap();
    assert_ne!(third, first);
    assert_eq!(streams.resume("1-0").map(drop), Err(StreamError::Gone { event: "1-0".to_owned() }));
    streams.finish(second);
    assert!(streams.open().is_ok(), "a finished stream that keeps nothing is forgotten");
}

#[test]
fn closing_ends_readers_and_writers() {
    let streams = Streams::new(Limits::default());
    let stream = streams.open().unwrap();
    let mut reader = streams.subscribe(stream).unwrap();
    let wakes = Arc::new(Wakes::default());
    assert!(reader.poll_next(&mut Context::from_waker(&Waker::from(wakes.clone()))).is_pending());
    streams.close();
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert_eq!(read(&mut reader), (Vec::new(), true));
    assert_eq!(streams.push(stream, bytes("a")), Err(StreamError::Ended));
    assert_eq!(streams.open(), Err(StreamError::Ended));
}

#[test]
fn an_event_becomes_one_of_the_wire() {
    let event = Event { id: "1-2".to_owned(), data: bytes("{}") };
    assert_eq!(sse::encode(&event.into()), "id: 1-2\ndata: {}\n\n");
}
