//! Who may use a directory, and what is found there afterwards.

use std::path::Path;

use ledger::{Ledger, OpenError, Options, UpstreamResult};

use crate::support::{Backend, House, Limit, NOON, after, open, passes, records};

crate::for_every_backend!(
    a_newer_database_is_refused_with_a_sentence,
    calls_of_a_dead_process_become_unknown_when_it_is_opened
);

async fn a_newer_database_is_refused_with_a_sentence(house: House) {
    house.open().close().await.unwrap();
    house.database().pragma_update(None, "user_version", 999).unwrap();
    let refused = house.backend.open(&house.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 999, .. }));
    assert!(
        refused.to_string().starts_with("the ledger was written by a newer toolgate (schema 999, this one knows "),
        "{refused}"
    );
}

async fn calls_of_a_dead_process_become_unknown_when_it_is_opened(house: House) {
    let ledger = house.open();
    let limit = [Limit::per_minute(1)];
    let ticket = open(&ledger, NOON, &limit).await;
    let id = ticket.id();
    ledger.flush().await.unwrap();
    let corpse = House::new(house.backend);
    copy(&house.path(), &corpse.path());
    let ledger = corpse.open();
    assert_eq!(ledger.entry(id).await.unwrap().unwrap().result, Some(UpstreamResult::Unknown));
    assert!(!passes(&ledger, after(1), &limit).await, "its quota stays taken");
    assert_eq!(records(&ledger).await, 3);
}

/// What a process leaves behind when it is killed: its files, without its locks.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for found in std::fs::read_dir(from).unwrap() {
        let found = found.unwrap();
        let target = to.join(found.file_name());
        if found.file_type().unwrap().is_dir() {
            copy(&found.path(), &target);
        } else {
            std::fs::copy(found.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_gateway_keeps_everybody_else_out() {
    let house = House::new(Backend::Exclusive);
    let ledger = house.open();
    for backend in [Backend::Exclusive, Backend::Shared] {
        let refused = backend.open(&house.path()).unwrap_err();
        assert!(refused.to_string().contains("is in use by a running gateway"), "{refused}");
    }
    ledger.close().await.unwrap();
    drop(house.open());
}

#[tokio::test]
async fn those_who_share_keep_a_gateway_out() {
    let house = House::new(Backend::Shared);
    let (first, second) = (house.open(), house.open());
    let refused = Backend::Exclusive.open(&house.path()).unwrap_err();
    assert!(matches!(refused, OpenError::HeldByOthers(_)), "{refused}");
    first.close().await.unwrap();
    second.close().await.unwrap();
    drop(Backend::Exclusive.open(&house.path()).unwrap());
}

#[tokio::test]
async fn a_living_process_keeps_its_open_calls() {
    let house = House::new(Backend::Shared);
    let first = house.open();
    let ticket = open(&first, NOON, &[]).await;
    let id = ticket.id();
    let second = house.open();
    assert_eq!(second.entry(id).await.unwrap().unwrap().result, None);
    first.settle(ticket, crate::support::answered(after(1))).await;
    assert_eq!(second.entry(id).await.unwrap().unwrap().result, Some(UpstreamResult::Answered));
}

#[tokio::test]
async fn both_ways_of_opening_continue_the_same_ledger() {
    let house = House::new(Backend::Exclusive);
    let limit = [Limit::per_day(6), Limit::per_day(6).named("sliding").sliding()];
    for round in 0..3 {
        for backend in [Backend::Exclusive, Backend::Shared] {
            let ledger = backend.open(&house.path()).unwrap();
            assert!(passes(&ledger, after(round), &limit).await);
            ledger.close().await.unwrap();
        }
    }
    for backend in [Backend::Shared, Backend::Exclusive] {
        let ledger = backend.open(&house.path()).unwrap();
        assert!(!passes(&ledger, after(9), &limit).await);
        ledger.close().await.unwrap();
    }
    assert_eq!(records(&house.open()).await, 14);
}

#[tokio::test]
async fn a_log_left_behind_is_applied_by_whoever_comes_next() {
    for next in [Backend::Exclusive, Backend::Shared] {
        let house = House::new(Backend::Exclusive);
        let ledger = house.open();
        let tickets =
            [open(&ledger, NOON, &[Limit::per_day(3)]).await, open(&ledger, NOON, &[Limit::per_day(3)]).await];
        let corpse = House::new(next);
        copy(&house.path(), &corpse.path());
        let ledger = corpse.open();
        assert_eq!(records(&ledger).await, 4, "two opened, two settled as unknown");
        for ticket in &tickets {
            assert_eq!(ledger.entry(ticket.id()).await.unwrap().unwrap().result, Some(UpstreamResult::Unknown));
        }
        assert!(passes(&ledger, after(1), &[Limit::per_day(3)]).await);
        assert!(!passes(&ledger, after(1), &[Limit::per_day(3)]).await);
    }
}

#[tokio::test]
async fn an_unfinished_write_at_the_end_of_the_log_is_dropped() {
    let house = House::new(Backend::Exclusive);
    let ledger = house.open();
    let ticket = open(&ledger, NOON, &[]).await;
    let corpse = House::new(Backend::Exclusive);
    copy(&house.path(), &corpse.path());
    let log = std::fs::read_dir(corpse.path().join("log")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&log).unwrap();
    let whole = bytes.clone();
    bytes.extend_from_slice(&whole[..whole.len() - 3]);
    std::fs::write(&log, bytes).unwrap();
    let ledger = corpse.open();
    assert_eq!(records(&ledger).await, 2);
    assert!(ledger.entry(ticket.id()).await.unwrap().is_some());
    assert!(passes(&ledger, after(1), &[]).await);
}

#[tokio::test]
async fn a_log_of_many_files_is_kept_short_and_recovered() {
    let house = House::new(Backend::Exclusive);
    let options = Options { log_file_bytes: 2_000, ..Options::default() };
    let ledger = Ledger::open_exclusive(&house.path(), options.clone()).unwrap();
    for second in 0..100 {
        assert!(passes(&ledger, after(second), &[Limit::per_day(1000)]).await);
    }
    let corpse = House::new(Backend::Exclusive);
    copy(&house.path(), &corpse.path());
    let recovered = Ledger::open_exclusive(&corpse.path(), options).unwrap();
    assert_eq!(records(&recovered).await, 200);
    ledger.close().await.unwrap();
    assert_eq!(std::fs::read_dir(house.path().join("log")).unwrap().count(), 0, "closing leaves no log");
}
