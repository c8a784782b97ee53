//! The examples in the documentation can be used.

use std::fs;
use std::path::Path;

use crate::support::Place;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn the_whole_configuration_in_the_reference_is_valid() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let text = fs::read_to_string(file).unwrap();
    let example = text.split("```").find(|part| part.starts_with("yaml\n# toolgate.yaml")).unwrap();
    let place = Place::new();
    place.write("policies/browser.json", r#"{"version": "1", "default": "deny"}"#);
    place.write("toolgate.yaml", example.strip_prefix("yaml\n").unwrap());
    let mut command = place.command(&["check", "toolgate.yaml"]);
    for variable in ["FILES_API_KEY", "GITHUB_TOKEN", "ALICE_TOKEN"] {
        command.env(variable, TOKEN);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let drawn = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "toolgate.yaml: valid configuration, 2 servers, 2 policies, 1 grant\n", "{drawn}");
}
