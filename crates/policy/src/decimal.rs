//! Exact decimal numbers.

use std::cmp::Ordering;
use std::fmt;

/// How many significant digits a [`Decimal`] holds at most.
pub(crate) const MAX_DIGITS: u32 = 34;
/// How far from zero the exponent of a [`Decimal`] may be, written with one digit before the point.
pub(crate) const MAX_EXPONENT: i32 = 400;

/// An exact decimal number: up to 34 significant digits, and an exponent within ±400.
///
/// Both are properties of the value, not of how it is written: `100`, `100.0` and `1e2` are one number, and zeros at
/// either end are not significant. Numbers compare by value, and negative zero is zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// Without trailing zeros; zero only for the number zero.
    digits: u128,
    /// The power of ten that `digits` is multiplied by; zero for the number zero.
    exponent: i16,
    negative: bool,
}

/// The text is not a JSON number, or its value is too long or too large to be held exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotExact {
    /// The text does not follow the grammar of JSON numbers.
    #[error("not a number as JSON writes it")]
    NotANumber,
    /// More than 34 significant digits.
    #[error("more than 34 significant digits")]
    TooManyDigits,
    /// The exponent is beyond ±400.
    #[error("an exponent beyond ±400")]
    ExponentTooFar,
}

impl Decimal {
    /// The number zero.
    pub const ZERO: Self = Self { digits: 0, exponent: 0, negative: false };
    /// The number one.
    pub const ONE: Self = Self { digits: 1, exponent: 0, negative: false };

    /// Reads a number written as JSON writes numbers.
    ///
    /// # Errors
    /// If the text is no JSON number, or its value cannot be held exactly.
    pub fn parse(text: &str) -> Result<Self, NotExact> {
        read(text.as_bytes())
    }

    /// Whether the number is less than zero.
    #[must_use]
    pub const fn is_negative(&self) -> bool {
        self.negative
    }

    /// Whether the number is zero.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.digits == 0
    }

    /// Whether the number has no fraction.
    #[must_use]
    pub const fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    /// The number as a `u32`, if it is one.
    #[must_use]
    pub fn as_u32(&self) -> Option<u32> {
        if self.negative || self.exponent < 0 {
            return None;
        }
        let scale = 10_u128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        u32::try_from(self.digits.checked_mul(scale)?).ok()
    }

    /// The digits, without sign, as an integer without trailing zeros.
    pub(crate) const fn digits(&self) -> u128 {
        self.digits
    }

    /// The power of ten that the digits are multiplied by.
    pub(crate) const fn exponent(&self) -> i16 {
        self.exponent
    }

    /// Compares sizes where 64 bits hold both numbers of digits and the power of ten between them.
    fn compare_near(&self, other: &Self) -> Option<Ordering> {
        let (mine, theirs) = (u64::try_from(self.digits).ok()?, u64::try_from(other.digits).ok()?);
        let factor = u128::from(10_u64.checked_pow(self.exponent.abs_diff(other.exponent).into())?);
        let (mine, theirs) = (u128::from(mine), u128::from(theirs));
        Some(if self.exponent >= other.exponent { (mine * factor).cmp(&theirs) } else { mine.cmp(&(theirs * factor)) })
    }

    fn compare_size(&self, other: &Self) -> Ordering {
        if self.exponent == other.exponent || self.digits == 0 || other.digits == 0 {
            return self.digits.cmp(&other.digits);
        }
        if let Some(order) = self.compare_near(other) {
            return order;
        }
        let (mine, theirs) = (digit_count(self.digits), digit_count(other.digits));
        let top = |exponent: i16, count: u32| i64::from(exponent) + i64::from(count);
        top(self.exponent, mine).cmp(&top(other.exponent, theirs)).then_with(|| {
            // Same magnitude: written with equally many digits they compare as integers, which 39 digits have room for.
            let widest = mine.max(theirs);
            let left = self.digits.saturating_mul(power_of_ten(widest - mine));
            let right = other.digits.saturating_mul(power_of_ten(widest - theirs));
            left.cmp(&right)
        })
    }
}

impl From<u64> for Decimal {
    fn from(value: u64) -> Self {
        normalised(value, 0, false)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_size(other),
            (true, true) => other.compare_size(self),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// One spelling for each value: plain where that stays short, with an exponent otherwise.
impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let exponent = i32::from(self.exponent);
        let count = i32::try_from(digit_count(self.digits)).unwrap_or(i32::MAX);
        if exponent >= 0 && exponent + count <= 40 {
            let zeros = usize::try_from(exponent).unwrap_or(0);
            write!(out, "{sign}{}{:0<zeros$}", self.digits, "")
        } else if (-40..0).contains(&exponent) {
            let places = exponent.unsigned_abs();
            let scale = power_of_ten(places);
            if scale == u128::MAX {
                return write!(out, "{sign}0.{:0>width$}", self.digits, width = places as usize);
            }
            write!(out, "{sign}{}.{:0>width$}", self.digits / scale, self.digits % scale, width = places as usize)
        } else {
            write!(out, "{sign}{}e{exponent}", self.digits)
        }
    }
}

fn read(text: &[u8]) -> Result<Decimal, NotExact> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if let Some(short) = read_short(negative, rest) {
        return Ok(short);
    }
    let whole = leading_digits(rest)?;
    if whole.len() > 1 && whole.first() == Some(&b'0') {
        return Err(NotExact::NotANumber);
    }
    let mut rest = rest.get(whole.len()..).unwrap_or_default();
    let mut fraction: &[u8] = &[];
    if let [b'.', after @ ..] = rest {
        fraction = leading_digits(after)?;
        rest = after.get(fraction.len()..).unwrap_or_default();
    }
    let written_exponent = match rest {
        [] => 0,
        [b'e' | b'E', after @ ..] => read_exponent(after)?,
        _ => return Err(NotExact::NotANumber),
    };
    assemble(negative, whole, fraction, written_exponent)
}

/// Reads what nearly every number is: a few digits, perhaps with a point between them.
fn read_short(negative: bool, text: &[u8]) -> Option<Decimal> {
    if text.len() > 18 {
        return None;
    }
    let (mut digits, mut places, mut pointed) = (0_u64, 0_i16, false);
    for byte in text {
        match byte {
            b'0'..=b'9' => {
                digits = digits * 10 + u64::from(byte - b'0');
                places += i16::from(pointed);
            }
            b'.' if !pointed => pointed = true,
            _ => return None,
        }
    }
    let well_formed = match text {
        [b'0'] | [b'0', b'.', ..] => true,
        [b'0', ..] | [b'.', ..] | [] => false,
        _ => true,
    };
    if !well_formed || (pointed && places == 0) {
        return None;
    }
    Some(normalised(digits, -places, negative))
}

fn leading_digits(text: &[u8]) -> Result<&[u8], NotExact> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match text.get(..count) {
        Some(digits) if count > 0 => Ok(digits),
        _ => Err(NotExact::NotANumber),
    }
}

/// An exponent as written; one that is far out of range saturates, for its value decides only together with the digits.
fn read_exponent(text: &[u8]) -> Result<i64, NotExact> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if leading_digits(rest)?.len() != rest.len() {
        return Err(NotExact::NotANumber);
    }
    let size = rest
        .iter()
        .fold(0_i64, |sum, byte| sum.saturating_mul(10).saturating_add(i64::from(byte - b'0')).min(i64::MAX / 4));
    Ok(if negative { -size } else { size })
}

fn assemble(negative: bool, whole: &[u8], fraction: &[u8], exponent: i64) -> Result<Decimal, NotExact> {
    let mut digits = 0_u128;
    let mut significant = 0_u32;
    let mut pending_zeros = 0_u32;
    let mut trailing = 0_i64;
    for byte in whole.iter().chain(fraction) {
        if *byte == b'0' {
            trailing += 1;
            pending_zeros = pending_zeros.saturating_add(u32::from(digits != 0));
            continue;
        }
        significant = significant.saturating_add(pending_zeros).saturating_add(1);
        if significant > MAX_DIGITS {
            return Err(NotExact::TooManyDigits);
        }
        digits = digits * power_of_ten(pending_zeros + 1) + u128::from(byte - b'0');
        (pending_zeros, trailing) = (0, 0);
    }
    if digits == 0 {
        return Ok(Decimal::ZERO);
    }
    let places = i64::try_from(fraction.len()).unwrap_or(i64::MAX / 4);
    let last = exponent - places + trailing;
    let first = last + i64::from(digit_count(digits)) - 1;
    if first.abs() > i64::from(MAX_EXPONENT) {
        return Err(NotExact::ExponentTooFar);
    }
    let exponent = i16::try_from(last).map_err(|_| NotExact::ExponentTooFar)?;
    Ok(Decimal { digits, exponent, negative })
}

fn normalised(mut digits: u64, mut exponent: i16, negative: bool) -> Decimal {
    if digits == 0 {
        return Decimal::ZERO;
    }
    while digits.is_multiple_of(10) {
        digits /= 10;
        exponent += 1;
    }
    Decimal { digits: u128::from(digits), exponent, negative }
}

pub(crate) fn digit_count(digits: u128) -> u32 {
    digits.checked_ilog10().map_or(1, |log| log + 1)
}

/// Ten to the power of `exponent`, or the largest number there is if that has no room.
pub(crate) fn power_of_ten(exponent: u32) -> u128 {
    10_u128.saturating_pow(exponent)
}
