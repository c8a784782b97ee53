//! Meters by counter: the least that a ledger must do.

use std::collections::HashMap;

use policy::limits::{Demand, Meter, Taken, take_all};
use policy::{Charge, Count, Scope, Timestamp};

/// Whose call it is.
pub(crate) struct Caller<'a> {
    pub(crate) grant: &'a str,
    pub(crate) session: &'a str,
    pub(crate) server: &'a str,
}

#[derive(Clone, Default)]
pub(crate) struct Ledger {
    meters: Vec<Meter>,
    index: HashMap<(Scope, String, String), usize>,
}

/// What one call has taken.
pub(crate) struct Receipt {
    parts: Vec<(usize, Count, Taken)>,
}

impl Ledger {
    /// Takes all charges, or says which one has no room.
    pub(crate) fn reserve(
        &mut self,
        charges: &[Charge<'_>],
        caller: &Caller<'_>,
        now: Timestamp,
    ) -> Result<Receipt, usize> {
        let numbers: Vec<usize> = charges.iter().map(|charge| self.meter(charge, caller)).collect();
        let demands: Vec<Demand<'_>> =
            charges.iter().zip(&numbers).map(|(charge, meter)| demand(charge, *meter)).collect();
        let taken = take_all(&mut self.meters, &demands, now).map_err(|limited| limited.index)?;
        let parts = numbers.into_iter().zip(charges).zip(taken);
        Ok(Receipt { parts: parts.map(|((meter, charge), taken)| (meter, charge.limit.count, taken)).collect() })
    }

    #[allow(dead_code, reason = "not every test that includes this file settles")]
    /// Settles a call: `ok`, `isError`, `error`, `timeout` or `connect_failed`.
    pub(crate) fn settle(&mut self, receipt: &Receipt, upstream: &str) {
        for (meter, count, taken) in &receipt.parts {
            let failed = matches!(upstream, "isError" | "error") && *count == Count::Successes;
            if failed || upstream == "connect_failed" {
                self.meters[*meter].give_back(taken);
            }
        }
        // What is stored comes back the same.
        for meter in &mut self.meters {
            *meter = Meter::decode(&meter.encode()).expect("a meter reads what it wrote");
        }
    }

    fn meter(&mut self, charge: &Charge<'_>, caller: &Caller<'_>) -> usize {
        let subject = match charge.limit.scope {
            Scope::Grant => caller.grant.to_owned(),
            Scope::Session => format!("{} {}", caller.grant, caller.session),
            Scope::Server => caller.server.to_owned(),
            Scope::Gateway => String::new(),
        };
        let key = (charge.limit.scope, subject, charge.counter.to_string());
        *self.index.entry(key).or_insert_with(|| {
            self.meters.push(Meter::default());
            self.meters.len() - 1
        })
    }
}

fn demand<'a>(charge: &'a Charge<'_>, meter: usize) -> Demand<'a> {
    let limit = charge.limit;
    Demand { meter, window: limit.window, kind: limit.kind, max: &limit.max, cost: &charge.cost }
}
