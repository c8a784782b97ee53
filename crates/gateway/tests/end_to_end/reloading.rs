//! Edits of the configuration file while the gateway runs.

use gateway::Reloaded;

use crate::agent::told;
use crate::configuration::Configuration;
use crate::gateway::Gateway;
use crate::upstream::Upstream;

const ALLOW: &str = r#"{"version":"1","default":"allow"}"#;
const DENY: &str = r#"{"version":"1","default":"deny"}"#;

#[test]
fn an_invalid_edit_is_refused_and_the_last_good_configuration_stays() {
    let upstream = Upstream::start();
    upstream.server("s");
    let with =
        |policy| Configuration::default().server("s", &upstream.url("s")).policy("p", policy).grant("a", "s", "p");
    let gateway = Gateway::start(&with(ALLOW));
    let session = gateway.agents.open("a", "s");
    assert_eq!(told(&session.call(1, "t", "{}")), "allow");

    gateway.edit(&with(r#"{"version":"1","default":"dney","tool":{}}"#).text());
    let Reloaded::Refused(problems) = gateway.reloaded() else { panic!("the edit was applied") };
    assert_eq!(problems.iter().filter(|problem| problem.is_error()).count(), 2, "{problems:?}");
    assert_eq!(told(&session.call(2, "t", "{}")), "allow");

    gateway.edit("{");
    assert!(matches!(gateway.reloaded(), Reloaded::Refused(_)));
    assert_eq!(told(&session.call(3, "t", "{}")), "allow");

    gateway.edit(&with(DENY).text());
    assert!(matches!(gateway.reloaded(), Reloaded::Applied(_)));
    assert_eq!(told(&session.call(4, "t", "{}")), "deny");
    assert_eq!(upstream.server("s").calls(), 3);
}

#[test]
fn a_grant_that_was_taken_out_of_the_file_is_refused() {
    let upstream = Upstream::start();
    upstream.server("s");
    let base = Configuration::default().server("s", &upstream.url("s")).policy("p", ALLOW).grant("a", "s", "p");
    let gateway = Gateway::start(&base.clone().grant("b", "s", "p"));
    let (stays, goes) = (gateway.agents.open("a", "s"), gateway.agents.open("b", "s"));
    assert_eq!(told(&goes.call(1, "t", "{}")), "allow");
    gateway.edit(&base.text());
    assert!(matches!(gateway.reloaded(), Reloaded::Applied(_)));
    assert_eq!(goes.call(2, "t", "{}").status, 401);
    assert_eq!(told(&stays.call(3, "t", "{}")), "allow");
}

#[test]
fn an_edit_of_a_policy_keeps_its_counts() {
    let upstream = Upstream::start();
    upstream.server("s");
    let with = |max, also: &str| {
        let limit = format!(r#"{{"counter":"c","window":"day","max":{max}}}"#);
        let policy = format!(r#"{{"version":"1","default":"deny","tools":{{"t":{{"limits":[{limit}]}}{also}}}}}"#);
        Configuration::default().server("s", &upstream.url("s")).policy("p", &policy).grant("a", "s", "p")
    };
    let gateway = Gateway::start(&with(2, ""));
    let session = gateway.agents.open("a", "s");
    assert_eq!(told(&session.call(1, "t", "{}")), "allow");
    gateway.edit(&with(2, r#","u":{}"#).text());
    assert!(matches!(gateway.reloaded(), Reloaded::Applied(_)));
    assert_eq!(told(&session.call(2, "t", "{}")), "allow");
    assert_eq!(told(&session.call(3, "t", "{}")), "limit");
    assert_eq!(told(&session.call(4, "u", "{}")), "allow");
}

#[test]
fn a_grant_whose_policy_went_away_is_denied_everything() {
    let upstream = Upstream::start();
    upstream.server("s");
    let base = Configuration::default().server("s", &upstream.url("s"));
    let gateway = Gateway::start(&base.clone().policy("p", ALLOW));
    let made = gateway.tell("/api/v1/grants", r#"{"label":"made","access":[{"server":"s","policy":"p"}]}"#);
    let session = gateway.agents.open_as(made["token"].as_str().unwrap(), "s", None, "2025-06-18");
    assert_eq!(told(&session.call(1, "t", "{}")), "allow");
    gateway.edit(&base.text());
    assert!(matches!(gateway.reloaded(), Reloaded::Applied(_)));
    assert_eq!(told(&session.call(2, "t", "{}")), "deny");
    assert_eq!(upstream.server("s").calls(), 1);
}
