//! YAML's plain scalars, by the core schema of version 1.2.

use super::{NodeKind, json};

/// What a plain scalar turns out to be.
pub(super) enum Plain {
    Value(NodeKind),
    Refused(&'static str),
}

/// What a plain scalar is by the core schema.
pub(super) fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Value(NodeKind::Null),
        "true" | "True" | "TRUE" => return Plain::Value(NodeKind::Bool(true)),
        "false" | "False" | "FALSE" => return Plain::Value(NodeKind::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => return Plain::Refused("is not a number"),
        _ => {}
    }
    let (sign, size) = match text.as_bytes().first() {
        Some(b'-') => ("-", text.get(1..).unwrap_or_default()),
        Some(b'+') => ("", text.get(1..).unwrap_or_default()),
        _ => ("", text),
    };
    if matches!(size, ".inf" | ".Inf" | ".INF") {
        return Plain::Refused("is not a finite number");
    }
    let based = |prefix, digit: fn(&u8) -> bool| {
        text.strip_prefix(prefix).is_some_and(|digits: &str| !digits.is_empty() && digits.as_bytes().iter().all(digit))
    };
    if based("0o", |byte| matches!(byte, b'0'..=b'7')) || based("0x", u8::is_ascii_hexdigit) {
        return Plain::Refused("is an octal or hexadecimal number");
    }
    match decimal(size) {
        Some(number) if json::is_number(&number) => Plain::Value(NodeKind::Number(format!("{sign}{number}"))),
        Some(_) => Plain::Refused("has leading zeros, which some readers take for octal"),
        None => Plain::Value(NodeKind::String(text.to_owned())),
    }
}

/// An unsigned decimal number of the core schema as JSON would write it, but for leading zeros.
fn decimal(text: &str) -> Option<String> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at_checked(digits(text))?;
    let (fraction, exponent) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at_checked(digits(rest))?,
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if let Some(power) = exponent.strip_prefix(['e', 'E']) {
        let power = power.strip_prefix(['+', '-']).unwrap_or(power);
        if power.is_empty() || digits(power) != power.len() {
            return None;
        }
    } else if !exponent.is_empty() {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{whole}{point}{fraction}{exponent}"))
}
