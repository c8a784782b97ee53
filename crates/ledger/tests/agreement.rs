//! Every backend decides alike, whatever happens in whatever order; and no window ever holds more than its maximum.

#![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test may fail")]

#[path = "support/mod.rs"]
mod support;

use ledger::{Ending, Ledger, Reserved, Ticket};
use policy::{Decimal, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Backend, House, Limit, NOON, ended, records};

#[derive(Clone, Debug)]
enum Step {
    /// Moves the clock, perhaps back.
    Clock(i64),
    Reserve {
        limits: Vec<usize>,
        cost: u64,
    },
    /// Settles one of the open calls.
    Settle(usize, Ending),
    Drop(usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let ending = prop_oneof![
        Just(Ending::NotSent),
        Just(Ending::Failed),
        any::<bool>().prop_map(|is_error| Ending::Answered { is_error, status: None }),
    ];
    prop_oneof![
        2 => (-70_i64..100).prop_map(Step::Clock),
        8 => (prop::collection::vec(0..4_usize, 1..4), 0..4_u64).prop_map(|(limits, cost)| Step::Reserve { limits, cost }),
        4 => (0..8_usize, ending).prop_map(|(call, ending)| Step::Settle(call, ending)),
        1 => (0..8_usize).prop_map(Step::Drop),
        1 => Just(Step::Reopen),
    ]
}

fn limit(number: usize, cost: u64) -> Limit {
    let limit = match number {
        0 => Limit::per_minute(5).named("minute"),
        1 => Limit::per_minute(7).named("sliding").sliding(),
        2 => Limit::per_day(20).named("day").of_successes(),
        _ => Limit::per_minute(6).named("sliding successes").sliding().of_successes(),
    };
    Limit { cost: Decimal::from(cost), ..limit }
}

/// What a ledger answered, in words, and its open calls.
struct Run {
    house: House,
    ledger: Ledger,
    open: Vec<Ticket>,
    answers: Vec<String>,
    now: Timestamp,
}

impl Run {
    fn new(backend: Backend) -> Self {
        let house = House::new(backend);
        let ledger = house.open();
        Self { house, ledger, open: Vec::new(), answers: Vec::new(), now: NOON }
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Clock(seconds) => self.now = Timestamp::from_micros(self.now.as_micros() + seconds * 1_000_000),
            Step::Reserve { limits, cost } => self.reserve(limits, *cost).await,
            Step::Settle(call, ending) if *call < self.open.len() => {
                let ticket = self.open.remove(*call);
                self.ledger.settle(ticket, ended(self.now, *ending)).await;
            }
            Step::Drop(call) if *call < self.open.len() => drop(self.open.remove(*call)),
            Step::Settle(..) | Step::Drop(_) => {}
            Step::Reopen => {
                self.open.clear();
                self.ledger.close().await.unwrap();
                self.ledger = self.house.open();
            }
        }
    }

    async fn reserve(&mut self, limits: &[usize], cost: u64) {
        let limits: Vec<Limit> = limits.iter().map(|number| limit(*number, cost)).collect();
        match support::reserve(&self.ledger, self.now, &limits).await.unwrap() {
            Reserved::Open(ticket) => {
                self.open.push(ticket);
                self.answers.push("open".to_owned());
            }
            Reserved::Limited { index, retry_after, .. } => self.answers.push(format!("{index} {retry_after:?}")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn both_backends_decide_alike() {
    let cases = if std::env::var_os("TOOLGATE_SOAK").is_some() { 2_000 } else { 24 };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step(), 1..60);
    let checked = TestRunner::new(config).run(&steps, |steps| {
        let (exclusive, shared) = runtime.block_on(async {
            let mut runs = (Run::new(Backend::Exclusive), Run::new(Backend::Shared));
            for step in &steps {
                runs.0.take(step).await;
                runs.1.take(step).await;
            }
            for run in [&mut runs.0, &mut runs.1] {
                run.open.clear();
                let kept = records(&run.ledger).await;
                run.answers.push(format!("{kept} records"));
            }
            (runs.0.answers, runs.1.answers)
        });
        prop_assert_eq!(exclusive, shared);
        Ok(())
    });
    checked.unwrap();
}
