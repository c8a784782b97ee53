//! Limits under many calls at once.

use crate::agent::{call, told};
use crate::configuration::Configuration;
use crate::gateway::Gateway;
use crate::upstream::Upstream;

const CALLS: u64 = 200;
const LIMIT: usize = 100;

#[test]
fn of_calls_made_at_once_exactly_as_many_pass_as_the_limit_says() {
    let upstream = Upstream::start();
    upstream.server("s");
    let limit = format!(r#"{{"counter":"c","window":"day","max":{LIMIT}}}"#);
    let policy = format!(r#"{{"version":"1","default":"deny","tools":{{"t":{{"limits":[{limit}]}}}}}}"#);
    let configuration =
        Configuration::default().server("s", &upstream.url("s")).policy("p", &policy).grant("a", "s", "p");
    let gateway = Gateway::start(&configuration);
    // Two sessions, for the limit is the grant's.
    let sessions = [gateway.agents.open("a", "s"), gateway.agents.open("a", "s")];
    let callers: Vec<_> =
        (0..CALLS).map(|id| sessions[usize::from(id % 2 == 0)].on_its_own_connection(gateway.address)).collect();
    for (id, caller) in (0..).zip(&callers) {
        caller.send(call(id, "t", "{}"));
    }
    let outcomes: Vec<_> = callers.iter().map(|caller| told(&caller.receive())).collect();
    let count = |wanted: &str| outcomes.iter().filter(|outcome| *outcome == wanted).count();
    assert_eq!((count("allow"), count("limit")), (LIMIT, outcomes.len() - LIMIT));
    assert_eq!(upstream.server("s").calls(), LIMIT);
    let entries = gateway.entries_after(0);
    assert_eq!(entries.iter().filter(|entry| entry["settled"] == "answered").count(), LIMIT);
    gateway.verify();
}
