//! Nothing that comes in makes the crate panic, and nothing wrong ever becomes a policy.

use policy::document::{self, Format};
use policy::{Call, Policy, Problem, Target, argument_keys, canonical_json};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::config;
use crate::worlds;

/// Pieces that documents are made of, and pieces that break them.
fn broken_document() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\\u00",
            "\\ud800",
            "- ",
            "\n",
            "\n  ",
            "? ",
            "&a ",
            "*a",
            "<<: ",
            "!!str ",
            "|\n",
            ">-\n",
            "# ",
            "---\n",
            "...\n",
            "%YAML 1.2\n",
            "'",
            "\t",
            "\r",
            "\u{feff}",
            "é",
            "1e999",
            "0x1F",
            "null",
            "version: \"1\"\n",
            "default: deny\n",
            "tools:\n",
            "\"tools\"",
            "deny_if",
            "conditions",
            "args.x[*]",
            "\"1\"",
            "{}",
            "!<tag:x>",
            "@",
            "`",
            "~",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A valid document with a few characters changed.
fn damaged_document() -> impl Strategy<Value = String> {
    let damage =
        (any::<Index>(), select(vec!["", "\"", "{", "}", "[", "1", ",", "x", "\\", "\n", ": "]), any::<bool>());
    (worlds::policy(), proptest::collection::vec(damage, 1..4)).prop_map(|(policy, damages)| {
        let mut characters: Vec<char> = policy.written().chars().collect();
        for (place, piece, replace) in damages {
            let at = place.index(characters.len());
            characters.splice(at..at + usize::from(replace), piece.chars());
        }
        characters.into_iter().collect()
    })
}

fn broken_arguments() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "{", "}", "[", "]", ":", ",", "\"x\"", "\"", "\\", "\\u", "\\ud800", "1", "-", "e", "tru", "null", " ", "é",
    ]);
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_text_makes_reading_panic(text in prop_oneof![broken_document(), damaged_document()], json in any::<bool>()) {
        let format = if json { Format::Json } else { Format::Yaml };
        let read = document::parse(&text, format);
        match Policy::parse(&text, format) {
            Ok(checked) => {
                prop_assert!(!checked.warnings.iter().any(Problem::is_error), "an error was let pass");
                prop_assert!(read.is_ok_and(|document| !document.problems.iter().any(Problem::is_error)), "the document is wrong");
            }
            Err(problems) => {
                prop_assert!(problems.iter().any(Problem::is_error), "refused for nothing");
                for problem in &problems {
                    prop_assert!(text.get(problem.span.clone()).is_some(), "{problem:?} is outside of the text");
                }
            }
        }
    }

    #[test]
    fn json_and_yaml_read_a_policy_alike(policy in worlds::policy()) {
        let text = policy.written();
        let versions = [Format::Json, Format::Yaml].map(|format| Policy::parse(&text, format).map(|checked| checked.policy.version().to_owned()));
        prop_assert_eq!(&versions[0], &versions[1]);
        prop_assert!(versions[0].is_ok());
    }

    #[test]
    fn no_arguments_make_judging_panic(policy in worlds::policy(), tool in worlds::tool(), arguments in broken_arguments()) {
        let policy = Policy::parse(&policy.written(), Format::Json).expect("a valid policy").policy;
        let call = Call { target: Target::Tool(tool), arguments: Some(&arguments), grant_label: "", client_name: Some("") };
        let verdict = policy.judge(&call);
        prop_assert_eq!(policy.explain(&call).verdict, verdict);
        let _ = (canonical_json(&arguments), argument_keys(&arguments));
    }

    #[test]
    fn any_name_can_be_judged(policy in worlds::policy(), name in any::<String>()) {
        let policy = Policy::parse(&policy.written(), Format::Json).expect("a valid policy").policy;
        let targets = [
            Target::Tool(&name),
            Target::Resource(&name),
            Target::Prompt(&name),
            Target::CompleteResource(&name),
            Target::CompletePrompt(&name),
            Target::Method(&name),
        ];
        for target in targets {
            let call = Call { target, arguments: None, grant_label: "a", client_name: None };
            prop_assert_eq!(policy.explain(&call).verdict, policy.judge(&call));
        }
    }
}

#[test]
fn documents_nested_very_deeply_are_refused() {
    for (open, close, format) in
        [("[", "]", Format::Json), ("{\"a\":", "}", Format::Json), ("[", "]", Format::Yaml), ("- ", "", Format::Yaml)]
    {
        let text = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let problems = Policy::parse(&text, format).expect_err("it is too deep");
        assert!(!problems.is_empty());
    }
}

#[test]
fn arguments_nested_very_deeply_are_judged() {
    let text = r#"{"version": "1", "default": "deny", "tools": {"t": {"deny_if": [{"conditions": [{"path": "args.x[*]", "op": "eq", "value": 1}]}]}}}"#;
    let policy = Policy::parse(text, Format::Json).expect("a valid policy").policy;
    let arguments = format!(r#"{{"x": {}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let call = Call { target: Target::Tool("t"), arguments: Some(&arguments), grant_label: "a", client_name: None };
    assert!(matches!(policy.judge(&call), policy::Verdict::Deny { .. }));
    assert!(canonical_json(&arguments).is_err());
}
