//! A window that reaches back from every moment by its length.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::Window;
use super::meter::{parse_moment, parse_window};
use super::sum::Sum;
use crate::time::Timestamp;

/// How many events are kept apart; beyond that, neighbours are merged.
const MAX_EVENTS: usize = 4096;
/// Merged events are at most this fraction of the window apart.
const MERGE_STEPS: u32 = 1024;

/// The log of what was taken within one window length.
///
/// Events that have been merged count from the time of the last of them: they leave the window late, never early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sliding {
    window: Window,
    /// The latest moment seen; time never goes back behind it.
    latest: Timestamp,
    /// Disjoint and in order.
    events: VecDeque<Event>,
    /// The sum of all events.
    total: Sum,
}

/// What was taken between two moments, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    first: Timestamp,
    last: Timestamp,
    cost: Sum,
}

impl Sliding {
    pub(super) fn new(window: Window, now: Timestamp) -> Self {
        Self { window, latest: now, events: VecDeque::new(), total: Sum::default() }
    }

    pub(super) fn latest(&self) -> Timestamp {
        self.latest
    }

    pub(super) fn set_window(&mut self, window: Window) {
        self.window = window;
    }

    /// Takes over what may have been taken at any time between two moments.
    pub(super) fn assume(&mut self, first: Timestamp, last: Timestamp, cost: Sum) {
        if !cost.is_zero() {
            self.total = self.total.plus(&cost);
            self.events.push_back(Event { first, last, cost });
        }
    }

    /// The sum of everything that may have been taken at `start` or later.
    pub(super) fn since(&self, start: Timestamp) -> Sum {
        let recent = self.events.iter().filter(|event| event.last >= start);
        recent.fold(Sum::default(), |sum, event| sum.plus(&event.cost))
    }

    /// Takes `cost` if it fits and says at what moment; says how long to wait otherwise. The cost must not exceed `max`.
    pub(super) fn take(&mut self, now: Timestamp, max: &Sum, cost: &Sum) -> Result<Timestamp, Duration> {
        self.latest = self.latest.max(now);
        self.forget_old();
        let total = self.total.plus(cost);
        if total > *max {
            return Err(self.wait_for_room(now, total, max));
        }
        self.total = total;
        match self.events.back_mut() {
            Some(event) if event.last == self.latest => event.cost = event.cost.plus(cost),
            _ => self.events.push_back(Event { first: self.latest, last: self.latest, cost: cost.clone() }),
        }
        if self.events.len() > MAX_EVENTS {
            self.merge_neighbours();
        }
        Ok(self.latest)
    }

    pub(super) fn give_back(&mut self, at: Timestamp, cost: &Sum) {
        let index = self.events.partition_point(|event| event.last < at);
        let Some(event) = self.events.get_mut(index).filter(|event| event.first <= at) else {
            return;
        };
        let back = cost.min(&event.cost).clone();
        event.cost = event.cost.minus(&back);
        self.total = self.total.minus(&back);
        if event.cost.is_zero() {
            self.events.remove(index);
        }
    }

    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        self.events.back().is_none_or(|event| self.leaves_at(event) <= now)
    }

    fn leaves_at(&self, event: &Event) -> Timestamp {
        event.last.saturating_add(self.window.length())
    }

    fn forget_old(&mut self) {
        while let Some(event) = self.events.pop_front() {
            if self.leaves_at(&event) > self.latest {
                self.events.push_front(event);
                return;
            }
            self.total = self.total.minus(&event.cost);
        }
    }

    fn wait_for_room(&self, now: Timestamp, mut total: Sum, max: &Sum) -> Duration {
        for event in &self.events {
            total = total.minus(&event.cost);
            if total <= *max {
                return self.leaves_at(event).saturating_since(now);
            }
        }
        self.window.length()
    }

    fn merge_neighbours(&mut self) {
        let step = self.window.length() / MERGE_STEPS;
        let mut merged: VecDeque<Event> = VecDeque::with_capacity(MAX_EVENTS);
        for event in self.events.drain(..) {
            match merged.back_mut() {
                Some(group) if event.last.saturating_since(group.first) <= step => {
                    group.last = event.last;
                    group.cost = group.cost.plus(&event.cost);
                }
                _ => merged.push_back(event),
            }
        }
        self.events = merged;
    }

    /// Reads what `Display` wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let window = parse_window(words.next()?)?;
        let mut sliding = Self::new(window, parse_moment(words.next()?)?);
        for word in words {
            let mut parts = word.split(':');
            let (first, last) = (parse_moment(parts.next()?)?, parse_moment(parts.next()?)?);
            let cost = Sum::parse(parts.next()?)?;
            let in_order = sliding.events.back().is_none_or(|before| before.last < first);
            if parts.next().is_some() || first > last || last > sliding.latest || !in_order {
                return None;
            }
            sliding.assume(first, last, cost);
        }
        Some(sliding)
    }
}

impl fmt::Display for Sliding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.window.seconds(), self.latest.as_micros())?;
        for event in &self.events {
            write!(out, " {}:{}:{}", event.first.as_micros(), event.last.as_micros(), event.cost)?;
        }
        Ok(())
    }
}
