//! Conditions: what one value must be, in three-valued logic.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem::Finder;
use regex::Regex;

use crate::arguments::{Arguments, Kind, Place, Stepped, Value, Values};
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

    fn is_in(&self, value: &Value<'_>) -> Outcome {
        if let Value::List(values, place) = value {
            return self.is_member(*values, *place);
        }
        match (&self.finder, text_of(value)) {
            (Some(finder), Some(text)) => Outcome::of(finder.find(text.as_bytes()).is_some()),
            (None, _) | (_, None) => Outcome::Undetermined(Doubt::Kind(value.kind())),
        }
    }

    fn is_member(&self, values: Values<'_>, list: Place) -> Outcome {
        let mut result = Outcome::False;
        for member in values.elements(list).into_iter().flatten() {
            match self.scalar.equals(&values.value(member)) {
                Outcome::True => return Outcome::True,
                Outcome::Undetermined(doubt) => result = Outcome::Undetermined(doubt.of_member()),
                Outcome::False | Outcome::Absent => {}
            }
        }
        result
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
    Kind(Kind),
    /// The value is an array with such a member.
    MemberKind(Kind),
    /// A key differs from the path only in case.
    OtherCase,
    /// The path steps into something that is not an object or array.
    Blocked,
    Inexact(NotExact),
    /// The arguments are not JSON, or have too many values.
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
            Self::Broken => out.write_str("the arguments cannot be read, or have too many values"),
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
}

impl<'a> Found<'a> {
    fn text(text: Option<&'a str>) -> Self {
        text.map_or(Found::Absent, |text| Found::Value(Value::Text(text)))
    }
}

impl Facts<'_> {
    pub(crate) fn judge(&self, condition: &Condition, quantifier: Quantifier) -> Outcome {
        let test = &condition.test;
        match &condition.path {
            Path::GrantLabel => test.apply(&Found::text(Some(self.grant_label))),
            Path::ClientName => test.apply(&Found::text(self.client_name)),
            Path::Uri => test.apply(&Found::text(self.uri)),
            Path::Arguments(steps) => match self.arguments.values() {
                Ok(values) => Walk { values, quantifier, test }.on(Stepped::To(Values::ROOT), steps),
                Err(stepped) => test.apply_at(stepped),
            },
        }
    }

    /// The number that a cost path leads to.
    pub(crate) fn cost(&self, steps: &[Step]) -> Result<Decimal, Outcome> {
        let found = self.arguments.values().and_then(|values| {
            let place = steps.iter().try_fold(Values::ROOT, |place, step| take(values, place, step).place())?;
            Ok(values.value(place))
        });
        let value = match found {
            Ok(value) => value,
            Err(Stepped::To(_) | Stepped::Absent) => return Err(Outcome::Absent),
            Err(Stepped::Blocked) => return Err(Outcome::Undetermined(Doubt::Blocked)),
            Err(Stepped::OtherCase) => return Err(Outcome::Undetermined(Doubt::OtherCase)),
            Err(Stepped::Broken) => return Err(Outcome::Undetermined(Doubt::Broken)),
        };
        match value.number() {
            Some(Ok(number)) if number.is_negative() => Err(Outcome::False),
            Some(Ok(number)) => Ok(number),
            Some(Err(why)) => Err(Outcome::Undetermined(Doubt::Inexact(why))),
            None => Err(Outcome::Undetermined(Doubt::Kind(value.kind()))),
        }
    }
}

fn take(values: Values<'_>, place: Place, step: &Step) -> Stepped {
    match step {
        Step::Key(key) => values.key(place, key),
        Step::Index(index) => values.index(place, *index),
        // Only conditions have this step, and they walk it themselves.
        Step::Every => Stepped::Blocked,
    }
}

/// Follows a path to what is tested, into every element where the path says so.
#[derive(Clone, Copy)]
struct Walk<'v, 't> {
    values: Values<'v>,
    quantifier: Quantifier,
    test: &'t Test,
}

impl Walk<'_, '_> {
    /// Goes on from here. Recursion is bounded by the number of steps of a path.
    fn on(self, mut stepped: Stepped, mut steps: &[Step]) -> Outcome {
        while let Stepped::To(place) = stepped {
            match steps.split_first() {
                None => return self.test.apply(&Found::Value(self.values.value(place))),
                Some((Step::Every, rest)) => return self.every(place, rest),
                Some((step, rest)) => (stepped, steps) = (take(self.values, place, step), rest),
            }
        }
        self.test.apply_at(stepped)
    }

    fn every(self, place: Place, rest: &[Step]) -> Outcome {
        let Some(elements) = self.values.elements(place) else {
            return self.test.apply(&Found::Blocked);
        };
        let mut so_far: Option<Outcome> = None;
        for element in elements {
            let outcome = self.on(Stepped::To(element), rest);
            match (self.quantifier, outcome) {
                (Quantifier::Any, Outcome::True) | (Quantifier::All, Outcome::False | Outcome::Absent) => {
                    return outcome;
                }
                (_, Outcome::Undetermined(_)) => so_far = Some(outcome),
                (Quantifier::Any, Outcome::False | Outcome::Absent) | (Quantifier::All, Outcome::True) => {
                    so_far = so_far.or(Some(outcome));
                }
            }
        }
        // An empty array counts as absent.
        so_far.unwrap_or_else(|| self.test.apply(&Found::Absent))
    }
}

impl Test {
    /// What comes of it where a path does not lead to a value.
    fn apply_at(&self, stepped: Stepped) -> Outcome {
        match stepped {
            Stepped::To(_) | Stepped::Absent => self.apply(&Found::Absent),
            Stepped::Blocked => self.apply(&Found::Blocked),
            Stepped::OtherCase => Outcome::Undetermined(Doubt::OtherCase),
            Stepped::Broken => Outcome::Undetermined(Doubt::Broken),
        }
    }

    fn apply(&self, found: &Found<'_>) -> Outcome {
        let value = match (found, self) {
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
                None => Outcome::Undetermined(Doubt::Kind(value.kind())),
            },
            Self::Matches(regex) => match text_of(value) {
                Some(text) => Outcome::of(regex.is_match(&text)),
                None => Outcome::Undetermined(Doubt::Kind(value.kind())),
            },
            Self::Contains(needle) => needle.is_in(value),
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
                Outcome::Undetermined(Doubt::Kind(other.kind()))
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

fn text_of<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    match value {
        Value::Raw(text) => Some(text.resolved()),
        Value::Text(text) => Some((*text).into()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(..) | Value::Object | Value::Broken => None,
    }
}
