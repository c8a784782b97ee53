//! `toolgate check`.

use crate::support::Place;

const GOOD: &str = "version: \"1\"\ndefault: deny\ntools: { read_file: {} }\n";
const BAD: &str = "version: 1\ndefault: maybe\ntools: { t: { alow_if: [] } }\n";

#[test]
fn a_valid_policy_is_fine() {
    let place = Place::new();
    let ran = place.write("policy.yaml", GOOD).run(&["check", "policy.yaml"]).ends_with(0);
    assert!(ran.stdout.starts_with("policy.yaml: valid policy, version "), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
}

#[test]
fn every_problem_is_drawn_where_it_stands() {
    let place = Place::new();
    let ran = place.write("policy.yaml", BAD).run(&["check", "policy.yaml"]).ends_with(1);
    assert_eq!(ran.stdout, "policy.yaml: 3 errors\n");
    for part in [
        "--> policy.yaml:1:10",
        "1 | version: 1",
        "^ /version",
        "--> policy.yaml:2:10",
        "^^^^^ /default",
        "--> policy.yaml:3:",
        "/tools/t/alow_if",
        "help: ",
    ] {
        assert!(ran.stderr.contains(part), "no {part:?} in:\n{}", ran.stderr);
    }
    assert!(!ran.stderr.contains('\x1b'), "colours, though this is no terminal");
}

#[test]
fn problems_are_objects_for_programs() {
    let place = Place::new();
    let ran = place.write("policy.yaml", BAD).run(&["check", "--json", "policy.yaml"]).ends_with(1);
    let objects = ran.objects();
    let pointers: Vec<_> = objects.iter().map(|object| object["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/version", "/default", "/tools/t/alow_if"]);
    for object in &objects {
        assert_eq!(object["severity"], "error");
        assert_eq!(object["file"], "policy.yaml");
        assert!(object["line"].is_u64() && object["column"].is_u64());
        assert!(object["message"].is_string() && object["help"].is_string());
    }
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_configuration_is_told_from_a_policy_by_what_it_has() {
    let place = Place::new();
    place
        .write("policies/p.yaml", GOOD)
        .write("anything.yaml", "servers: { files: { command: x } }\npolicies: { p: { file: policies/p.yaml } }\n");
    let ran = place.run(&["check", "anything.yaml"]).ends_with(0);
    assert_eq!(ran.stdout, "anything.yaml: valid configuration, 1 server, 1 policy, 0 grants\n");
}

#[test]
fn a_policy_that_the_configuration_names_is_drawn_in_its_own_file() {
    let place = Place::new();
    place
        .write("policies/p.yaml", BAD)
        .write("conf/toolgate.yaml", "servers: {}\npolicies: { p: { file: ../policies/p.yaml } }\n");
    let ran = place.run(&["check", "conf/toolgate.yaml"]).ends_with(1);
    assert!(ran.stderr.contains("--> conf/../policies/p.yaml:1:10"), "{}", ran.stderr);
}

#[test]
fn all_files_are_checked_whatever_the_first_is() {
    let place = Place::new();
    let ran =
        place.write("bad.yaml", BAD).write("good.yaml", GOOD).run(&["check", "bad.yaml", "good.yaml"]).ends_with(1);
    assert!(ran.stdout.contains("bad.yaml: 3 errors\ngood.yaml: valid policy"), "{}", ran.stdout);
}

#[test]
fn a_warning_is_drawn_and_is_no_failure() {
    let place = Place::new();
    let text = "version: \"1\"\ndefault: deny\ntools: { t: { rate_limit: 10/minute } }\n";
    let ran = place.write("policy.yaml", text).run(&["check", "policy.yaml"]).ends_with(0);
    assert!(ran.stdout.ends_with(", 1 warning\n"), "{}", ran.stdout);
    assert!(ran.stderr.starts_with("warning: "), "{}", ran.stderr);
}

#[test]
fn a_file_that_is_not_there_could_not_be_checked() {
    let place = Place::new();
    let ran = place.write("good.yaml", GOOD).run(&["check", "none.yaml", "good.yaml"]).ends_with(3);
    assert!(ran.stderr.contains("none.yaml"), "{}", ran.stderr);
    assert!(ran.stdout.contains("good.yaml: valid"), "{}", ran.stdout);
}

#[test]
fn control_characters_of_a_document_do_not_reach_the_terminal() {
    let place = Place::new();
    let text = "version: \"1\"\ndefault: deny\n\"x\\u001b[31m\": 1\n";
    let ran = place.write("policy.yaml", text).run(&["check", "policy.yaml"]).ends_with(1);
    assert!(!ran.stderr.contains('\x1b'), "{:?}", ran.stderr);
}

#[test]
fn no_file_is_a_mistake_of_the_command_line() {
    Place::new().run(&["check"]).ends_with(2);
}
