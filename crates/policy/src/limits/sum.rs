//! Sums of decimals, exact at any size.

use std::cmp::Ordering;
use std::fmt;

use num_bigint::BigUint;

use crate::decimal::Decimal;

/// A sum of non-negative decimals: `units` times ten to the power of `exponent`.
///
/// Nearly every sum fits into 128 bits; one that does not is as exact, only slower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sum {
    units: Units,
    exponent: i16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Units {
    Small(u128),
    Large(BigUint),
}

impl Default for Sum {
    fn default() -> Self {
        Self { units: Units::Small(0), exponent: 0 }
    }
}

impl Sum {
    /// The sum that consists of the size of one decimal.
    pub(super) fn of(amount: &Decimal) -> Self {
        Self { units: Units::Small(amount.digits()), exponent: amount.exponent() }
    }

    pub(super) fn is_zero(&self) -> bool {
        match &self.units {
            Units::Small(units) => *units == 0,
            Units::Large(units) => units.bits() == 0,
        }
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let (mine, theirs, exponent) = self.aligned(other);
        let units = match (&mine, &theirs) {
            (Units::Small(mine), Units::Small(theirs)) => mine.checked_add(*theirs).map(Units::Small),
            _ => None,
        };
        let units = units.unwrap_or_else(|| Units::from_large(mine.to_large() + theirs.to_large()));
        Self { units, exponent }
    }

    /// What is left without `other`; nothing if that is more than there is.
    pub(super) fn minus(&self, other: &Self) -> Self {
        let (mine, theirs, exponent) = self.aligned(other);
        let units = match (&mine, &theirs) {
            (Units::Small(mine), Units::Small(theirs)) => Units::Small(mine.saturating_sub(*theirs)),
            _ => {
                let (mine, theirs) = (mine.to_large(), theirs.to_large());
                if mine <= theirs { Units::Small(0) } else { Units::from_large(mine - theirs) }
            }
        };
        let difference = Self { units, exponent };
        if difference.is_zero() { Self::default() } else { difference }
    }

    /// Both numbers as multiples of one power of ten.
    fn aligned(&self, other: &Self) -> (Units, Units, i16) {
        if self.exponent == other.exponent {
            return (self.units.clone(), other.units.clone(), self.exponent);
        }
        if self.is_zero() || other.is_zero() {
            let exponent = if self.is_zero() { other.exponent } else { self.exponent };
            return (self.units.clone(), other.units.clone(), exponent);
        }
        let exponent = self.exponent.min(other.exponent);
        (self.units.scaled(self.exponent, exponent), other.units.scaled(other.exponent, exponent), exponent)
    }

    /// Reads what `Display` wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (units, exponent) = text.split_once('e')?;
        if units.is_empty() || !units.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let units = match units.parse() {
            Ok(small) => Units::Small(small),
            Err(_) => Units::from_large(BigUint::parse_bytes(units.as_bytes(), 10)?),
        };
        Some(Self { units, exponent: exponent.parse().ok()? })
    }
}

impl Ord for Sum {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.aligned(other) {
            (Units::Small(mine), Units::Small(theirs), _) => mine.cmp(&theirs),
            (mine, theirs, _) => mine.to_large().cmp(&theirs.to_large()),
        }
    }
}

impl PartialOrd for Sum {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.units {
            Units::Small(units) => write!(out, "{units}e{}", self.exponent),
            Units::Large(units) => write!(out, "{units}e{}", self.exponent),
        }
    }
}

impl Units {
    fn from_large(units: BigUint) -> Self {
        u128::try_from(&units).map_or(Self::Large(units), Self::Small)
    }

    fn to_large(&self) -> BigUint {
        match self {
            Self::Small(units) => BigUint::from(*units),
            Self::Large(units) => units.clone(),
        }
    }

    /// The same number as a multiple of a power of ten that is not larger.
    fn scaled(&self, from: i16, to: i16) -> Self {
        let steps = u32::try_from(i32::from(from) - i32::from(to)).unwrap_or(0);
        if let (Self::Small(units), Some(factor)) = (self, 10_u128.checked_pow(steps))
            && let Some(units) = units.checked_mul(factor)
        {
            return Self::Small(units);
        }
        Self::from_large(self.to_large() * BigUint::from(10_u8).pow(steps))
    }
}
