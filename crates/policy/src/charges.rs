//! What the limits of a rule take for one call.

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::condition::Outcome;
use crate::decimal::Decimal;
use crate::judge::{Judgement, Subject};
use crate::model::{Cost, Counter, Limit};
use crate::observer::Observer;
use crate::verdict::{Charge, Verdict};

/// The longest name that is part of a counter as it is; a longer one is replaced by its digest.
const LONGEST_COUNTED_NAME: usize = 200;

impl<'p, O: Observer> Judgement<'p, '_, '_, O> {
    pub(crate) fn charges(&mut self) -> Result<Vec<Charge<'p>>, Verdict<'p>> {
        let count = self.rules().map(|rule| rule.limits.len()).sum();
        let mut charges = Vec::with_capacity(count);
        for rule in self.rules() {
            for limit in &rule.limits {
                let cost = self.cost(limit)?;
                let counter = self.counter(limit);
                self.observer.note(&limit.rule, || {
                    (
                        format!("the counter `{counter}`"),
                        format!("takes {cost} of {} per {} s", limit.max, limit.window.seconds()),
                    )
                });
                charges.push(Charge { limit, counter, cost });
            }
        }
        Ok(charges)
    }

    fn cost(&mut self, limit: &'p Limit) -> Result<Decimal, Verdict<'p>> {
        let Cost::At { written, steps } = &limit.cost else {
            return Ok(Decimal::ONE);
        };
        self.facts.cost(steps).map_err(|outcome| {
            let why: Cow<'_, str> = match outcome {
                Outcome::Absent => "is missing".into(),
                Outcome::Undetermined(doubt) => format!("cannot be read: {doubt}").into(),
                Outcome::False | Outcome::True => "is negative".into(),
            };
            self.observer.note(&limit.rule, || (format!("the cost `{written}`"), format!("denied: it {why}")));
            let reason =
                format!("`{written}` must be a number that is not negative, because a limit counts it; it {why}");
            Verdict::Deny { rule: &limit.rule, reason: reason.into() }
        })
    }

    /// The counter that a limit takes from. The two kinds of counters never meet: `rate_limit ` begins only those that
    /// count by name, and a document's own name that begins so, or with `=`, gets a `=` in front.
    fn counter(&self, limit: &'p Limit) -> Cow<'p, str> {
        match &limit.counter {
            Counter::Named(name) if name.starts_with("rate_limit ") || name.starts_with('=') => {
                format!("={name}").into()
            }
            Counter::Named(name) => Cow::Borrowed(name),
            Counter::PerName => {
                let Subject { kind, name, .. } = self.subject;
                if name.len() <= LONGEST_COUNTED_NAME {
                    return format!("rate_limit {kind} {name}").into();
                }
                let mut counter = format!("rate_limit {kind}# ");
                for byte in Sha256::digest(name) {
                    // Writing to a string cannot fail.
                    let _ = write!(counter, "{byte:02x}");
                }
                counter.into()
            }
        }
    }
}
