//! All counters in memory, each at a place that stays the same while it is in use.

use std::collections::HashMap;
use std::sync::Arc;

use policy::Timestamp;
use policy::limits::{Meter, Meters};

/// A counter's key as [`crate::frame::put_key`] writes it.
pub(crate) type Key = Arc<[u8]>;

/// All counters in memory.
#[derive(Debug, Default)]
pub(crate) struct MeterTable {
    places: HashMap<Key, usize>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    sweep: usize,
}

#[derive(Debug)]
struct Slot {
    key: Key,
    meter: Meter,
}

impl MeterTable {
    /// The place of a counter, which is new and empty if there was none.
    pub(crate) fn place(&mut self, key: &[u8]) -> usize {
        match self.places.get(key) {
            Some(place) => *place,
            None => self.insert(key, Meter::default()),
        }
    }

    pub(crate) fn insert(&mut self, key: &[u8], meter: Meter) -> usize {
        let key: Key = key.into();
        let slot = Some(Slot { key: Arc::clone(&key), meter });
        let place = self.free.pop().unwrap_or(self.slots.len());
        match self.slots.get_mut(place) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        self.places.insert(key, place);
        place
    }

    pub(crate) fn key(&self, place: usize) -> Option<Key> {
        self.slots.get(place)?.as_ref().map(|slot| Arc::clone(&slot.key))
    }

    pub(crate) fn find(&mut self, key: &[u8]) -> Option<&mut Meter> {
        let place = *self.places.get(key)?;
        self.meter(place)
    }

    /// Forgets a counter or two that hold nothing any more; called now and then, this keeps the table small.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        for _ in 0..2 {
            let place = self.sweep;
            self.sweep = if place + 1 < self.slots.len() { place + 1 } else { 0 };
            let Some(slot) = self.slots.get_mut(place) else {
                return;
            };
            if let Some(idle) = slot.take_if(|slot| slot.meter.is_idle(now)) {
                self.places.remove(&idle.key);
                self.free.push(place);
            }
        }
    }
}

impl Meters for MeterTable {
    fn meter(&mut self, index: usize) -> Option<&mut Meter> {
        self.slots.get_mut(index)?.as_mut().map(|slot| &mut slot.meter)
    }
}
