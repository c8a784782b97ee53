//! Grants and their tokens.

use ledger::{Access, FileGrant, GrantCheck, Ledger, NewGrant, Origin, Reserved, Token};

use crate::support::{House, NOON, after, intent};

crate::for_every_backend!(
    a_grant_is_found_by_its_token_only,
    a_label_is_unique_among_living_grants,
    revoking_is_exact,
    rotating_makes_the_old_token_worthless,
    an_expired_grant_reserves_nothing,
    grants_of_the_file_follow_the_file,
    grants_survive_closing,
);

fn access() -> Vec<Access> {
    vec![Access { server: "files".to_owned(), policy: "safe".to_owned() }]
}

fn new(label: &str) -> NewGrant {
    NewGrant { label: label.to_owned(), access: access(), expires: Some(after(100)) }
}

fn from_file(label: &str, token: &str) -> FileGrant {
    FileGrant { label: label.to_owned(), token_sha256: Token::sha256(token), access: access(), expires: None }
}

async fn by_token(ledger: &Ledger, token: &str) -> Option<String> {
    let grant = ledger.grant_by_token(&Token::sha256(token)).await.unwrap();
    grant.map(|grant| grant.label.clone())
}

async fn reserves(ledger: &Ledger, grant: &str, generation: u64, at: policy::Timestamp) -> bool {
    let reserved = ledger.reserve(intent(at), &[], GrantCheck::Generation { grant, generation }, None).await.unwrap();
    match reserved {
        Reserved::Open(_) => true,
        Reserved::GrantGone { .. } => false,
        other => panic!("{other:?}"),
    }
}

async fn a_grant_is_found_by_its_token_only(house: House) {
    let ledger = house.open();
    let (grant, token) = ledger.create_grant(new("ci"), NOON).await.unwrap();
    assert!(token.as_str().starts_with("tg_") && token.as_str().len() == 46, "{}", token.as_str().len());
    assert!(grant.id.starts_with("gr_"));
    assert_eq!(by_token(&ledger, token.as_str()).await.as_deref(), Some("ci"));
    assert_eq!(by_token(&ledger, "tg_other").await, None);
    assert!(!format!("{token:?}").contains(token.as_str()), "a token is not printed by accident");
}

async fn a_label_is_unique_among_living_grants(house: House) {
    let ledger = house.open();
    let (first, _) = ledger.create_grant(new("ci"), NOON).await.unwrap();
    let taken = ledger.create_grant(new("ci"), NOON).await.unwrap_err();
    assert!(taken.to_string().starts_with("there is a grant called `ci` already"), "{taken}");
    ledger.revoke_grant("ci", NOON).await.unwrap();
    let (second, _) = ledger.create_grant(new("ci"), NOON).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(ledger.grants(false).await.unwrap().len(), 1);
    assert_eq!(ledger.grants(true).await.unwrap().len(), 2);
}

async fn revoking_is_exact(house: House) {
    let ledger = house.open();
    let (grant, token) = ledger.create_grant(new("ci"), NOON).await.unwrap();
    assert!(reserves(&ledger, &grant.id, grant.generation, NOON).await);
    let revoked = ledger.revoke_grant(&grant.id, NOON).await.unwrap();
    assert!(revoked.generation > grant.generation && revoked.revoked_at == Some(NOON));
    assert!(!reserves(&ledger, &grant.id, grant.generation, NOON).await);
    assert!(!reserves(&ledger, &grant.id, revoked.generation, NOON).await);
    assert_eq!(by_token(&ledger, token.as_str()).await, None);
    assert!(ledger.revoke_grant("ci", NOON).await.is_err(), "there is none of that name any more");
}

async fn rotating_makes_the_old_token_worthless(house: House) {
    let ledger = house.open();
    let (grant, old) = ledger.create_grant(new("ci"), NOON).await.unwrap();
    let (rotated, token) = ledger.rotate_grant("ci").await.unwrap();
    assert_eq!(
        (by_token(&ledger, old.as_str()).await, by_token(&ledger, token.as_str()).await.as_deref()),
        (None, Some("ci"))
    );
    assert!(!reserves(&ledger, &grant.id, grant.generation, NOON).await);
    assert!(reserves(&ledger, &grant.id, rotated.generation, NOON).await);
}

async fn an_expired_grant_reserves_nothing(house: House) {
    let ledger = house.open();
    let (grant, _) = ledger.create_grant(new("ci"), NOON).await.unwrap();
    assert!(reserves(&ledger, &grant.id, grant.generation, after(99)).await);
    assert!(!reserves(&ledger, &grant.id, grant.generation, after(100)).await);
}

async fn grants_of_the_file_follow_the_file(house: House) {
    let ledger = house.open();
    ledger.publish_file_grants(&[from_file("alice", "one"), from_file("bob", "two")], NOON).await.unwrap();
    let before = ledger.grants(false).await.unwrap();
    ledger.publish_file_grants(&[from_file("alice", "one"), from_file("bob", "three")], NOON).await.unwrap();
    let after_edit = ledger.grants(false).await.unwrap();
    assert_eq!(after_edit[0], before[0], "alice did not change");
    assert_eq!((&after_edit[1].id, after_edit[1].generation), (&before[1].id, before[1].generation + 1));
    assert_eq!((by_token(&ledger, "two").await, by_token(&ledger, "three").await.as_deref()), (None, Some("bob")));
    ledger.publish_file_grants(&[from_file("alice", "one")], NOON).await.unwrap();
    assert_eq!(by_token(&ledger, "three").await, None);
    ledger.publish_file_grants(&[from_file("alice", "one"), from_file("bob", "three")], NOON).await.unwrap();
    let back = ledger.grants(false).await.unwrap();
    assert_eq!(back[1].id, before[1].id, "whoever comes back has the counters they had");
    assert_eq!(back[1].origin, Origin::File);
    let refused = ledger.revoke_grant("bob", NOON).await.unwrap_err();
    assert_eq!(refused.to_string(), "grant `bob` comes from the configuration file: change it there");
    ledger.create_grant(new("carol"), NOON).await.unwrap();
    assert!(ledger.publish_file_grants(&[from_file("carol", "four")], NOON).await.is_err());
    assert_eq!(by_token(&ledger, "one").await.as_deref(), Some("alice"), "a refused edit changes nothing");
}

async fn grants_survive_closing(house: House) {
    let ledger = house.open();
    let (grant, token) = ledger.create_grant(new("ci"), NOON).await.unwrap();
    ledger.close().await.unwrap();
    let ledger = house.open();
    assert_eq!(ledger.grants(false).await.unwrap(), [grant]);
    assert_eq!(by_token(&ledger, token.as_str()).await.as_deref(), Some("ci"));
}
