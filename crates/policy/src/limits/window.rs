//! How long a count lasts.

use std::time::Duration;

use crate::time::Timestamp;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// How long a count lasts: whole seconds, at least one, at most 366 days.
///
/// Windows are aligned to the Unix epoch, which makes minutes, hours and days those of the UTC calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window(u32);

impl Window {
    /// A calendar minute.
    pub const MINUTE: Self = Self(60);
    /// A calendar hour.
    pub const HOUR: Self = Self(60 * 60);
    /// A calendar day in UTC.
    pub const DAY: Self = Self(24 * 60 * 60);
    /// The longest window: 366 days.
    pub const LONGEST: Self = Self(366 * 24 * 60 * 60);

    /// The window of so many seconds, if it is neither empty nor longer than 366 days.
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Option<Self> {
        if seconds == 0 || seconds > Self::LONGEST.0 { None } else { Some(Self(seconds)) }
    }

    /// Its length in seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// Its length.
    #[must_use]
    pub const fn length(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }

    /// When the window that contains `now` began.
    #[must_use]
    pub const fn start_of(self, now: Timestamp) -> Timestamp {
        let into = now.as_micros().rem_euclid(self.micros());
        Timestamp::from_micros(now.as_micros().saturating_sub(into))
    }

    pub(super) const fn micros(self) -> i64 {
        self.0 as i64 * MICROS_PER_SECOND
    }
}

/// Whether a window stands still or slides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowKind {
    /// Counts start afresh at fixed moments.
    Fixed,
    /// At every moment the window reaches back by its length.
    Sliding,
}

impl WindowKind {
    /// The kind as documents write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Sliding => "sliding",
        }
    }

    /// The kind that documents write so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Fixed, Self::Sliding].into_iter().find(|kind| kind.as_str() == text)
    }
}
