//! A stream gives the same events however its bytes arrive, and none is longer than the bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp::sse::{Decoder, Event, TooLong, encode};

const BOUND: usize = 256;

// The first byte says in which pieces the rest arrives.
fuzz_target!(|bytes: &[u8]| {
    let Some((size, stream)) = bytes.split_first() else { return };
    let whole = decode([stream].into_iter(), BOUND);
    let pieces = decode(stream.chunks(usize::from(size % 16) + 1), BOUND);
    assert_eq!(whole, pieces);
    for event in whole.0 {
        assert!(event.data.len() <= BOUND);
        let encoded = encode(&event);
        assert_eq!(decode([encoded.as_ref()].into_iter(), encoded.len()).0, [event]);
    }
});

/// The events up to the one that is too long, and whether there was one.
fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>, bound: usize) -> (Vec<Event>, Option<TooLong>) {
    let mut decoder = Decoder::new(bound);
    let mut failed = None;
    for piece in pieces {
        if let Err(error) = decoder.push(piece) {
            failed = Some(error);
            break;
        }
    }
    (std::iter::from_fn(|| decoder.next_event()).collect(), failed)
}
