//! URIs whose text does not tell which resource they mean.

/// How often percent-encoding is taken off: a server may do it more than once.
const ROUNDS: usize = 3;

/// Whether a URI has a segment `.` or `..`, however it is encoded.
///
/// Servers disagree about when they decode, what separates segments and which characters they drop, so everything that
/// one of them may take for a dot segment counts as one.
pub(crate) fn has_dot_segments(uri: &str) -> bool {
    if !uri.contains(['.', '%']) {
        return false;
    }
    let mut text = uri.as_bytes().to_vec();
    for _ in 0..=ROUNDS {
        if dotted(&text) {
            return true;
        }
        let decoded = decoded_once(&text);
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    // Still encoded after that many rounds: nobody can tell what it means.
    true
}

fn dotted(text: &[u8]) -> bool {
    // What readers of URLs drop before they look at anything else.
    let kept: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\t' | b'\n' | b'\r' | 0)).collect();
    kept.split(|byte| matches!(byte, b'/' | b'\\' | b'?' | b'#' | b':' | b';'))
        .any(|segment| matches!(segment.trim_ascii(), b"." | b".."))
}

fn decoded_once(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        match rest {
            [] => return out,
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            [byte, after @ ..] => {
                out.push(*byte);
                rest = after;
            }
        }
    }
}

const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}
