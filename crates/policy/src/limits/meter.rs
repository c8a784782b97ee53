//! One counter.

use std::fmt::Write;
use std::mem;
use std::time::Duration;

use super::sliding::Sliding;
use super::sum::Sum;
use super::{Full, Window, WindowKind};
use crate::decimal::Decimal;
use crate::time::Timestamp;

/// What one counter has counted so far.
///
/// It never holds more than the maximum it was last asked to respect, whatever the order of takes and give-backs. A
/// clock that runs backwards does not reopen a window that is over: the meter stays at the latest moment it has seen.
/// If a policy is edited so that its counter gets another window or kind, what may lie in the new window is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meter {
    state: State,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum State {
    #[default]
    Empty,
    Fixed(Fixed),
    Sliding(Sliding),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fixed {
    window: Window,
    start: Timestamp,
    used: Sum,
}

/// What was taken from a meter, to give it back if it turns out that nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    cost: Decimal,
    from: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The fixed window of this length that began then.
    Fixed(Window, Timestamp),
    /// The sliding window, at this moment.
    Sliding(Timestamp),
}

/// The text is not what a meter or a taken amount was stored as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a stored counter: `{0}`")]
pub struct NotStored(String);

impl Meter {
    /// Takes `cost` if it fits, together with what the window already holds, into `max`. Nothing fits everywhere.
    ///
    /// # Errors
    /// If it does not fit, or is negative; nothing is taken then.
    pub fn take(
        &mut self,
        now: Timestamp,
        window: Window,
        kind: WindowKind,
        max: &Decimal,
        cost: &Decimal,
    ) -> Result<Taken, Full> {
        if cost.is_zero() {
            return Ok(Taken { cost: Decimal::ZERO, from: Source::Sliding(now) });
        }
        if cost.is_negative() || cost > max {
            return Err(Full { retry_after: None });
        }
        let (max, sum) = (Sum::of(max), Sum::of(cost));
        let state = mem::take(&mut self.state);
        let (state, taken) = match kind {
            WindowKind::Fixed => {
                let mut fixed = Fixed::following(state, now, window);
                let taken = fixed.take(now, &max, &sum);
                (State::Fixed(fixed), taken)
            }
            WindowKind::Sliding => {
                let mut sliding = sliding_following(state, now, window);
                let taken = sliding.take(now, &max, &sum).map(Source::Sliding);
                (State::Sliding(sliding), taken)
            }
        };
        self.state = state;
        match taken {
            Ok(from) => Ok(Taken { cost: *cost, from }),
            Err(wait) => Err(Full { retry_after: Some(wait) }),
        }
    }

    /// Gives back what was taken; does nothing if the window it was taken in is over. Each amount may be given back once.
    pub fn give_back(&mut self, taken: &Taken) {
        match (&mut self.state, taken.from) {
            (State::Fixed(fixed), Source::Fixed(window, start)) if fixed.window == window && fixed.start == start => {
                fixed.used = fixed.used.minus(&Sum::of(&taken.cost));
            }
            (State::Sliding(sliding), Source::Sliding(at)) => sliding.give_back(at, &Sum::of(&taken.cost)),
            (State::Empty | State::Fixed(_) | State::Sliding(_), Source::Fixed(..) | Source::Sliding(_)) => {}
        }
    }

    /// Whether nothing it holds matters at `now` or later, so that it may be forgotten.
    #[must_use]
    pub fn is_idle(&self, now: Timestamp) -> bool {
        match &self.state {
            State::Empty => true,
            State::Fixed(fixed) => fixed.used.is_zero() || now >= fixed.end(),
            State::Sliding(sliding) => sliding.is_idle(now),
        }
    }

    /// The meter as text, for storage.
    #[must_use]
    pub fn encode(&self) -> String {
        match &self.state {
            State::Empty => "empty".to_owned(),
            State::Fixed(fixed) => {
                format!("fixed {} {} {}", fixed.window.seconds(), fixed.start.as_micros(), fixed.used)
            }
            State::Sliding(sliding) => {
                let mut text = "sliding ".to_owned();
                // Writing to a string cannot fail.
                let _ = write!(text, "{sliding}");
                text
            }
        }
    }

    /// Reads what [`Meter::encode`] wrote.
    ///
    /// # Errors
    /// If the text is anything else.
    pub fn decode(text: &str) -> Result<Self, NotStored> {
        let state = match text.split_once(' ') {
            None if text == "empty" => Some(State::Empty),
            Some(("fixed", rest)) => decode_fixed(rest).map(State::Fixed),
            Some(("sliding", rest)) => Sliding::parse(rest).map(State::Sliding),
            _ => None,
        };
        state.map(|state| Self { state }).ok_or_else(|| NotStored(text.to_owned()))
    }
}

impl Fixed {
    /// The window around `now`, or around the latest moment seen if that is later, with what it already holds.
    fn following(state: State, now: Timestamp, window: Window) -> Self {
        match state {
            State::Empty => Self { window, start: window.start_of(now), used: Sum::default() },
            State::Fixed(old) => {
                let start = window.start_of(now.max(old.start));
                let used = if old.end() <= start { Sum::default() } else { old.used };
                Self { window, start, used }
            }
            State::Sliding(old) => {
                let start = window.start_of(now.max(old.latest()));
                Self { window, start, used: old.since(start) }
            }
        }
    }

    fn end(&self) -> Timestamp {
        self.start.saturating_add(self.window.length())
    }

    fn take(&mut self, now: Timestamp, max: &Sum, cost: &Sum) -> Result<Source, Duration> {
        let total = self.used.plus(cost);
        if total > *max {
            return Err(self.end().saturating_since(now));
        }
        self.used = total;
        Ok(Source::Fixed(self.window, self.start))
    }
}

fn sliding_following(state: State, now: Timestamp, window: Window) -> Sliding {
    match state {
        State::Sliding(mut sliding) => {
            sliding.set_window(window);
            sliding
        }
        State::Empty => Sliding::new(window, now),
        State::Fixed(old) => {
            let latest = now.max(old.start);
            let last = latest.min(Timestamp::from_micros(old.end().as_micros().saturating_sub(1)));
            let mut sliding = Sliding::new(window, latest);
            sliding.assume(old.start, last, old.used);
            sliding
        }
    }
}

fn decode_fixed(text: &str) -> Option<Fixed> {
    let (window, rest) = text.split_once(' ')?;
    let (start, used) = rest.split_once(' ')?;
    Some(Fixed { window: parse_window(window)?, start: parse_moment(start)?, used: Sum::parse(used)? })
}

pub(super) fn parse_window(text: &str) -> Option<Window> {
    Window::from_seconds(text.parse().ok()?)
}

pub(super) fn parse_moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_micros)
}

impl Taken {
    /// The amount as text, for storage.
    #[must_use]
    pub fn encode(&self) -> String {
        match self.from {
            Source::Fixed(window, start) => format!("fixed {} {} {}", window.seconds(), start.as_micros(), self.cost),
            Source::Sliding(at) => format!("sliding {} {}", at.as_micros(), self.cost),
        }
    }

    /// Reads what [`Taken::encode`] wrote.
    ///
    /// # Errors
    /// If the text is anything else.
    pub fn decode(text: &str) -> Result<Self, NotStored> {
        let mut words = text.split(' ');
        let from = match words.next() {
            Some("fixed") => words
                .next()
                .and_then(parse_window)
                .zip(words.next().and_then(parse_moment))
                .map(|(window, start)| Source::Fixed(window, start)),
            Some("sliding") => words.next().and_then(parse_moment).map(Source::Sliding),
            _ => None,
        };
        let cost = words.next().and_then(|cost| Decimal::parse(cost).ok()).filter(|cost| !cost.is_negative());
        match (from, cost, words.next()) {
            (Some(from), Some(cost), None) => Ok(Self { cost, from }),
            _ => Err(NotStored(text.to_owned())),
        }
    }
}

impl Full {
    /// How long to wait, in whole milliseconds, rounded up; nothing if waiting does not help.
    #[must_use]
    pub fn retry_after_millis(&self) -> Option<u64> {
        self.retry_after.map(whole_millis)
    }
}

/// A duration in whole milliseconds, rounded up.
fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}
