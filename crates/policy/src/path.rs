//! Paths: where a condition or a cost looks.

use crate::raw_text::FoldedHash;

/// How many steps a path may have.
const MAX_STEPS: usize = 64;

/// Where to look.
#[derive(Debug, Clone)]
pub(crate) enum Path {
    /// In the arguments, step by step.
    Arguments(Vec<Step>),
    /// At the label of the grant.
    GrantLabel,
    /// At what the client calls itself.
    ClientName,
    /// At the URI of the resource.
    Uri,
}

/// One step into the arguments.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The value of this key.
    Key(Key),
    /// The member at this place.
    Index(usize),
    /// Every member.
    Every,
}

/// A key of a path, ready to be looked for.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) hash: FoldedHash,
}

/// What kind of rule a path stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    Tools,
    Resources,
    Prompts,
}

/// Why a text is no path, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadPath {
    pub(crate) message: String,
    pub(crate) help: String,
}

impl BadPath {
    fn new(text: &str, why: &str, help: &str) -> Self {
        Self { message: format!("`{text}` is not a path: {why}"), help: help.to_owned() }
    }
}

impl Path {
    /// Reads the path of a condition.
    pub(crate) fn parse(text: &str, ground: Ground) -> Result<Self, BadPath> {
        match text {
            "grant.label" => Ok(Self::GrantLabel),
            "client.name" => Ok(Self::ClientName),
            "uri" if ground == Ground::Resources => Ok(Self::Uri),
            "uri" => Err(BadPath::new(
                text,
                "only rules for resources have a `uri`",
                "use a path in the arguments, such as `args.uri`",
            )),
            "tool.category" if ground == Ground::Tools => Err(BadPath {
                message: "`tool.category` needs the registry, which is not there yet".to_owned(),
                help: "name the tools instead, by exact names or patterns".to_owned(),
            }),
            _ => arguments(text, ground).map(Self::Arguments),
        }
    }

    /// Reads the path of a cost: one number in the arguments.
    pub(crate) fn parse_cost(text: &str) -> Result<Vec<Step>, BadPath> {
        let outside = !text.starts_with("args.");
        if outside {
            return Err(BadPath::new(
                text,
                "a cost is a number in the arguments",
                &format!("begin with `args.`, for example `args.{}`", last_name(text)),
            ));
        }
        let steps = arguments(text, Ground::Tools)?;
        if steps.iter().any(|step| matches!(step, Step::Every)) {
            return Err(BadPath::new(
                text,
                "a cost is one number, and `[*]` stands for many",
                "name one element, such as `[0]`",
            ));
        }
        Ok(steps)
    }
}

fn arguments(text: &str, ground: Ground) -> Result<Vec<Step>, BadPath> {
    let Some(rest) = text.strip_prefix("args.") else {
        return Err(wrong_beginning(text, ground));
    };
    let mut steps = Vec::new();
    for part in rest.split('.') {
        let (name, places) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.is_empty() {
            return Err(BadPath::new(text, "a step is empty", "write a name between the dots"));
        }
        if name.contains(['*', ']']) {
            return Err(BadPath::new(
                text,
                &format!("`{name}` has a character that a step cannot have"),
                "write array steps as `[*]` or `[0]` after a name",
            ));
        }
        steps.push(Step::Key(Key { text: name.to_owned(), hash: FoldedHash::of(name) }));
        array_steps(text, places, &mut steps)?;
    }
    if steps.len() > MAX_STEPS {
        return Err(BadPath::new(text, &format!("it has more than {MAX_STEPS} steps"), "use a shorter path"));
    }
    Ok(steps)
}

fn array_steps(text: &str, mut places: &str, steps: &mut Vec<Step>) -> Result<(), BadPath> {
    while !places.is_empty() {
        let inside = places.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let Some((place, rest)) = inside else {
            return Err(BadPath::new(
                text,
                "an array step is not complete",
                "write array steps as `[*]` or `[0]`, and a dot before the next name",
            ));
        };
        let digits = !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_digit());
        if place == "*" {
            steps.push(Step::Every);
        } else if digits && (place == "0" || !place.starts_with('0')) {
            // An index too large for this machine is beyond the end of every array.
            steps.push(Step::Index(place.parse().unwrap_or(usize::MAX)));
        } else {
            return Err(BadPath::new(
                text,
                &format!("`[{place}]` is no array step"),
                "write `[*]` for every element, or `[0]`, `[1]`, … for one",
            ));
        }
        places = rest;
    }
    Ok(())
}

fn wrong_beginning(text: &str, ground: Ground) -> BadPath {
    let others = match ground {
        Ground::Tools | Ground::Prompts => "`grant.label` or `client.name`",
        Ground::Resources => "`uri`, `grant.label` or `client.name`",
    };
    let why = format!("a path begins with `args.`, or is {others}");
    let help = if text == "args" {
        "add the name of an argument, such as `args.amount`".to_owned()
    } else {
        format!("for an argument write `args.{}`", last_name(text))
    };
    BadPath::new(text, &why, &help)
}

/// What a path that does not begin with `args.` probably means to name.
fn last_name(text: &str) -> &str {
    let rest = ["arguments.", "argument.", "arg.", "params.", "$.", "args."]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix));
    rest.filter(|rest| !rest.is_empty()).unwrap_or(if text.is_empty() { "amount" } else { text })
}
