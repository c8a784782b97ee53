//! `docs/cli.md` says what the command line does.

use std::fs;
use std::path::Path;

use crate::support::Place;

#[test]
fn the_command_line_reference_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let written = fs::read_to_string(file).unwrap();
    let made = Place::new().run(&["reference"]).ends_with(0).stdout;
    assert!(made == written, "docs/cli.md is not what `toolgate reference` prints: run `make docs`");
}
