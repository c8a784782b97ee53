//! A counter counts exactly, in whatever order calls come and come back, and never beyond its maximum.

use policy::limits::{Demand, Meter, Taken, Window, WindowKind, take_all};
use policy::{Decimal, Timestamp};
use proptest::prelude::*;

use crate::config;

#[derive(Debug, Clone)]
enum Event {
    /// Time goes on, or back, by so many microseconds.
    Clock(i64),
    /// Somebody wants so many tenths.
    Take(u16),
    /// One of those who took gives back.
    GiveBack(proptest::sample::Index),
    /// The counter is stored and read again.
    Store,
}

fn event(backwards: bool) -> impl Strategy<Value = Event> {
    let least = if backwards { -90_000_000 } else { 0 };
    prop_oneof![
        3 => (least..90_000_000_i64).prop_map(Event::Clock),
        6 => (0..40_u16).prop_map(Event::Take),
        2 => any::<proptest::sample::Index>().prop_map(Event::GiveBack),
        1 => Just(Event::Store),
    ]
}

/// A counter as one would define it: everything that was taken, with its moment, and nothing clever.
struct Model {
    kind: WindowKind,
    latest: i64,
    taken: Vec<(i64, u64, Taken)>,
}

const MINUTE: i64 = 60_000_000;

impl Model {
    /// How many tenths the window around a moment holds.
    fn held(&self, moment: i64) -> u64 {
        let inside = |at: i64| match self.kind {
            WindowKind::Fixed => at.div_euclid(MINUTE) == moment.div_euclid(MINUTE),
            WindowKind::Sliding => at > moment - MINUTE && at <= moment,
        };
        self.taken.iter().filter(|(at, _, _)| inside(*at)).map(|(_, tenths, _)| tenths).sum()
    }
}

fn tenths(count: u64) -> Decimal {
    Decimal::parse(&format!("{}.{}", count / 10, count % 10)).expect("a number")
}

fn run(kind: WindowKind, max: u64, events: &[Event]) -> Result<(), TestCaseError> {
    let (mut meter, mut now) = (Meter::default(), 1_700_000_000_000_000_i64);
    let mut model = Model { kind, latest: i64::MIN / 2, taken: Vec::new() };
    for event in events {
        match event {
            Event::Clock(by) => now += by,
            Event::Store => meter = Meter::decode(&meter.encode()).expect("a meter reads what it wrote"),
            Event::GiveBack(which) if !model.taken.is_empty() => {
                let (_, _, taken) = model.taken.remove(which.index(model.taken.len()));
                let stored = Taken::decode(&taken.encode()).expect("it reads what it wrote");
                prop_assert_eq!(&stored, &taken);
                meter.give_back(&stored);
            }
            Event::GiveBack(_) => {}
            Event::Take(cost) => {
                let cost = u64::from(*cost);
                // Time never goes back for a counter: it stays at the latest moment at which something was wanted.
                if cost > 0 && cost <= max {
                    model.latest = model.latest.max(now);
                }
                let fits = cost == 0 || model.held(model.latest) + cost <= max;
                let answer = meter.take(Timestamp::from_micros(now), Window::MINUTE, kind, &tenths(max), &tenths(cost));
                prop_assert_eq!(answer.is_ok(), fits, "{} of {} at {}", cost, max, now);
                match answer {
                    Ok(taken) => model.taken.push((model.latest, cost, taken)),
                    Err(full) => prop_assert_eq!(full.retry_after.is_some(), cost <= max),
                }
                prop_assert!(model.held(model.latest) <= max, "more than the maximum");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_fixed_counter_counts_exactly(max in 0..100_u64, events in proptest::collection::vec(event(true), 0..60)) {
        run(WindowKind::Fixed, max, &events)?;
    }

    #[test]
    fn a_sliding_counter_counts_exactly(max in 0..100_u64, events in proptest::collection::vec(event(true), 0..60)) {
        run(WindowKind::Sliding, max, &events)?;
    }

    #[test]
    fn waiting_as_long_as_told_makes_room(sliding in any::<bool>(), max in 1..100_u64, events in proptest::collection::vec(event(false), 0..60)) {
        let kind = if sliding { WindowKind::Sliding } else { WindowKind::Fixed };
        let (mut meter, mut now) = (Meter::default(), Timestamp::from_micros(1_700_000_000_000_000));
        for event in events {
            match event {
                Event::Clock(by) => now = Timestamp::from_micros(now.as_micros() + by),
                Event::Take(cost) => {
                    let cost = tenths(u64::from(cost));
                    let Err(full) = meter.take(now, Window::MINUTE, kind, &tenths(max), &cost) else { continue };
                    let Some(wait) = full.retry_after else { continue };
                    let mut later = meter.clone();
                    let almost = Timestamp::from_micros(now.saturating_add(wait).as_micros() - 1);
                    prop_assert!(later.clone().take(almost, Window::MINUTE, kind, &tenths(max), &cost).is_err(), "it could have been sooner");
                    prop_assert!(later.take(now.saturating_add(wait), Window::MINUTE, kind, &tenths(max), &cost).is_ok());
                }
                Event::GiveBack(_) | Event::Store => {}
            }
        }
    }

    #[test]
    fn all_demands_are_taken_or_none(
        maxima in proptest::collection::vec(0..20_u64, 3),
        calls in proptest::collection::vec(proptest::collection::vec((0..3_usize, 0..8_u64), 1..5), 0..12),
    ) {
        let now = Timestamp::from_micros(0);
        let mut meters = vec![Meter::default(); 3];
        let mut held = [0_u64; 3];
        for call in calls {
            let amounts: Vec<(usize, Decimal, Decimal)> =
                call.iter().map(|(meter, cost)| (*meter, tenths(maxima[*meter]), tenths(*cost))).collect();
            let demands: Vec<Demand<'_>> = amounts
                .iter()
                .map(|(meter, max, cost)| Demand { meter: *meter, window: Window::HOUR, kind: WindowKind::Fixed, max, cost })
                .collect();
            let mut wanted = held;
            let first_without_room = call.iter().position(|(meter, cost)| {
                wanted[*meter] += cost;
                *cost > 0 && wanted[*meter] > maxima[*meter]
            });
            let answer = take_all(&mut meters, &demands, now);
            prop_assert_eq!(answer.as_ref().err().map(|limited| limited.index), first_without_room);
            if answer.is_ok() {
                held = wanted;
            }
        }
    }

    #[test]
    fn editing_the_window_never_forgets_what_may_lie_in_it(
        takes in proptest::collection::vec((0..120_i64, 1..5_u64, select_window(), any::<bool>()), 1..20),
    ) {
        let max = tenths(20);
        let (mut meter, mut now) = (Meter::default(), 1_700_000_000_i64);
        let mut taken: Vec<(i64, u64)> = Vec::new();
        for (wait, cost, seconds, sliding) in takes {
            now += wait;
            let window = Window::from_seconds(u32::try_from(seconds).expect("small")).expect("a window");
            let kind = if sliding { WindowKind::Sliding } else { WindowKind::Fixed };
            if meter.take(Timestamp::from_micros(now * 1_000_000), window, kind, &max, &tenths(cost)).is_ok() {
                taken.push((now, cost));
                // Of what was taken while this window's length, or less, was in force.
                let inside = |at: i64| if sliding { at > now - 30 } else { at.div_euclid(seconds) == now.div_euclid(seconds) && at > now - 30 };
                let held: u64 = taken.iter().filter(|(at, _)| inside(*at)).map(|(_, cost)| cost).sum();
                prop_assert!(held <= 20, "{held} tenths of 20 in one window");
            }
        }
    }
}

fn select_window() -> impl Strategy<Value = i64> {
    proptest::sample::select(vec![30_i64, 60, 90, 3600])
}

#[test]
fn a_sliding_counter_with_very_many_events_stays_small_and_strict() {
    let (max, one) = (Decimal::from(10_000), Decimal::ONE);
    let mut meter = Meter::default();
    let mut passed = Vec::new();
    for step in 0..60_000_i64 {
        let now = Timestamp::from_millis(step * 5);
        if meter.take(now, Window::MINUTE, WindowKind::Sliding, &max, &one).is_ok() {
            passed.push(now.as_micros());
        }
    }
    assert!(meter.encode().len() < 300_000, "{}", meter.encode().len());
    for pair in passed.windows(10_001) {
        assert!(pair[10_000] - pair[0] >= MINUTE, "10,001 calls within a minute");
    }
    // Five minutes of room for 10,000 each, less what merging holds back.
    assert!(passed.len() > 49_000, "{}", passed.len());
}

#[test]
fn giving_back_in_a_later_window_changes_nothing() {
    let (max, one) = (Decimal::ONE, Decimal::ONE);
    for kind in [WindowKind::Fixed, WindowKind::Sliding] {
        let mut meter = Meter::default();
        let take = |meter: &mut Meter, second: i64| {
            meter.take(Timestamp::from_millis(second * 1000), Window::MINUTE, kind, &max, &one)
        };
        let early = take(&mut meter, 0).expect("room");
        take(&mut meter, 60).expect("a new window");
        meter.give_back(&early);
        assert!(take(&mut meter, 61).is_err());
    }
}

#[test]
fn a_clock_that_runs_backwards_opens_no_window() {
    let (max, one) = (Decimal::ONE, Decimal::ONE);
    for kind in [WindowKind::Fixed, WindowKind::Sliding] {
        let mut meter = Meter::default();
        let mut take =
            |second: i64| meter.take(Timestamp::from_millis(second * 1000), Window::MINUTE, kind, &max, &one);
        take(600).expect("room");
        assert!(take(100).is_err());
        assert!(take(659).is_err());
        assert!(take(660).is_ok());
    }
}
