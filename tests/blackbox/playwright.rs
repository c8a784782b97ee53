//! Policies as people write them, unchanged, in front of the Playwright server.

use blackbox::agent::{outcome, text};
use blackbox::gate::{Gate, Setup};
use blackbox::lines::{LineAgent, run_command};
use blackbox::place::Place;
use blackbox::{enough_of_the_minute, npm_file, tests_file};
use serde_json::{Value, json};

const SERVER: &str = "@executeautomation/playwright-mcp-server/dist/index.js";

fn policy_file(name: &str) -> Value {
    json!({ "file": tests_file("cases/policies").join(name) })
}

fn start_arguments(place: &Place) -> Value {
    json!({ "options": { "outputPath": place.path(), "testNamePrefix": "T", "includeComments": true } })
}

/// The server behind all four policies, each at two grants.
async fn serve() -> Gate {
    let policies = ["start_codegen_session", "get_codegen_session", "end_codegen_session", "faq-forms"];
    let server = json!({ "command": "node", "args": [npm_file(SERVER)] });
    let mut setup = Setup::default().server("up", server);
    for policy in policies {
        setup = setup.policy(policy, policy_file(&format!("{policy}.json")));
        for agent in ["one", "two"] {
            setup = setup.grant(&format!("{policy}-{agent}"), &[("up", policy)]);
        }
    }
    setup.serve().await
}

fn run(place: &Place, policy: &str, grant: &str) -> tokio::process::Command {
    let policy = tests_file("cases/policies").join(policy);
    run_command(&policy, &place.join("data"), &["--grant", grant], &["node".to_owned(), npm_file(SERVER)])
}

#[tokio::test]
async fn the_eleventh_start_in_a_minute_is_refused_over_http() {
    let gate = serve().await;
    let (one, two) = (gate.session("start_codegen_session-one").await, gate.session("start_codegen_session-two").await);
    enough_of_the_minute().await;
    for _ in 0..10 {
        let answer = one.call("start_codegen_session", start_arguments(gate.place())).await;
        assert_eq!(outcome(&answer), "allow", "{answer}");
        assert!(text(&answer).contains("sessionId"), "{answer}");
    }
    let eleventh = one.call("start_codegen_session", start_arguments(gate.place())).await;
    assert_eq!(outcome(&eleventh), "limit", "{eleventh}");
    assert!(text(&eleventh).starts_with("[RATE LIMITED]"), "{eleventh}");
    let again = gate.session("start_codegen_session-one").await;
    let answer = again.call("start_codegen_session", start_arguments(gate.place())).await;
    assert_eq!(outcome(&answer), "limit", "a new session of the same grant: {answer}");
    let answer = two.call("start_codegen_session", start_arguments(gate.place())).await;
    assert_eq!(outcome(&answer), "allow", "another grant: {answer}");
    for tool in ["get_codegen_session", "end_codegen_session", "playwright_navigate", "no_such_tool"] {
        let answer = one.call(tool, json!({})).await;
        assert_eq!(outcome(&answer), "deny", "{tool}: {answer}");
        assert!(text(&answer).starts_with("[POLICY DENIED]"), "{answer}");
    }
}

#[tokio::test]
async fn the_eleventh_start_in_a_minute_is_refused_over_stdio() {
    let place = Place::new();
    let mut one = LineAgent::open(run(&place, "start_codegen_session.json", "one")).await;
    let mut two = LineAgent::open(run(&place, "start_codegen_session.json", "two")).await;
    enough_of_the_minute().await;
    for _ in 0..10 {
        let answer = one.call("start_codegen_session", start_arguments(&place)).await;
        assert_eq!(outcome(&answer), "allow", "{answer}");
    }
    let eleventh = one.call("start_codegen_session", start_arguments(&place)).await;
    assert_eq!(outcome(&eleventh), "limit", "{eleventh}");
    let answer = two.call("start_codegen_session", start_arguments(&place)).await;
    assert_eq!(outcome(&answer), "allow", "another grant: {answer}");
    assert_eq!(outcome(&one.call("playwright_navigate", json!({})).await), "deny");
    assert_eq!(one.close().await, Some(0));
    assert_eq!(two.close().await, Some(0));
}

#[tokio::test]
async fn get_is_never_limited_and_end_is_limited_on_its_own() {
    let gate = serve().await;
    let get = gate.session("get_codegen_session-one").await;
    for _ in 0..40 {
        let answer = get.call("get_codegen_session", json!({ "sessionId": "none" })).await;
        assert_eq!(outcome(&answer), "allow", "{answer}");
    }
    assert_eq!(outcome(&get.call("start_codegen_session", start_arguments(gate.place())).await), "deny");
    let end = gate.session("end_codegen_session-one").await;
    enough_of_the_minute().await;
    for _ in 0..30 {
        assert_eq!(outcome(&end.call("end_codegen_session", json!({ "sessionId": "none" })).await), "allow");
    }
    assert_eq!(outcome(&end.call("end_codegen_session", json!({ "sessionId": "none" })).await), "limit");
}

#[tokio::test]
async fn faq_forms_limits_each_tool_and_session_and_denies_the_end_with_its_reason() {
    let gate = serve().await;
    let first = gate.session("faq-forms-one").await;
    enough_of_the_minute().await;
    for tool in ["start_codegen_session", "get_codegen_session"] {
        for _ in 0..10 {
            assert_eq!(outcome(&first.call(tool, start_arguments(gate.place())).await), "allow", "{tool}");
        }
        assert_eq!(outcome(&first.call(tool, start_arguments(gate.place())).await), "limit", "{tool}");
    }
    let second = gate.session("faq-forms-one").await;
    let answer = second.call("start_codegen_session", start_arguments(gate.place())).await;
    assert_eq!(outcome(&answer), "allow", "another session counts for itself: {answer}");
    let answer = second.call("end_codegen_session", json!({ "sessionId": "none" })).await;
    assert_eq!(outcome(&answer), "deny");
    assert!(text(&answer).contains("Test files are written by people"), "{answer}");
    assert_eq!(outcome(&second.call("clear_codegen_session", json!({})).await), "deny");
}
