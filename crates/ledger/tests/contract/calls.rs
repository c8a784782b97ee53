//! Reserving, settling, refusing.

use ledger::{Ending, EntryFilter, Outcome, Reserved, UpstreamResult};

use crate::support::{House, Limit, NOON, after, answered, ended, intent, open, passes, records, reserve};

crate::for_every_backend!(
    an_open_call_has_an_entry_before_it_is_settled,
    settling_completes_the_entry,
    a_refused_call_is_one_record,
    the_last_slot_is_granted_once,
    a_sliding_window_never_holds_more_than_its_maximum,
    all_limits_are_taken_or_none,
    the_same_counter_twice_is_charged_twice,
    a_limited_call_is_recorded_with_the_limit_that_refused_it,
    what_was_not_sent_costs_nothing,
    what_failed_or_timed_out_stays_counted,
    an_error_answer_gives_back_only_limits_of_successes,
    a_late_settle_changes_no_later_window,
    a_dropped_ticket_is_unknown_and_stays_counted,
    a_caller_that_goes_away_leaves_nothing_taken_or_open,
    a_clock_that_runs_backwards_opens_no_window_again,
    counters_survive_closing,
    long_texts_of_an_agent_are_cut,
    a_closed_ledger_refuses,
);

async fn an_open_call_has_an_entry_before_it_is_settled(house: House) {
    let ledger = house.open();
    let ticket = open(&ledger, NOON, &[]).await;
    let entry = ledger.entry(ticket.id()).await.unwrap().unwrap();
    assert_eq!((entry.outcome, entry.result, entry.settled_seq), (Outcome::Allow, None, None));
    assert_eq!((entry.grant.as_str(), entry.tool.as_deref(), entry.at), ("alice", Some("read_file"), NOON));
    assert_eq!(entry.argument_keys.as_deref(), Some(r#"["path"]"#));
    assert_eq!(entry.arguments_hmac, Some([7; 32]));
}

async fn settling_completes_the_entry(house: House) {
    let ledger = house.open();
    let ticket = open(&ledger, NOON, &[]).await;
    let id = ticket.id();
    ledger.settle(ticket, ended(after(2), Ending::Answered { is_error: true, status: Some(502) })).await;
    let entry = ledger.entry(id).await.unwrap().unwrap();
    assert_eq!(
        (entry.result, entry.is_error, entry.upstream_status),
        (Some(UpstreamResult::Answered), Some(true), Some(502))
    );
    assert_eq!((entry.settled_at, entry.gateway_us, entry.upstream_us), (Some(after(2)), Some(30), Some(1200)));
    assert_eq!((entry.opened_seq, entry.settled_seq), (1, Some(2)));
    assert_eq!(records(&ledger).await, 2);
}

async fn a_refused_call_is_one_record(house: House) {
    let ledger = house.open();
    for outcome in [Outcome::Deny, Outcome::Hide, Outcome::Approve, Outcome::Reject] {
        let id = ledger.refuse(intent(NOON), outcome, "because").await.unwrap();
        let entry = ledger.entry(id).await.unwrap().unwrap();
        assert_eq!((entry.outcome, entry.reason.as_deref(), entry.settled_seq), (outcome, Some("because"), None));
    }
    assert_eq!(records(&ledger).await, 4);
}

async fn the_last_slot_is_granted_once(house: House) {
    let ledger = house.open();
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                passes(&ledger, NOON, &[Limit::per_minute(100), Limit::per_day(100_000).named("day")]).await
            })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += usize::from(task.await.unwrap());
    }
    assert_eq!(passed, 100);
    let limited = EntryFilter { outcome: Some(Outcome::Limit), ..EntryFilter::default() };
    assert_eq!(ledger.entries(&limited, 1000).await.unwrap().len(), 100);
    assert_eq!(records(&ledger).await, 300);
}

async fn a_sliding_window_never_holds_more_than_its_maximum(house: House) {
    let ledger = house.open();
    let limit = [Limit::per_minute(3).sliding()];
    let passed: Vec<bool> = {
        let mut passed = Vec::new();
        for second in [0, 20, 40, 50, 61, 62, 81] {
            passed.push(passes(&ledger, after(second), &limit).await);
        }
        passed
    };
    assert_eq!(passed, [true, true, true, false, true, false, true]);
}

async fn all_limits_are_taken_or_none(house: House) {
    let ledger = house.open();
    let (wide, narrow) = (Limit::per_minute(3).named("wide"), Limit::per_minute(1).named("narrow"));
    assert!(passes(&ledger, NOON, &[wide.clone(), narrow.clone()]).await);
    for _ in 0..5 {
        assert!(!passes(&ledger, NOON, &[wide.clone(), narrow.clone()]).await);
    }
    assert!(passes(&ledger, NOON, std::slice::from_ref(&wide)).await);
    assert!(passes(&ledger, NOON, std::slice::from_ref(&wide)).await);
    assert!(!passes(&ledger, NOON, &[wide]).await, "the refused calls took nothing of it");
}

async fn the_same_counter_twice_is_charged_twice(house: House) {
    let ledger = house.open();
    let limit = Limit::per_minute(3);
    assert!(passes(&ledger, NOON, &[limit.clone(), limit.clone()]).await);
    assert!(!passes(&ledger, NOON, &[limit.clone(), limit.clone()]).await, "only one is left");
    assert!(passes(&ledger, NOON, &[limit]).await);
}

async fn a_limited_call_is_recorded_with_the_limit_that_refused_it(house: House) {
    let ledger = house.open();
    let limit = [Limit::per_minute(1)];
    assert!(passes(&ledger, NOON, &limit).await);
    let Reserved::Limited { index, retry_after, record } = reserve(&ledger, NOON, &limit).await.unwrap() else {
        panic!("not limited")
    };
    assert_eq!((index, retry_after), (0, Some(std::time::Duration::from_secs(30))));
    let entry = ledger.entry(record).await.unwrap().unwrap();
    assert_eq!((entry.outcome, entry.rule.as_deref()), (Outcome::Limit, Some("/tools/read_file/limits/0")));
    assert_eq!(entry.reason.as_deref(), Some("too many calls"));
    let never = [Limit::per_minute(5).costing("5.5")];
    assert!(matches!(reserve(&ledger, NOON, &never).await.unwrap(), Reserved::Limited { retry_after: None, .. }));
}

async fn what_was_not_sent_costs_nothing(house: House) {
    let ledger = house.open();
    let limits = [Limit::per_minute(1), Limit::per_minute(1).named("other").of_successes()];
    for _ in 0..3 {
        let ticket = open(&ledger, NOON, &limits).await;
        ledger.settle(ticket, ended(after(1), Ending::NotSent)).await;
    }
    assert!(passes(&ledger, after(2), &limits).await);
    assert!(!passes(&ledger, after(2), &limits).await);
}

async fn what_failed_or_timed_out_stays_counted(house: House) {
    let ledger = house.open();
    for (number, ending) in [Ending::Failed, Ending::TimedOut, Ending::Unknown].into_iter().enumerate() {
        let limits = [Limit::per_minute(1).named(&format!("counter {number}")).of_successes()];
        let ticket = open(&ledger, NOON, &limits).await;
        ledger.settle(ticket, ended(after(1), ending)).await;
        assert!(!passes(&ledger, after(2), &limits).await, "{ending:?}");
    }
}

async fn an_error_answer_gives_back_only_limits_of_successes(house: House) {
    let ledger = house.open();
    let (sent, successes) =
        ([Limit::per_minute(1).named("sent")], [Limit::per_minute(1).named("successes").of_successes()]);
    for limits in [&sent, &successes] {
        let ticket = open(&ledger, NOON, limits).await;
        ledger.settle(ticket, ended(after(1), Ending::Answered { is_error: true, status: None })).await;
    }
    assert!(!passes(&ledger, after(2), &sent).await);
    assert!(passes(&ledger, after(2), &successes).await);
    assert!(!passes(&ledger, after(2), &successes).await, "a success is counted");
}

async fn a_late_settle_changes_no_later_window(house: House) {
    let ledger = house.open();
    let limit = [Limit::per_minute(2)];
    let late = open(&ledger, NOON, &limit).await;
    assert!(passes(&ledger, after(60), &limit).await);
    ledger.settle(late, ended(after(61), Ending::NotSent)).await;
    assert!(passes(&ledger, after(62), &limit).await);
    assert!(!passes(&ledger, after(63), &limit).await);
}

async fn a_dropped_ticket_is_unknown_and_stays_counted(house: House) {
    let ledger = house.open();
    let limit = [Limit::per_minute(1)];
    let ticket = open(&ledger, NOON, &limit).await;
    let id = ticket.id();
    drop(ticket);
    assert!(!passes(&ledger, after(1), &limit).await);
    let entry = ledger.entry(id).await.unwrap().unwrap();
    assert_eq!(entry.result, Some(UpstreamResult::Unknown));
}

async fn a_caller_that_goes_away_leaves_nothing_taken_or_open(house: House) {
    let ledger = house.open();
    let limit = [Limit::per_minute(1)];
    for _ in 0..20 {
        let reserving = reserve(&ledger, NOON, &limit);
        // Polled once, which is all that the exclusive ledger needs; then dropped.
        drop(tokio::time::timeout(std::time::Duration::ZERO, reserving).await);
    }
    let entries = ledger.entries(&EntryFilter::default(), 100).await.unwrap();
    assert!(entries.iter().all(|entry| entry.outcome != Outcome::Allow || entry.result.is_some()), "{entries:?}");
    let kept = entries.iter().filter(|entry| entry.result == Some(UpstreamResult::Unknown)).count();
    assert_eq!(passes(&ledger, after(1), &limit).await, kept == 0, "what was not sent costs nothing");
}

async fn a_clock_that_runs_backwards_opens_no_window_again(house: House) {
    let ledger = house.open();
    let limit = [Limit::per_minute(1)];
    assert!(passes(&ledger, after(120), &limit).await);
    assert!(!passes(&ledger, NOON, &limit).await);
    ledger.close().await.unwrap();
    let ledger = house.open();
    assert!(!passes(&ledger, after(60), &limit).await);
    assert!(passes(&ledger, after(180), &limit).await);
}

async fn counters_survive_closing(house: House) {
    let limits = [Limit::per_day(10), Limit::per_day(1000).named("sliding").sliding().costing("0.1")];
    for _ in 0..5 {
        let ledger = house.open();
        assert!(passes(&ledger, NOON, &limits).await);
        assert!(passes(&ledger, NOON, &limits).await);
        ledger.close().await.unwrap();
    }
    let ledger = house.open();
    assert!(!passes(&ledger, after(5), &limits).await);
    assert_eq!(records(&ledger).await, 21);
}

async fn long_texts_of_an_agent_are_cut(house: House) {
    let ledger = house.open();
    let long = "long ".repeat(1_000_000);
    let long = long.as_str();
    let mut call = intent(NOON);
    (call.tool, call.client, call.request_id, call.session) = (Some(long), Some(long), Some(long), long);
    let id = ledger.refuse(call, Outcome::Deny, long).await.unwrap();
    let entry = ledger.entry(id).await.unwrap().unwrap();
    assert!(entry.tool.unwrap().len() <= 1024 && entry.reason.unwrap().ends_with('…'));
    assert_eq!(records(&ledger).await, 1);
}

async fn a_closed_ledger_refuses(house: House) {
    let ledger = house.open();
    let ticket = open(&ledger, NOON, &[]).await;
    let id = ticket.id();
    ledger.close().await.unwrap();
    let refused = reserve(&ledger, NOON, &[]).await.unwrap_err();
    assert_eq!(refused.to_string(), "the ledger is closed");
    ledger.settle(ticket, answered(NOON)).await;
    drop(ledger);
    let entry = house.open().entry(id).await.unwrap().unwrap();
    assert_eq!(entry.result, Some(UpstreamResult::Unknown), "nobody could say what came of it");
}
