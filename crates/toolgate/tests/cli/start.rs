//! `toolgate run` and `toolgate serve` refuse to start with what cannot be used.

use crate::support::Place;

#[test]
fn run_draws_the_problems_of_its_policy() {
    let place = Place::new();
    place.write("policy.yaml", "version: 1\ndefault: deny\n");
    let ran = place.run(&["run", "--policy", "policy.yaml", "--", "true"]).ends_with(1);
    assert_eq!(ran.stdout, "", "only MCP goes to standard output");
    assert!(ran.stderr.contains("--> policy.yaml:1:10"), "{}", ran.stderr);
}

#[test]
fn run_needs_a_policy_that_is_there_and_one_server() {
    let place = Place::new();
    place.write("policy.yaml", "version: \"1\"\ndefault: deny\n");
    place.run(&["run", "--policy", "none.yaml", "--", "true"]).ends_with(3);
    place.run(&["run", "--policy", "policy.yaml"]).ends_with(2);
    place.run(&["run", "--", "true"]).ends_with(2);
    let both = ["run", "--policy", "policy.yaml", "--url", "http://localhost/", "--", "true"];
    place.run(&both).ends_with(2);
    place.run(&["run", "--policy", "policy.yaml", "--url", "localhost"]).ends_with(2);
    place.run(&["run", "--policy", "policy.yaml", "--url", "http://localhost/", "--header", "x"]).ends_with(2);
}

#[test]
fn serve_draws_the_problems_of_its_configuration() {
    let place = Place::new();
    place.write("toolgate.yaml", "servers: { a: { comand: x } }\n");
    let ran = place.run(&["serve"]).ends_with(1);
    assert!(ran.stderr.contains("--> toolgate.yaml:1:17"), "{}", ran.stderr);
    assert!(ran.stderr.contains("did you mean `command`?"), "{}", ran.stderr);
}

#[test]
fn serve_needs_a_configuration() {
    let ran = Place::new().run(&["serve", "-c", "none.yaml"]).ends_with(3);
    assert!(ran.stderr.contains("none.yaml"), "{}", ran.stderr);
}
