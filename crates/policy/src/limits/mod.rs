//! The arithmetic of limits: what is left in a counter, exactly.
//!
//! Nothing here is shared or stored. A ledger keeps one [`Meter`] per counter and calls [`take_all`] where nobody else
//! can touch them.

mod meter;
mod sliding;
mod sum;
mod window;

use std::time::Duration;

pub use meter::{Meter, NotStored, Taken};
pub use window::{Window, WindowKind};

use crate::decimal::Decimal;
use crate::time::Timestamp;

/// The counter has no room for this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// After how long there would be room if nothing else were taken; nothing if there never will be.
    pub retry_after: Option<Duration>,
}

/// What one limit wants from one counter.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// Which of the meters to take from; several demands may name the same one.
    pub meter: usize,
    /// How long a count lasts.
    pub window: Window,
    /// Whether the window stands still or slides.
    pub kind: WindowKind,
    /// How much fits into one window.
    pub max: &'a Decimal,
    /// How much to take.
    pub cost: &'a Decimal,
}

/// The meters that demands refer to by number.
pub trait Meters {
    /// The meter with this number.
    fn meter(&mut self, index: usize) -> Option<&mut Meter>;
}

impl Meters for [Meter] {
    fn meter(&mut self, index: usize) -> Option<&mut Meter> {
        self.get_mut(index)
    }
}

impl Meters for Vec<Meter> {
    fn meter(&mut self, index: usize) -> Option<&mut Meter> {
        self.get_mut(index)
    }
}

impl Meters for [&mut Meter] {
    fn meter(&mut self, index: usize) -> Option<&mut Meter> {
        self.get_mut(index).map(|meter| &mut **meter)
    }
}

/// The first demand that has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    /// Its place among the demands.
    pub index: usize,
    /// After how long there would be room if nothing else were taken; nothing if there never will be.
    pub retry_after: Option<Duration>,
}

/// Takes what all demands want, or nothing at all.
///
/// # Errors
/// The first demand that has no room after those before it; every meter then counts what it counted before.
pub fn take_all<M: Meters + ?Sized>(
    meters: &mut M,
    demands: &[Demand<'_>],
    now: Timestamp,
) -> Result<Vec<Taken>, Limited> {
    let mut taken: Vec<Taken> = Vec::with_capacity(demands.len());
    for (index, demand) in demands.iter().enumerate() {
        let answer = match meters.meter(demand.meter) {
            Some(meter) => meter.take(now, demand.window, demand.kind, demand.max, demand.cost),
            None => Err(Full { retry_after: None }),
        };
        match answer {
            Ok(part) => taken.push(part),
            Err(full) => {
                for (part, demand) in taken.iter().zip(demands).rev() {
                    if let Some(meter) = meters.meter(demand.meter) {
                        meter.give_back(part);
                    }
                }
                return Err(Limited { index, retry_after: full.retry_after });
            }
        }
    }
    Ok(taken)
}
