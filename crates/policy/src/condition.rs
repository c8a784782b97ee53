//! Conditions: what one value must be, in three-valued logic.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem::Finder;
use regex::Regex;

use crate::arguments::{Arguments, Place, Stepped, Value, members};
use crate::decimal::{Decimal, NotExact};
use crate::path::{Path, Step};

/// One condition of an entry.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// The path as the document writes it.
    pub(crate) written: String,
    pub(crate) path: Path,
    pub(crate) operator: Operator,
    pub(crate) test: Test,
}

/// The operators of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Neq,
    In,
    NotIn,
    Lt,
    Lte,
    Gt,
    Gte,
    Regex,
    Contains,
    Exists,
}

impl Operator {
    pub(crate) const ALL: [Self; 11] = [
        Self::Eq,
        Self::Neq,
        Self::In,
        Self::NotIn,
        Self::Lt,
        Self::Lte,
        Self::Gt,
        Self::Gte,
        Self::Regex,
        Self::Contains,
        Self::Exists,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Neq => "neq",
            Self::In => "in",
            Self::NotIn => "not_in",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Regex => "regex",
            Self::Contains => "contains",
            Self::Exists => "exists",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.as_str() == text)
    }
}

/// What a value is tested for.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    /// Equal, or with `false` not equal, to a scalar.
    Equal(Scalar, bool),
    /// Equal to one, or with `false` to none, of several scalars.
    Member(Vec<Scalar>, bool),
    Order(Bound, Decimal),
    Matches(Regex),
    Contains(Box<Needle>),
    Exists(bool),
}

/// What a string or an array may contain.
#[derive(Debug, Clone)]
pub(crate) struct Needle {
    pub(crate) scalar: Scalar,
    /// Ready to search text, if the scalar is text.
    finder: Option<Finder<'static>>,
}

impl Needle {
    pub(crate) fn new(scalar: Scalar) -> Self {
        let finder = match &scalar {
            Scalar::Text(text) => Some(Finder::new(text).into_owned()),
            Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) => None,
        };
        Self { scalar, finder }
    }
}

/// On which side of a number a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// A value that is neither a list nor an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(String),
}

/// What came of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    True,
    False,
    /// Nothing is there to be judged; as good as false.
    Absent,
    /// It cannot be told whether it is true.
    Undetermined(Doubt),
}

/// Why a condition cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The value is of a kind that the operator cannot judge, or cannot compare.
    Kind(&'static str),
    /// The value is an array with such a member.
    MemberKind(&'static str),
    /// A key differs from the path only in case.
    OtherCase,
    /// The path steps into something that is not an object or array.
    Blocked,
    Inexact(NotExact),
    /// The arguments are not JSON.
    Broken,
}

impl fmt::Display for Doubt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(out, "it is {kind}, which cannot be judged here"),
            Self::MemberKind(kind) => {
                write!(out, "it contains {kind}, which cannot be judged here")
            }
            Self::OtherCase => out.write_str("a key differs from it only in upper and lower case"),
            Self::Blocked => out.write_str("the path leads into something that is not an object or array"),
            Self::Inexact(why) => write!(out, "its value has {why}"),
            Self::Broken => out.write_str("the arguments cannot be read"),
        }
    }
}

impl Doubt {
    const fn of_member(self) -> Self {
        match self {
            Self::Kind(kind) => Self::MemberKind(kind),
            Self::MemberKind(_) | Self::OtherCase | Self::Blocked | Self::Inexact(_) | Self::Broken => self,
        }
    }
}

/// How the outcomes for several elements become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    /// True only if it is true for every element.
    All,
    /// True if it is true for one element.
    Any,
}

/// What conditions are judged on.
pub(crate) struct Facts<'a> {
    pub(crate) arguments: Arguments<'a>,
    pub(crate) grant_label: &'a str,
    pub(crate) client_name: Option<&'a str>,
    pub(crate) uri: Option<&'a str>,
}

/// What is found at the end of a path.
enum Found<'a> {
    Value(Value<'a>),
    Absent,
    Blocked,
    Doubtful(Doubt),
}

impl<'a> Found<'a> {
    fn text(text: Option<&'a str>) -> Self {
        text.map_or(Found::Absent, |text| Found::Value(Value::Text(text)))
    }
}

impl Facts<'_> {
    pub(crate) fn judge(&mut self, condition: &Condition, quantifier: Quantifier) -> Outcome {
        let test = |found: Found<'_>| condition.test.apply(&found);
        match &condition.path {
            Path::GrantLabel => condition.test.apply(&Found::text(Some(self.grant_label))),
            Path::ClientName => condition.test.apply(&Found::text(self.client_name)),
            Path::Uri => condition.test.apply(&Found::text(self.uri)),
            Path::Arguments(steps) => match self.arguments.root() {
                Some(root) => walk(&mut self.arguments, root, steps, quantifier, &test),
                None => test(Found::Absent),
            },
        }
    }

    /// The number that a cost path leads to.
    pub(crate) fn cost(&mut self, steps: &[Step]) -> Result<Decimal, Outcome> {
        let Some(mut place) = self.arguments.root() else {
            return Err(Outcome::Absent);
        };
        for step in steps {
            place = match take_step(&mut self.arguments, place, step) {
                Stepped::To(next) => next,
                Stepped::Absent => return Err(Outcome::Absent),
                Stepped::Blocked => return Err(Outcome::Undetermined(Doubt::Blocked)),
                Stepped::OtherCase => return Err(Outcome::Undetermined(Doubt::OtherCase)),
                Stepped::Broken => return Err(Outcome::Undetermined(Doubt::Broken)),
            };
        }
        let value = self.arguments.value(place);
        match value.number() {
            Some(Ok(number)) if number.is_negative() => Err(Outcome::False),
            Some(Ok(number)) => Ok(number),
            Some(Err(why)) => Err(Outcome::Undetermined(Doubt::Inexact(why))),
            None => Err(Outcome::Undetermined(Doubt::Kind(value.kind_name()))),
        }
    }
}

fn take_step(arguments: &mut Arguments<'_>, place: Place, step: &Step) -> Stepped {
    match step {
        Step::Key(key) => arguments.key(place, key),
        Step::Index(index) => arguments.index(place, *index),
        // Only conditions have this step, and they walk it themselves.
        Step::Every => Stepped::Blocked,
    }
}

/// Follows a path, into every element where it says so. Recursion is bounded by the number of steps of a path.
fn walk(
    arguments: &mut Arguments<'_>,
    place: Place,
    steps: &[Step],
    quantifier: Quantifier,
    test: &impl Fn(Found<'_>) -> Outcome,
) -> Outcome {
    let Some((step, rest)) = steps.split_first() else {
        return test(Found::Value(arguments.value(place)));
    };
    let stepped = if matches!(step, Step::Every) {
        match arguments.elements(place) {
            Ok(elements) => return walk_every(arguments, elements, rest, quantifier, test),
            Err(stepped) => stepped,
        }
    } else {
        take_step(arguments, place, step)
    };
    match stepped {
        Stepped::To(next) => walk(arguments, next, rest, quantifier, test),
        Stepped::Absent => test(Found::Absent),
        Stepped::Blocked => test(Found::Blocked),
        Stepped::OtherCase => test(Found::Doubtful(Doubt::OtherCase)),
        Stepped::Broken => test(Found::Doubtful(Doubt::Broken)),
    }
}

fn walk_every(
    arguments: &mut Arguments<'_>,
    elements: impl Iterator<Item = Place>,
    rest: &[Step],
    quantifier: Quantifier,
    test: &impl Fn(Found<'_>) -> Outcome,
) -> Outcome {
    let mut so_far: Option<Outcome> = None;
    for element in elements {
        let outcome = walk(arguments, element, rest, quantifier, test);
        match (quantifier, outcome) {
            (Quantifier::Any, Outcome::True) | (Quantifier::All, Outcome::False | Outcome::Absent) => return outcome,
            (_, Outcome::Undetermined(_)) => so_far = Some(outcome),
            (Quantifier::Any, Outcome::False | Outcome::Absent) | (Quantifier::All, Outcome::True) => {
                so_far = so_far.or(Some(outcome));
            }
        }
    }
    // An empty array counts as absent.
    so_far.unwrap_or_else(|| test(Found::Absent))
}

impl Test {
    fn apply(&self, found: &Found<'_>) -> Outcome {
        let value = match (found, self) {
            (Found::Doubtful(doubt), _) => return Outcome::Undetermined(*doubt),
            (Found::Value(_), Self::Exists(expected)) => return Outcome::of(*expected),
            (Found::Absent | Found::Blocked, Self::Exists(true)) => return Outcome::Absent,
            (Found::Absent | Found::Blocked, Self::Exists(false)) => return Outcome::True,
            (Found::Absent, _) => return Outcome::Absent,
            (Found::Blocked, _) => return Outcome::Undetermined(Doubt::Blocked),
            (Found::Value(value), _) => value,
        };
        match self {
            Self::Equal(scalar, expected) => scalar.equals(value).expecting(*expected),
            Self::Member(scalars, expected) => any_equal(scalars, value).expecting(*expected),
            Self::Order(bound, number) => match value.number() {
                Some(Ok(found)) => Outcome::of(bound.admits(&found, number)),
                Some(Err(why)) => Outcome::Undetermined(Doubt::Inexact(why)),
                None => Outcome::Undetermined(Doubt::Kind(value.kind_name())),
            },
            Self::Matches(regex) => match text_of(value) {
                Some(text) => Outcome::of(regex.is_match(&text)),
                None => Outcome::Undetermined(Doubt::Kind(value.kind_name())),
            },
            Self::Contains(needle) => contains(value, needle),
            Self::Exists(_) => Outcome::True,
        }
    }
}

impl Outcome {
    const fn of(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }

    /// The outcome itself, or its opposite; what is undetermined stays so.
    const fn expecting(self, expected: bool) -> Self {
        match self {
            Self::True => Self::of(expected),
            Self::False => Self::of(!expected),
            Self::Absent | Self::Undetermined(_) => self,
        }
    }
}

impl Bound {
    fn admits(self, found: &Decimal, number: &Decimal) -> bool {
        match self {
            Self::Below => found < number,
            Self::AtMost => found <= number,
            Self::Above => found > number,
            Self::AtLeast => found >= number,
        }
    }
}

impl Scalar {
    fn equals(&self, value: &Value<'_>) -> Outcome {
        match (self, value) {
            (Self::Null, Value::Null) => Outcome::True,
            (Self::Bool(mine), Value::Bool(found)) => Outcome::of(mine == found),
            (Self::Number(mine), Value::Number(text)) => match Decimal::parse(text) {
                Ok(found) => Outcome::of(*mine == found),
                Err(why) => Outcome::Undetermined(Doubt::Inexact(why)),
            },
            (Self::Text(mine), Value::Raw(found)) => Outcome::of(found.is(mine)),
            (Self::Text(mine), Value::Text(found)) => Outcome::of(mine == found),
            (_, Value::Broken) => Outcome::Undetermined(Doubt::Broken),
            (Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_), other) => {
                Outcome::Undetermined(Doubt::Kind(other.kind_name()))
            }
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Number(number) => write!(out, "{number}"),
            Self::Text(text) => write!(out, "{text:?}"),
        }
    }
}

fn any_equal(scalars: &[Scalar], value: &Value<'_>) -> Outcome {
    let mut result = Outcome::False;
    for scalar in scalars {
        match scalar.equals(value) {
            Outcome::True => return Outcome::True,
            Outcome::Undetermined(doubt) => result = Outcome::Undetermined(doubt),
            Outcome::False | Outcome::Absent => {}
        }
    }
    result
}

fn contains(value: &Value<'_>, needle: &Needle) -> Outcome {
    if let Value::List(list) = value {
        return contains_member(list, &needle.scalar);
    }
    match (&needle.finder, text_of(value)) {
        (Some(finder), Some(text)) => Outcome::of(finder.find(text.as_bytes()).is_some()),
        (None, _) | (_, None) => Outcome::Undetermined(Doubt::Kind(value.kind_name())),
    }
}

fn contains_member(list: &str, scalar: &Scalar) -> Outcome {
    let mut result = Outcome::False;
    let complete = members(list, |member| match scalar.equals(&member) {
        Outcome::True => result = Outcome::True,
        Outcome::Undetermined(doubt) if result != Outcome::True => result = Outcome::Undetermined(doubt.of_member()),
        Outcome::False | Outcome::Absent | Outcome::Undetermined(_) => {}
    });
    if complete.is_some() { result } else { Outcome::Undetermined(Doubt::Broken) }
}

fn text_of<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    match value {
        Value::Raw(text) => Some(text.resolved()),
        Value::Text(text) => Some((*text).into()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Object | Value::Broken => None,
    }
}
