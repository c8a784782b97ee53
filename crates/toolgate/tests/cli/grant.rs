//! `toolgate grant`, directly on a ledger.

use crate::support::Place;

const CREATE: [&str; 7] = ["grant", "create", "alice-laptop", "--access", "files=read-only", "--data-dir", "data"];

#[test]
fn a_token_is_shown_once_and_alone_on_standard_output() {
    let place = Place::new();
    let made = place.run(&CREATE).ends_with(0);
    let token = made.stdout.trim_end();
    assert!(token.starts_with("tg_") && token.len() > 40 && !token.contains('\n'), "{token}");
    assert!(made.stderr.contains("alice-laptop") && !made.stderr.contains(token), "{}", made.stderr);

    let listed = place.run(&["grant", "list", "--json", "--data-dir", "data"]).ends_with(0);
    let [grant] = listed.objects().try_into().unwrap();
    assert_eq!(grant["label"], "alice-laptop");
    assert_eq!(grant["state"], "active");
    assert_eq!(grant["origin"], "api");
    assert_eq!(grant["access"][0]["server"], "files");
    assert_eq!(grant["access"][0]["policy"], "read-only");
    assert!(!listed.stdout.contains(token), "the token is listed");
}

#[test]
fn a_label_is_taken_until_its_grant_is_revoked() {
    let place = Place::new();
    place.run(&CREATE).ends_with(0);
    let again = place.run(&CREATE).ends_with(3);
    assert!(again.stderr.contains("alice-laptop"), "{}", again.stderr);
    place.run(&["grant", "revoke", "alice-laptop", "--data-dir", "data"]).ends_with(0);
    place.run(&CREATE).ends_with(0);
    let active = place.run(&["grant", "list", "--json", "--data-dir", "data"]).ends_with(0);
    assert_eq!(active.objects().len(), 1);
    let all = place.run(&["grant", "list", "--all", "--json", "--data-dir", "data"]).ends_with(0);
    let states: Vec<_> = all.objects().iter().map(|grant| grant["state"].to_string()).collect();
    assert_eq!(states.len(), 2, "{states:?}");
    assert!(states.contains(&"\"revoked\"".to_owned()), "{states:?}");
}

#[test]
fn a_rotated_grant_has_another_token() {
    let place = Place::new();
    let first = place.run(&CREATE).ends_with(0);
    let second = place.run(&["grant", "rotate", "alice-laptop", "--data-dir", "data"]).ends_with(0);
    assert!(second.stdout.starts_with("tg_"), "{}", second.stdout);
    assert_ne!(first.stdout, second.stdout);
}

#[test]
fn an_expiry_is_a_time_or_a_duration() {
    let place = Place::new();
    place.run(&[&CREATE[..], &["--expires", "2999-01-01T00:00:00Z"]].concat()).ends_with(0);
    let listed = place.run(&["grant", "list", "--json", "--data-dir", "data"]).ends_with(0);
    assert_eq!(listed.objects()[0]["expires_at"], "2999-01-01T00:00:00Z");
    place.run(&[&CREATE[..], &["--expires", "soon"]].concat()).ends_with(2);
}

#[test]
fn a_grant_that_is_not_there_cannot_be_revoked() {
    let place = Place::new();
    place.run(&CREATE).ends_with(0);
    let ran = place.run(&["grant", "revoke", "bob", "--data-dir", "data"]).ends_with(3);
    assert!(ran.stderr.contains("bob"), "{}", ran.stderr);
}

#[test]
fn access_is_a_server_and_a_policy() {
    let place = Place::new();
    for access in ["files", "=p", "files=", "files=a b"] {
        place.run(&["grant", "create", "a", "--access", access, "--data-dir", "data"]).ends_with(2);
    }
    place.run(&["grant", "create", "a", "--data-dir", "data"]).ends_with(2);
}

#[test]
fn a_directory_without_a_ledger_is_a_mistake_and_is_not_made() {
    let place = Place::new();
    let ran = place.run(&["grant", "list", "--data-dir", "nowhere"]).ends_with(3);
    assert!(ran.stderr.contains("--data-dir"), "{}", ran.stderr);
    assert!(!place.path("nowhere").exists());
}

#[test]
fn the_directory_of_the_configuration_is_meant_where_there_is_one() {
    let place = Place::new();
    place.write("toolgate.yaml", "servers: { a: { command: \"${MISSING}\" } }\ndata_dir: here\n");
    place.run(&CREATE[..5]).ends_with(0);
    assert!(place.path("here").is_dir());
    place.run(&["grant", "list", "-c", "toolgate.yaml"]).ends_with(0);
}

#[test]
fn without_a_configuration_the_users_state_directory_is_meant() {
    let place = Place::new();
    place.run(&CREATE[..5]).ends_with(0);
    assert!(place.path(".local/state/toolgate").is_dir());
}
