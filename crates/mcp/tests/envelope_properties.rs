//! What holds for every message: an independent reader agrees about the JSON, and nothing with duplicates passes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{HashMap, HashSet};

use mcp::envelope::{Bounds, list, member, read_reply, read_request, string, without_line_breaks};
use proptest::prelude::*;
use serde_json::value::RawValue;

/// A JSON value whose objects may repeat keys.
#[derive(Debug, Clone)]
enum Tree {
    Scalar(&'static str),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let scalars = prop::sample::select(vec!["null", "true", "false", "0", "-0.5e+7", "12345678901234567890123"]);
    let leaf = prop_oneof![scalars.prop_map(Tree::Scalar), text().prop_map(Tree::Text)];
    leaf.prop_recursive(6, 60, 6, |inner| {
        let member = (key(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Tree::List),
            prop::collection::vec(member, 0..5).prop_map(Tree::Map),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", any::<String>()]
}

/// Few enough keys that they repeat now and then.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-dA-B]{0,2}", 1 => Just("\u{1F600}".to_owned()), 1 => text()]
}

impl Tree {
    fn repeats_a_key(&self) -> bool {
        match self {
            Self::Scalar(_) | Self::Text(_) => false,
            Self::List(elements) => elements.iter().any(Self::repeats_a_key),
            Self::Map(members) => {
                let mut seen = HashSet::new();
                members.iter().any(|(key, value)| !seen.insert(key) || value.repeats_a_key())
            }
        }
    }

    /// The same without the repeated keys.
    fn without_repeats(self) -> Self {
        match self {
            Self::Scalar(_) | Self::Text(_) => self,
            Self::List(elements) => Self::List(elements.into_iter().map(Self::without_repeats).collect()),
            Self::Map(members) => {
                let mut seen = HashSet::new();
                let first = members.into_iter().filter(|(key, _)| seen.insert(key.clone()));
                Self::Map(first.map(|(key, value)| (key, value.without_repeats())).collect())
            }
        }
    }

    fn write(&self, out: &mut String, dice: &mut Dice) {
        dice.white_space(out);
        match self {
            Self::Scalar(scalar) => out.push_str(scalar),
            Self::Text(text) => write_text(text, out, dice),
            Self::List(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    element.write(out, dice);
                }
                dice.white_space(out);
                out.push(']');
            }
            Self::Map(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    dice.white_space(out);
                    write_text(key, out, dice);
                    dice.white_space(out);
                    out.push(':');
                    value.write(out, dice);
                }
                dice.white_space(out);
                out.push('}');
            }
        }
        dice.white_space(out);
    }
}

/// Writes a string, escaping what must be and now and then what need not.
fn write_text(text: &str, out: &mut String, dice: &mut Dice) {
    out.push('"');
    for character in text.chars() {
        let must = character < ' ' || character == '"' || character == '\\';
        if must || dice.roll(8) == 0 {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let upper = dice.roll(2) == 0;
                out.push_str(&if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
            }
        } else {
            out.push(character);
        }
    }
    out.push('"');
}

/// A small deterministic source of choices.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn white_space(&mut self, out: &mut String) {
        if self.roll(6) == 0 {
            out.push_str([" ", "\n", "\r\n", "\t", "  "].get(usize::try_from(self.roll(5)).unwrap()).unwrap());
        }
    }
}

fn written(tree: &Tree, seed: u64) -> String {
    let mut json = String::new();
    tree.write(&mut json, &mut Dice(seed));
    json.trim_matches([' ', '\n', '\r', '\t']).to_owned()
}

fn call(arguments: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"t","arguments":{arguments}}}}}"#)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_call_is_read_unless_a_key_repeats(members in prop::collection::vec((key(), tree()), 0..6), seed: u64) {
        let arguments = Tree::Map(members);
        let json = written(&arguments, seed);
        let message = call(&json);
        match read_request(message.as_bytes(), &Bounds::REQUEST) {
            Ok(read) => {
                prop_assert!(!arguments.repeats_a_key(), "{json}");
                prop_assert_eq!(read.params().unwrap().arguments, Some(json.as_str()));
                prop_assert_eq!(read.with_id("8"), message.replacen(":7,", ":8,", 1));
            }
            Err(rejected) => {
                prop_assert!(arguments.repeats_a_key(), "{}: {}", rejected, json);
                prop_assert!(rejected.message.starts_with("duplicate key"), "{}", rejected);
                prop_assert_eq!(rejected.id.as_deref(), Some("7"));
            }
        }
    }

    #[test]
    fn an_answer_is_read_whatever_it_repeats(tree in tree(), seed: u64) {
        let json = written(&tree, seed);
        let message = format!(r#"{{"jsonrpc":"2.0","id":"a","result":{json}}}"#);
        let read = read_reply(message.as_bytes(), &Bounds::REPLY).unwrap();
        prop_assert_eq!(member(read.raw(), "result"), Some(json.as_str()));
        let line = read.without_line_breaks();
        prop_assert!(!line.contains(['\n', '\r']));
        let told: &RawValue = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(told.get(), &*line);
    }

    #[test]
    fn strings_are_resolved_as_another_reader_resolves_them(text in any::<String>(), seed: u64) {
        let mut json = String::new();
        write_text(&text, &mut json, &mut Dice(seed));
        prop_assert_eq!(string(&json).unwrap(), text.as_str());
        let escaped = mcp::envelope::answer::escape(&text);
        prop_assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }

    #[test]
    fn damaged_messages_are_json_exactly_when_another_reader_says_so(
        tree in tree(),
        seed: u64,
        edits in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..4),
    ) {
        let mut message = call(&written(&Tree::Map(vec![("k".to_owned(), tree)]), seed)).into_bytes();
        for (index, (kind, byte)) in edits {
            let place = index.index(message.len());
            match kind {
                0 => *message.get_mut(place).unwrap() = byte,
                1 => message.insert(place, byte),
                _ => drop(message.remove(place)),
            }
        }
        let other = serde_json::from_slice::<&RawValue>(&message);
        match read_request(&message, &Bounds::REQUEST) {
            Err(rejected) if rejected.code == -32700 => {
                let stricter = rejected.message.contains("surrogate");
                prop_assert!(other.is_err() || stricter, "{}", rejected);
            }
            Err(rejected) => {
                let starts_otherwise = !message.trim_ascii_start().starts_with(b"{");
                prop_assert!(other.is_ok() || starts_otherwise, "{}", rejected);
            }
            Ok(read) => {
                let members: HashMap<String, &RawValue> = serde_json::from_slice(&message).unwrap();
                let method: String = serde_json::from_str(members.get("method").unwrap().get()).unwrap();
                prop_assert_eq!(read.method(), Some(method.as_str()));
                let params = members.get("params").map(|params| params.get());
                prop_assert_eq!(read.params().map(|params| params.raw), params);
            }
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read_request(&bytes, &Bounds::REQUEST).is_err());
        prop_assert!(read_reply(&bytes, &Bounds::REPLY).is_err());
    }

    #[test]
    fn a_filtered_list_keeps_the_bytes_of_what_stays(
        tools in prop::collection::vec((any::<bool>(), "[a-z]{1,3}", tree()), 0..8),
        seed: u64,
    ) {
        let mut dice = Dice(seed);
        let elements: Vec<(bool, String)> = tools
            .into_iter()
            .map(|(keep, name, more)| {
                let name = format!("{name}{}", if keep { "+" } else { "-" });
                let tool = Tree::Map(vec![("more".to_owned(), more.without_repeats()), ("name".to_owned(), Tree::Text(name))]);
                let mut json = String::new();
                tool.write(&mut json, &mut dice);
                (keep, json)
            })
            .collect();
        let result = |all: bool| {
            let kept: Vec<&str> =
                elements.iter().filter(|(keep, _)| all || *keep).map(|(_, json)| json.as_str()).collect();
            format!("{{ \"x\":1, \"tools\" : [{}] ,\"nextCursor\":\"c\"}}", kept.join(","))
        };
        let filtered = list::filter(&result(true), "tools", "name", |name| name.ends_with('+')).unwrap().into_owned();
        prop_assert_eq!(&filtered, &result(false));
        let (names, cursor) = list::names(&filtered, "tools", "name").unwrap();
        prop_assert!(names.iter().all(|name| name.ends_with('+')));
        prop_assert_eq!(names.len(), elements.iter().filter(|(keep, _)| *keep).count());
        prop_assert_eq!(cursor.as_deref(), Some("c"));
    }

    #[test]
    fn line_breaks_go_and_nothing_else(tree in tree(), seed: u64) {
        let json = written(&tree, seed);
        let line = without_line_breaks(&json);
        prop_assert_eq!(&*line, json.replace(['\n', '\r'], ""));
    }
}

/// Replace, insert or remove, with a byte that means something in JSON.
fn damage() -> impl Strategy<Value = (u8, u8)> {
    (0..3u8, prop::sample::select(b"{}[]:,\"\\ \n\t0123456789.-+eEtrufalsn\x00\x1f\x7f\xc3\xa9/".to_vec()))
}
