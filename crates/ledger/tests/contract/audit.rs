//! Listing, exporting, and finding what was tampered with.

use ledger::{Ending, EntryFilter, Ledger, Outcome, Verified};

use crate::support::{Backend, House, NOON, after, answered, ended, intent, open, records};

crate::for_every_backend!(
    entries_are_listed_newest_first_and_filtered,
    following_along_sees_each_entry_once,
    an_export_is_complete_and_in_order,
    an_empty_ledger_is_intact,
    every_edited_column_is_found,
    a_removed_record_is_found,
    records_that_change_places_are_found,
    a_truncated_chain_is_found,
    an_added_record_is_found,
);

/// Six calls: 1 and 2 settled at once, 3 refused, 4 settled after 5 was opened, 6 open.
async fn fill(ledger: &Ledger) {
    for second in 0..2 {
        let ticket = open(ledger, after(second), &[]).await;
        ledger.settle(ticket, answered(after(second))).await;
    }
    ledger.refuse(intent(after(2)), Outcome::Deny, "no").await.unwrap();
    let late = open(ledger, after(3), &[]).await;
    let next = open(ledger, after(4), &[]).await;
    ledger.settle(late, ended(after(5), Ending::Failed)).await;
    ledger.settle(next, ended(after(5), Ending::Answered { is_error: true, status: Some(500) })).await;
}

async fn entries_are_listed_newest_first_and_filtered(house: House) {
    let ledger = house.open();
    fill(&ledger).await;
    let count = async |filter: EntryFilter| ledger.entries(&filter, 100).await.unwrap().len();
    let all = ledger.entries(&EntryFilter::default(), 3).await.unwrap();
    assert_eq!(all.iter().map(|entry| entry.at).collect::<Vec<_>>(), [after(4), after(3), after(2)]);
    assert_eq!(count(EntryFilter { since: Some(after(1)), until: Some(after(4)), ..EntryFilter::default() }).await, 3);
    assert_eq!(count(EntryFilter { outcome: Some(Outcome::Deny), ..EntryFilter::default() }).await, 1);
    assert_eq!(count(EntryFilter { grant: Some("alice".to_owned()), ..EntryFilter::default() }).await, 5);
    assert_eq!(count(EntryFilter { grant: Some("bob".to_owned()), ..EntryFilter::default() }).await, 0);
    assert_eq!(
        count(EntryFilter {
            server: Some("files".to_owned()),
            tool: Some("read_file".to_owned()),
            ..EntryFilter::default()
        })
        .await,
        5
    );
    assert_eq!(count(EntryFilter { rule: Some("/tools/other".to_owned()), ..EntryFilter::default() }).await, 0);
}

async fn following_along_sees_each_entry_once(house: House) {
    let ledger = house.open();
    fill(&ledger).await;
    let mut seen = Vec::new();
    let mut after_seq = 0;
    loop {
        let page = ledger.entries_after(after_seq, &EntryFilter::default(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after_seq = last.opened_seq;
        seen.extend(page.iter().map(|entry| entry.opened_seq));
    }
    assert_eq!(seen, [1, 3, 5, 6, 7]);
}

async fn an_export_is_complete_and_in_order(house: House) {
    let ledger = house.open();
    for number in 0..1_203 {
        ledger.refuse(intent(after(number)), Outcome::Deny, "no, \"really\"").await.unwrap();
    }
    let mut export = ledger.export(&EntryFilter::default()).await.unwrap();
    let mut lines = Vec::new();
    while let Some(entry) = export.next().await {
        lines.push(entry.unwrap());
    }
    assert_eq!(lines.len(), 1_203);
    assert!(lines.is_sorted_by_key(|entry| entry.opened_seq));
    let json: serde_json::Value = serde_json::from_str(&lines[0].to_json()).unwrap();
    assert_eq!((json["outcome"].as_str(), json["at"].as_str()), (Some("deny"), Some("2027-01-15T12:00:30.000000Z")));
    assert_eq!(json["argument_keys"][0].as_str(), Some("path"));
    assert!(lines[0].to_csv().contains("\"no, \"\"really\"\"\""), "{}", lines[0].to_csv());
}

async fn an_empty_ledger_is_intact(house: House) {
    assert_eq!(records(&house.open()).await, 0);
}

/// Fills a ledger, runs some SQL on it, and tells what verifying it says.
async fn tampered(house: &House, sql: &str) -> Verified {
    let ledger = house.open();
    if records(&ledger).await == 0 {
        fill(&ledger).await;
        assert_eq!(records(&ledger).await, 9);
    }
    ledger.close().await.unwrap();
    drop(ledger);
    house.database().execute_batch(sql).unwrap();
    let ledger = house.open();
    let verified = ledger.verify(|_, _| ()).await.unwrap();
    ledger.close().await.unwrap();
    verified
}

fn first_bad(verified: &Verified) -> u64 {
    match verified {
        Verified::Broken { seq, .. } => *seq,
        Verified::Intact { .. } => panic!("nothing was found"),
    }
}

async fn every_edited_column_is_found(house: House) {
    let ledger = house.open();
    fill(&ledger).await;
    ledger.close().await.unwrap();
    drop(ledger);
    let ledger = Backend::Shared.open(&house.path()).unwrap();
    let database = house.database();
    database.execute_batch("CREATE TABLE saved AS SELECT * FROM entries").unwrap();
    let columns: Vec<(String, String)> = {
        let mut statement = database.prepare("SELECT name, type FROM pragma_table_info('entries')").unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(columns.len(), 30);
    for (column, kind) in columns {
        for new in edits(&column, &kind) {
            database.execute(&format!("UPDATE entries SET \"{column}\" = {new} WHERE opened_seq = 6"), []).unwrap();
            let verified = ledger.verify(|_, _| ()).await.unwrap();
            let expected = match column.as_str() {
                "settled_seq" if new == "NULL" || new == "-1" => 6, // its outcome is left without a record
                "settled_seq" | "settled_hash" | "settled_at" => 8,
                column if OF_OUTCOME.contains(&column) => 8,
                _ => 6,
            };
            assert_eq!(first_bad(&verified), expected, "{column} = {new}: {verified:?}");
            database.execute_batch("DELETE FROM entries; INSERT INTO entries SELECT * FROM saved").unwrap();
        }
    }
    assert_eq!(records(&ledger).await, 9);
}

const OF_OUTCOME: [&str; 5] = ["result", "upstream_status", "is_error", "gateway_us", "upstream_us"];

fn edits(column: &str, kind: &str) -> Vec<&'static str> {
    match (column, kind) {
        ("opened_seq", _) => vec!["100"],
        ("settled_seq", _) => vec!["100", "NULL", "-1"],
        ("opened_hash", _) => vec!["zeroblob(32)", "zeroblob(31)"],
        ("at" | "instance", _) => vec!["at + 1", "-1"],
        ("id", _) => vec!["lower(id)", "'01BX5ZZKBKACTAV9WEVGEMMVRZ'"],
        ("outcome", _) => vec!["'deny'", "'other'"],
        ("grant" | "session" | "server" | "method", _) => vec!["'other'", "''"],
        ("result", _) => vec!["'answered'", "'other'", "NULL"],
        ("is_error", _) => vec!["1", "2"],
        (_, "INTEGER") => vec!["77", "-1"],
        (_, "BLOB") => vec!["zeroblob(32)", "NULL"],
        (_, _) => vec!["'other'", "''", "CAST(x'ff' AS TEXT)"],
    }
}

async fn a_removed_record_is_found(house: House) {
    let verified = tampered(&house, "DELETE FROM entries WHERE opened_seq = 3").await;
    assert_eq!(first_bad(&verified), 3);
    let Verified::Broken { what, .. } = verified else { panic!() };
    assert!(what.contains("missing"), "{what}");
}

async fn records_that_change_places_are_found(house: House) {
    let swap = "UPDATE entries SET opened_seq = -1 WHERE opened_seq = 1; UPDATE entries SET opened_seq = 1 WHERE opened_seq = 3;
                UPDATE entries SET opened_seq = 3 WHERE opened_seq = -1";
    assert_eq!(first_bad(&tampered(&house, swap).await), 1);
}

async fn a_truncated_chain_is_found(house: House) {
    let verified = tampered(
        &house,
        "UPDATE entries SET settled_seq = NULL, settled_hash = NULL, settled_at = NULL, result = NULL,
        upstream_status = NULL, is_error = NULL, gateway_us = NULL, upstream_us = NULL WHERE opened_seq = 7",
    )
    .await;
    assert_eq!(first_bad(&verified), 9);
}

async fn an_added_record_is_found(house: House) {
    let verified = tampered(&house, "INSERT INTO entries SELECT 10, opened_hash, 'another', at, instance, outcome, \"grant\", client, session, server,
        method, tool, category, policy, policy_version, rule, reason, approval, argument_keys, arguments_hmac, request_id, trace_id,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM entries WHERE opened_seq = 5").await;
    assert_eq!(first_bad(&verified), 10);
    assert_eq!(NOON, after(0));
}
