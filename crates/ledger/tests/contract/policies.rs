//! Policies made at run time, and settings.

use policy::document::Format;

use crate::support::{House, NOON, after};

crate::for_every_backend!(a_policy_has_revisions, settings_are_kept);

async fn a_policy_has_revisions(house: House) {
    let ledger = house.open();
    assert_eq!(ledger.policy("safe").await.unwrap(), None);
    assert_eq!(ledger.put_policy("safe", "one", Format::Yaml, "bob", NOON).await.unwrap(), 1);
    assert_eq!(ledger.put_policy("safe", "two", Format::Json, "eve", after(1)).await.unwrap(), 2);
    assert_eq!(ledger.put_policy("other", "three", Format::Json, "eve", after(1)).await.unwrap(), 1);
    ledger.close().await.unwrap();
    let ledger = house.open();
    let latest = ledger.policy("safe").await.unwrap().unwrap();
    assert_eq!(
        (latest.text.as_str(), latest.revision, latest.format, latest.stored_by.as_str()),
        ("two", 2, Format::Json, "eve")
    );
    assert_eq!(ledger.policies().await.unwrap().len(), 2);
    ledger.remove_policy("safe").await.unwrap();
    assert_eq!(ledger.policies().await.unwrap().len(), 1);
    assert_eq!(ledger.remove_policy("safe").await.unwrap_err().to_string(), "there is no policy `safe`");
}

async fn settings_are_kept(house: House) {
    let ledger = house.open();
    assert_eq!(ledger.meta("admin").await.unwrap(), None);
    ledger.set_meta("admin", "one").await.unwrap();
    ledger.set_meta("admin", "two").await.unwrap();
    assert_eq!(ledger.meta("admin").await.unwrap().as_deref(), Some("two"));
    ledger.close().await.unwrap();
    let ledger = house.open();
    assert_eq!(ledger.meta("admin").await.unwrap().as_deref(), Some("two"));
    let digest = ledger.hmac_arguments(b"{}");
    ledger.close().await.unwrap();
    assert_eq!(house.open().hmac_arguments(b"{}"), digest, "the key stays the directory's");
}
