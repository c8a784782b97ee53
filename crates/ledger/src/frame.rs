//! The frames of the log: one atomic step of the ledger each.
//!
//! A frame is a length, a checksum and a payload. The checksum also covers the frame's position, so that the remains of
//! an older write are never taken for a frame.

use policy::limits::Taken;
use policy::{Decimal, Scope, Timestamp, Window, WindowKind};

use crate::bytes::{Malformed, Reader, put_block, put_varint};
use crate::chain::{Head, sha256};
use crate::change::Change;
use crate::{Charge, CounterKey};

/// The longest payload of a frame. A policy document is by far the longest thing in one.
pub(crate) const FRAME_BYTES: usize = 64 << 20;
/// The longest part of a counter's key; what is longer is replaced by its hash.
const KEY_PART_BYTES: usize = 512;
const HEADER: usize = 8;

/// One step of the ledger, as the log tells it.
#[derive(Debug)]
pub(crate) enum Frame<'a> {
    /// A call was opened, or refused.
    Opened { place: Head, now: Timestamp, record: &'a [u8], charges: Vec<LoggedCharge<'a>>, changes: Vec<Change> },
    /// A call was settled.
    Settled { place: Head, record: &'a [u8], given_back: Vec<(&'a [u8], Taken)>, changes: Vec<Change> },
    /// Something else changed.
    Changed { changes: Vec<Change> },
}

/// A charge that was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoggedCharge<'a> {
    /// [`put_key`] of the counter.
    pub(crate) key: &'a [u8],
    pub(crate) window: Window,
    pub(crate) kind: WindowKind,
    pub(crate) max: Decimal,
    pub(crate) cost: Decimal,
}

/// What is found at the front of some bytes of the log.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A frame, and its length in all.
    Frame(Frame<'a>, usize),
    /// The beginning of a frame, which has this many bytes in all.
    Incomplete(usize),
    /// Something that is no frame.
    Corrupt,
}

/// Builds frames at the end of a buffer.
#[derive(Debug)]
pub(crate) struct FrameWriter<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
}

impl<'b> FrameWriter<'b> {
    fn begin(out: &'b mut Vec<u8>, kind: u8) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER]);
        out.push(kind);
        Self { out, start }
    }

    pub(crate) fn opened(out: &'b mut Vec<u8>, place: &Head, now: Timestamp, record: &[u8], charges: usize) -> Self {
        let frame = Self::begin(out, 1).place(place);
        frame.out.extend_from_slice(&now.as_micros().to_le_bytes());
        put_block(frame.out, record);
        put_varint(frame.out, charges as u64);
        frame
    }

    /// One of the charges announced to [`FrameWriter::opened`].
    pub(crate) fn charge(self, key: &[u8], charge: &Charge<'_>) -> Self {
        put_block(self.out, key);
        put_varint(self.out, u64::from(charge.window.seconds()));
        self.out.push(match charge.kind {
            WindowKind::Fixed => 0,
            WindowKind::Sliding => 1,
        });
        put_decimal(self.out, charge.max);
        put_decimal(self.out, charge.cost);
        self
    }

    pub(crate) fn settled(out: &'b mut Vec<u8>, place: &Head, record: &[u8], given_back: &[(&[u8], &Taken)]) -> Self {
        let frame = Self::begin(out, 2).place(place);
        put_block(frame.out, record);
        put_varint(frame.out, given_back.len() as u64);
        for (key, taken) in given_back {
            put_block(frame.out, key);
            put_block(frame.out, taken.encode().as_bytes());
        }
        frame
    }

    pub(crate) fn changed(out: &'b mut Vec<u8>) -> Self {
        Self::begin(out, 3)
    }

    /// Ends the frame, which begins at `position` of the log.
    pub(crate) fn end(self, changes: &[Change], position: u64) -> Result<(), Malformed> {
        if !changes.is_empty() {
            serde_json::to_writer(&mut *self.out, changes).map_err(|_| Malformed("a change cannot be written"))?;
        }
        let payload = self.out.get(self.start + HEADER..).unwrap_or_default();
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|_| payload.len() <= FRAME_BYTES)
            .ok_or(Malformed("it is too long for the log"))?;
        let checksum = checksum(payload, position);
        if let Some(header) = self.out.get_mut(self.start..self.start + HEADER) {
            for (slot, byte) in header.iter_mut().zip(length.to_le_bytes().into_iter().chain(checksum.to_le_bytes())) {
                *slot = byte;
            }
        }
        Ok(())
    }

    fn place(self, place: &Head) -> Self {
        self.out.extend_from_slice(&place.seq.to_le_bytes());
        self.out.extend_from_slice(&place.hash);
        self
    }
}

/// Reads the frame at the front of `bytes`, which lie at `position` of the log.
pub(crate) fn read(bytes: &[u8], position: u64) -> Found<'_> {
    let mut reader = Reader::new(bytes);
    let (Ok(length), Ok(expected)) = (reader.array(), reader.array()) else {
        return Found::Incomplete(HEADER);
    };
    let Some(length) =
        usize::try_from(u32::from_le_bytes(length)).ok().filter(|length| (1..=FRAME_BYTES).contains(length))
    else {
        return Found::Corrupt;
    };
    let Some(payload) = reader.rest().get(..length) else {
        return Found::Incomplete(HEADER + length);
    };
    if checksum(payload, position) != u32::from_le_bytes(expected) {
        return Found::Corrupt;
    }
    read_payload(payload).map_or(Found::Corrupt, |frame| Found::Frame(frame, HEADER + length))
}

fn read_payload(payload: &[u8]) -> Result<Frame<'_>, Malformed> {
    let mut reader = Reader::new(payload);
    match reader.byte()? {
        1 => {
            let place = read_place(&mut reader)?;
            let now = Timestamp::from_micros(i64::from_le_bytes(reader.array()?));
            let record = reader.block()?;
            let count = reader.varint()?;
            let charges = (0..count).map(|_| read_charge(&mut reader)).collect::<Result<_, _>>()?;
            Ok(Frame::Opened { place, now, record, charges, changes: read_changes(reader)? })
        }
        2 => {
            let place = read_place(&mut reader)?;
            let record = reader.block()?;
            let count = reader.varint()?;
            let given_back = (0..count).map(|_| read_given_back(&mut reader)).collect::<Result<_, _>>()?;
            Ok(Frame::Settled { place, record, given_back, changes: read_changes(reader)? })
        }
        3 => Ok(Frame::Changed { changes: read_changes(reader)? }),
        _ => Err(Malformed("it is of a kind that this version does not know")),
    }
}

fn read_place(reader: &mut Reader<'_>) -> Result<Head, Malformed> {
    Ok(Head { seq: u64::from_le_bytes(reader.array()?), hash: reader.array()? })
}

fn read_charge<'a>(reader: &mut Reader<'a>) -> Result<LoggedCharge<'a>, Malformed> {
    let key = reader.block()?;
    let window = u32::try_from(reader.varint()?)
        .ok()
        .and_then(Window::from_seconds)
        .ok_or(Malformed("a window is impossible"))?;
    let kind = if reader.byte()? == 0 { WindowKind::Fixed } else { WindowKind::Sliding };
    Ok(LoggedCharge { key, window, kind, max: read_decimal(reader)?, cost: read_decimal(reader)? })
}

fn read_given_back<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], Taken), Malformed> {
    let key = reader.block()?;
    let taken = Taken::decode(reader.text()?).map_err(|_| Malformed("an amount cannot be read"))?;
    Ok((key, taken))
}

fn read_changes(reader: Reader<'_>) -> Result<Vec<Change>, Malformed> {
    if reader.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(reader.rest()).map_err(|_| Malformed("a change cannot be read"))
}

/// Small whole numbers, by far the most frequent ones, take few bytes; zero announces a text.
fn put_decimal(out: &mut Vec<u8>, number: &Decimal) {
    match number.as_u32() {
        Some(small) => put_varint(out, u64::from(small) + 1),
        None => {
            out.push(0);
            put_block(out, number.to_string().as_bytes());
        }
    }
}

fn read_decimal(reader: &mut Reader<'_>) -> Result<Decimal, Malformed> {
    match reader.varint()? {
        0 => Decimal::parse(reader.text()?).map_err(|_| Malformed("a number cannot be read")),
        small => Ok(Decimal::from(small - 1)),
    }
}

fn checksum(payload: &[u8], position: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&position.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// The bytes that name a counter, in memory and in the log.
pub(crate) fn put_key(out: &mut Vec<u8>, key: &CounterKey<'_>) {
    put_key_part(out, key.policy);
    out.push(match key.scope {
        Scope::Grant => 1,
        Scope::Session => 2,
        Scope::Server => 3,
        Scope::Gateway => 4,
    });
    put_key_part(out, key.subject);
    put_key_part(out, key.counter);
}

/// Reads what [`put_key`] wrote.
pub(crate) fn read_key(key: &[u8]) -> Result<CounterKey<'_>, Malformed> {
    let mut reader = Reader::new(key);
    let policy = reader.text()?;
    let scope = match reader.byte()? {
        1 => Scope::Grant,
        2 => Scope::Session,
        3 => Scope::Server,
        4 => Scope::Gateway,
        _ => {
            return Err(Malformed("a counter has a scope that this version does not know"));
        }
    };
    Ok(CounterKey { policy, scope, subject: reader.text()?, counter: reader.text()? })
}

fn put_key_part(out: &mut Vec<u8>, part: &str) {
    if part.len() <= KEY_PART_BYTES {
        put_block(out, part.as_bytes());
    } else {
        put_block(out, format!("sha256:{}", hex(&sha256(part.as_bytes()))).as_bytes());
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chain::RecordKind;

    fn frame(position: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let place = Head::EMPTY.after(RecordKind::Opened, b"record");
        let change = Change::Meta { key: "a".into(), value: "b".into() };
        FrameWriter::opened(&mut out, &place, Timestamp::from_micros(5), b"record", 0)
            .end(&[change], position)
            .unwrap();
        out
    }

    #[test]
    fn a_frame_comes_back_as_it_was() {
        let bytes = frame(77);
        let Found::Frame(Frame::Opened { place, now, record, charges, changes }, length) = read(&bytes, 77) else {
            panic!("no frame")
        };
        assert_eq!((place.seq, now, record, length), (1, Timestamp::from_micros(5), &b"record"[..], bytes.len()));
        assert!(charges.is_empty() && changes.len() == 1);
    }

    #[test]
    fn a_frame_of_another_position_is_not_taken_for_one() {
        assert!(matches!(read(&frame(77), 78), Found::Corrupt));
    }

    #[test]
    fn every_prefix_is_incomplete_and_every_flipped_bit_is_found() {
        let bytes = frame(3);
        for length in 0..bytes.len() {
            assert!(matches!(read(&bytes[..length], 3), Found::Incomplete(_)), "{length}");
        }
        for bit in 32..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(read(&changed, 3), Found::Corrupt), "bit {bit}");
        }
    }

    #[test]
    fn a_counter_s_key_comes_back_and_long_parts_are_hashed() {
        let long = "x".repeat(4000);
        for counter in ["spend", "", long.as_str()] {
            let key = CounterKey { policy: "p", scope: Scope::Session, subject: "s", counter };
            let mut bytes = Vec::new();
            put_key(&mut bytes, &key);
            let back = read_key(&bytes).unwrap();
            assert_eq!((back.policy, back.scope, back.subject), ("p", Scope::Session, "s"));
            assert!(back.counter == counter || back.counter.starts_with("sha256:"));
            assert!(bytes.len() < 100);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes: Vec<u8>, position: u64) {
            let _any = (read(&bytes, position), read_payload(&bytes).is_ok(), read_key(&bytes).is_ok());
        }

        #[test]
        fn numbers_come_back_exactly(whole: u64, places in 0_i32..30) {
            let number = Decimal::parse(&format!("{whole}e-{places}")).unwrap();
            let mut out = Vec::new();
            put_decimal(&mut out, &number);
            prop_assert_eq!(read_decimal(&mut Reader::new(&out)).unwrap(), number);
        }
    }
}
