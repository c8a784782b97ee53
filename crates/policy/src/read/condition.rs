//! Reads conditions.

use regex::{Regex, RegexBuilder};

use super::reader::{Reader, cut, shown};
use super::suggest;
use crate::condition::{Bound, Condition, Needle, Operator, Scalar, Test};
use crate::decimal::Decimal;
use crate::document::{Node, NodeKind, Pointer};
use crate::path::{Ground, Path};

const FIELDS: [&str; 3] = ["path", "op", "value"];
/// How much memory a compiled regex may take, in bytes.
const LARGEST_REGEX: usize = 1024 * 1024;

impl Reader<'_> {
    /// A condition; none, after a problem, if it cannot be read.
    pub(super) fn condition(&mut self, node: &Node, at: &Pointer, ground: Ground) -> Option<Condition> {
        let help = "write `{ \"path\": \"args.name\", \"op\": \"eq\", \"value\": \"…\" }`";
        let entries = self.entries(node, at, "a condition", help)?;
        let mut path = None;
        for entry in entries {
            let at = at.key(&entry.key);
            match entry.key.as_str() {
                "path" => path = self.path(&entry.value, &at, ground),
                // Read together, below.
                "op" | "value" => {}
                _ => self.unknown_field(entry, &at, "a condition", &FIELDS),
            }
        }
        self.missing(
            node,
            at,
            "path",
            "the condition",
            "add the place to look at, such as `\"path\": \"args.amount\"`",
        );
        self.missing(node, at, "op", "the condition", "add an operator, such as `\"op\": \"eq\"`");
        self.missing(
            node,
            at,
            "value",
            "the condition",
            "add `\"value\"`; every operator needs one, `exists` too (`true` or `false`)",
        );
        let operator = node.get("op").and_then(|op| self.operator(op, &at.key("op")));
        let test =
            operator.zip(node.get("value")).and_then(|(operator, value)| self.test(operator, value, &at.key("value")));
        let ((written, path), operator, test) = (path?, operator?, test?);
        Some(Condition { written, path, operator, test })
    }

    fn path(&mut self, node: &Node, at: &Pointer, ground: Ground) -> Option<(String, Path)> {
        let text = self.text(node, at, "path")?;
        match Path::parse(text, ground) {
            Ok(path) => Some((text.to_owned(), path)),
            Err(bad) => {
                self.error(at, node.span.clone(), bad.message, bad.help);
                None
            }
        }
    }

    fn operator(&mut self, node: &Node, at: &Pointer) -> Option<Operator> {
        let text = self.text(node, at, "op")?;
        let operator = Operator::parse(text);
        if operator.is_none() {
            let known = Operator::ALL.map(Operator::as_str);
            let help = match suggest::word(text, &known) {
                Some("regex") if text.to_lowercase().starts_with("starts") => {
                    "write `regex` with a value that begins with `^`".to_owned()
                }
                Some("regex") if text.to_lowercase().starts_with("ends") => {
                    "write `regex` with a value that ends in `$`".to_owned()
                }
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("write {}", suggest::listed(&known)),
            };
            self.error(at, node.span.clone(), format!("there is no operator `{}`", cut(text)), help);
        }
        operator
    }

    fn test(&mut self, operator: Operator, value: &Node, at: &Pointer) -> Option<Test> {
        let mut order = |bound| self.number(operator, value, at).map(|number| Test::Order(bound, number));
        match operator {
            Operator::Lt => order(Bound::Below),
            Operator::Lte => order(Bound::AtMost),
            Operator::Gt => order(Bound::Above),
            Operator::Gte => order(Bound::AtLeast),
            Operator::Eq => self.scalar(operator, value, at).map(|scalar| Test::Equal(scalar, true)),
            Operator::Neq => self.scalar(operator, value, at).map(|scalar| Test::Equal(scalar, false)),
            Operator::Contains => {
                self.scalar(operator, value, at).map(|scalar| Test::Contains(Box::new(Needle::new(scalar))))
            }
            Operator::In => self.scalars(operator, value, at).map(|scalars| Test::Member(scalars, true)),
            Operator::NotIn => self.scalars(operator, value, at).map(|scalars| Test::Member(scalars, false)),
            Operator::Regex => self.regex(value, at).map(Test::Matches),
            Operator::Exists => self.truth(value, at).map(Test::Exists),
        }
    }

    fn scalar(&mut self, operator: Operator, value: &Node, at: &Pointer) -> Option<Scalar> {
        match &value.kind {
            NodeKind::Null => Some(Scalar::Null),
            NodeKind::Bool(value) => Some(Scalar::Bool(*value)),
            NodeKind::String(text) => Some(Scalar::Text(text.clone())),
            NodeKind::Number(text) => self.exact(text, value, at).map(Scalar::Number),
            NodeKind::List(_) | NodeKind::Map(_) => {
                let name = operator.as_str();
                let message = format!(
                    "`{name}` compares with a string, a number, true, false or null, not with {}",
                    value.kind_name()
                );
                let help = match (operator, &value.kind) {
                    (Operator::Eq, NodeKind::List(_)) => "use `in` to allow several values",
                    (Operator::Neq, NodeKind::List(_)) => "use `not_in` to exclude several values",
                    (Operator::Contains, NodeKind::List(_)) => "write one condition or entry for each value",
                    _ => "compare with one value, and use a longer path to reach into objects",
                };
                self.error(at, value.span.clone(), message, help);
                None
            }
        }
    }

    fn scalars(&mut self, operator: Operator, value: &Node, at: &Pointer) -> Option<Vec<Scalar>> {
        let name = operator.as_str();
        match value.as_list() {
            None => {
                let message = format!("`{name}` needs a list, not {}", value.kind_name());
                self.error(at, value.span.clone(), message, "put the value in brackets: `[ … ]`");
                None
            }
            Some([]) => {
                let message = format!("`{name}` needs a list with something in it");
                self.error(at, value.span.clone(), message, "write at least one value, or remove the condition");
                None
            }
            Some(members) => {
                let read: Vec<Option<Scalar>> = members
                    .iter()
                    .enumerate()
                    .map(|(index, member)| self.scalar(operator, member, &at.index(index)))
                    .collect();
                read.into_iter().collect()
            }
        }
    }

    fn number(&mut self, operator: Operator, value: &Node, at: &Pointer) -> Option<Decimal> {
        if let NodeKind::Number(text) = &value.kind {
            return self.exact(text, value, at);
        }
        let message = format!("`{}` needs a number, not {}", operator.as_str(), value.kind_name());
        let help = match value.as_str() {
            Some(text) if Decimal::parse(text).is_ok() => format!("remove the quotes: `{text}`"),
            _ => "write a number".to_owned(),
        };
        self.error(at, value.span.clone(), message, help);
        None
    }

    /// A number that can be held exactly.
    pub(super) fn exact(&mut self, text: &str, value: &Node, at: &Pointer) -> Option<Decimal> {
        match Decimal::parse(text) {
            Ok(number) => Some(number),
            Err(why) => {
                let message = format!("the number `{}` cannot be held exactly: it has {why}", cut(text));
                self.error(
                    at,
                    value.span.clone(),
                    message,
                    "write a number with at most 34 significant digits and an exponent within ±400",
                );
                None
            }
        }
    }

    fn regex(&mut self, value: &Node, at: &Pointer) -> Option<Regex> {
        let Some(text) = value.as_str() else {
            let message = format!("`regex` needs a string, not {}", shown(value));
            self.error(at, value.span.clone(), message, "write the expression in quotes");
            return None;
        };
        let compiled = RegexBuilder::new(text).size_limit(LARGEST_REGEX).build();
        compiled.map_err(|error| {
            let message = format!("the regex `{}` does not compile: {}", cut(text), reason(&error));
            let help = if text.contains("(?=") || text.contains("(?!") || text.contains("(?<") {
                "look-around takes more than linear time; say it with several conditions instead"
            } else {
                "correct it; back-references and look-around are not supported, because they take more than linear time"
            };
            self.error(at, value.span.clone(), message, help);
        }).ok()
    }

    fn truth(&mut self, value: &Node, at: &Pointer) -> Option<bool> {
        if let NodeKind::Bool(truth) = value.kind {
            return Some(truth);
        }
        let message = format!("`exists` needs true or false, not {}", shown(value));
        self.error(at, value.span.clone(), message, "write `true` or `false`, without quotes");
        None
    }
}

/// The last line of what the regex library says, which is the reason.
fn reason(error: &regex::Error) -> String {
    let whole = error.to_string();
    let last = whole.lines().last().unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}
