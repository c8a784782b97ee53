//! Durations: `90s`, `15m`, `6h`, `7d`.

use crate::limits::Window;

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadDuration {
    NotADuration,
    TooLong,
}

/// The seconds of a duration, which may be none.
pub(super) fn seconds(text: &str) -> Result<u32, BadDuration> {
    let unit = match text.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 60 * 60,
        Some(b'd') => 24 * 60 * 60,
        _ => return Err(BadDuration::NotADuration),
    };
    let count = text.get(..text.len() - 1).unwrap_or_default();
    let plain = !count.is_empty()
        && count.bytes().all(|byte| byte.is_ascii_digit())
        && (count == "0" || !count.starts_with('0'));
    if !plain {
        return Err(BadDuration::NotADuration);
    }
    let seconds = count.parse::<u32>().ok().and_then(|count| count.checked_mul(unit));
    seconds.filter(|seconds| *seconds <= Window::LONGEST.seconds()).ok_or(BadDuration::TooLong)
}
