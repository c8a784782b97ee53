//! `toolgate approval`, directly on a ledger.

use std::time::Duration;

use gateway::Clock;
use ledger::{AskApproval, Ledger, Options};

use crate::support::Place;

/// A ledger with an approval for each of these tools that waits, and its id.
fn waiting(tools: &[&str]) -> (Place, Vec<String>) {
    let place = Place::new();
    std::fs::create_dir(place.path("data")).unwrap();
    let ledger = Ledger::open_shared(&place.path("data"), Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ids = runtime.block_on(async {
        let now = Clock::System.now();
        let mut ids = Vec::new();
        for tool in tools {
            let ask = AskApproval {
                grant: "local",
                server: "shop",
                tool,
                policy: "careful",
                policy_version: "0123456789abcdef",
                rule: "/tools/refund/action",
                fingerprint: [u8::try_from(ids.len()).unwrap(); 32],
                summary: "refund {\"amount\":5}\u{1b}[2J",
                expires_at: now.saturating_add(Duration::from_secs(3600)),
            };
            ids.push(ledger.ask(ask, now).await.unwrap().id);
        }
        ledger.close().await.unwrap();
        ids
    });
    (place, ids)
}

fn states(place: &Place, state: &str) -> Vec<(String, String)> {
    let list = ["approval", "list", "--state", state, "--json", "--data-dir", "data"];
    let objects = place.run(&list).ends_with(0).objects();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    objects.iter().map(|approval| (text(&approval["tool"]), text(&approval["state"]))).collect()
}

#[test]
fn what_waits_is_listed_for_people_without_tricks() {
    let (place, ids) = waiting(&["refund"]);
    let ran = place.run(&["approval", "list", "--data-dir", "data"]).ends_with(0);
    assert!(ran.stdout.contains(&ids[0]) && ran.stdout.contains("refund {\"amount\":5}"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{1b}'), "{:?}", ran.stdout);
}

#[test]
fn an_approval_is_decided_once() {
    let (place, ids) = waiting(&["refund", "charge"]);
    let decide = |decision: &str, id: &str| place.run(&["approval", decision, id, "--data-dir", "data"]);
    let approved = decide("approve", &ids[0]).ends_with(0);
    assert!(approved.stderr.contains("passes once"), "{}", approved.stderr);
    decide("deny", &ids[1]).ends_with(0);
    for id in &ids {
        let again = decide("approve", id).ends_with(3);
        assert!(again.stderr.contains(id), "{}", again.stderr);
    }
    assert_eq!(states(&place, "pending"), []);
    assert_eq!(states(&place, "approved"), [("refund".to_owned(), "approved".to_owned())]);
    assert_eq!(states(&place, "denied"), [("charge".to_owned(), "denied".to_owned())]);
    assert_eq!(states(&place, "all").len(), 2);
}

#[test]
fn a_decision_says_who_and_why() {
    let (place, ids) = waiting(&["refund"]);
    let arguments = ["approval", "deny", &ids[0], "--reason", "too much", "--json", "--data-dir", "data"];
    let denied = place.run(&arguments).ends_with(0).objects();
    assert_eq!(denied[0]["decided_by"], "tester");
    assert_eq!(denied[0]["reason"], "too much");
}

#[test]
fn an_approval_that_is_not_there_cannot_be_decided() {
    let (place, _) = waiting(&["refund"]);
    place.run(&["approval", "approve", "apr_none", "--data-dir", "data"]).ends_with(3);
}
