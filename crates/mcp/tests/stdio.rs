//! Framing by lines: what is a line, how long it may be, and what is written for one message.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

use bytes::Bytes;
use mcp::stdio::{FrameError, LineWriter, Lines};
use tokio::io::AsyncWriteExt;

/// Reads everything, in pieces of `piece` bytes: lines as text, long ones as `<too long: start>`.
async fn read_in_pieces(input: &[u8], limit: usize, piece: usize) -> Vec<String> {
    let (mut writer, reader) = tokio::io::duplex(piece);
    let input = input.to_vec();
    let writing = tokio::spawn(async move { writer.write_all(&input).await });
    let mut lines = Lines::new(reader, limit);
    let mut found = Vec::new();
    loop {
        match lines.next().await {
            Ok(Some(line)) => found.push(String::from_utf8_lossy(&line).into_owned()),
            Ok(None) => break,
            Err(FrameError::TooLong { start, .. }) => {
                let kept = start.get(..4).unwrap_or(&start);
                found.push(format!("<too long: {}>", String::from_utf8_lossy(kept)));
            }
            Err(FrameError::Io(error)) => panic!("{error}"),
        }
    }
    writing.await.unwrap().unwrap();
    found
}

async fn check(input: &str, expected: &[&str]) {
    for piece in [1, 3, 7, 64 << 10] {
        assert_eq!(read_in_pieces(input.as_bytes(), 10, piece).await, expected, "in pieces of {piece}");
    }
}

#[tokio::test]
async fn lines_come_one_by_one_without_their_ends() {
    check("one\ntwo\r\n\n\r\nthree\n", &["one", "two", "three"]).await;
}

#[tokio::test]
async fn the_end_of_the_stream_ends_a_line() {
    check("one\ntwo", &["one", "two"]).await;
    check("", &[]).await;
}

#[tokio::test]
async fn a_line_of_exactly_the_limit_passes() {
    check("0123456789\n0123456789", &["0123456789", "0123456789"]).await;
}

#[tokio::test]
async fn a_line_beyond_the_limit_is_reported_once_and_passed_over() {
    check("ok\nabcdefghijk\nok\n", &["ok", "<too long: abcd>", "ok"]).await;
    check("abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\nok\n", &["<too long: abcd>", "ok"]).await;
    check("ok\nabcdefghijklmnopqrst", &["ok", "<too long: abcd>"]).await;
}

#[tokio::test]
async fn reading_may_be_given_up_and_taken_up_again() {
    let (mut writer, reader) = tokio::io::duplex(64);
    let mut lines = Lines::new(reader, 100);
    writer.write_all(b"half a ").await.unwrap();
    {
        let mut reading = std::pin::pin!(lines.next());
        let once = std::future::poll_fn(|cx| std::task::Poll::Ready(reading.as_mut().poll(cx).is_ready())).await;
        assert!(!once);
    }
    writer.write_all(b"line\n").await.unwrap();
    assert_eq!(lines.next().await.unwrap(), Some(Bytes::from_static(b"half a line")));
}

#[tokio::test]
async fn a_message_is_written_as_one_line() {
    let mut written = Vec::new();
    LineWriter::new(&mut written).write(b"{}").await.unwrap();
    assert_eq!(written, b"{}\n");
}

#[tokio::test]
async fn a_message_with_a_line_break_is_not_written() {
    let mut written = Vec::new();
    let error = LineWriter::new(&mut written).write(b"{\n}").await.unwrap_err();
    assert!(error.nothing_written);
    assert_eq!(error.to_string(), "a message for stdio must not contain a line break");
    assert!(written.is_empty());
}
