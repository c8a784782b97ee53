//! Reads limits, and compares those that share a counter.

use std::ops::Range;

use super::duration::{self, BadDuration};
use super::reader::{Reader, cut, shown};
use crate::decimal::Decimal;
use crate::document::{Entry as Field, Node, NodeKind, Pointer};
use crate::limits::{Window, WindowKind};
use crate::model::{Cost, Count, Counter, Limit, Scope};
use crate::path::Path;

const FIELDS: [&str; 8] = ["counter", "window", "max", "kind", "scope", "cost", "count", "on_deny"];
const RATE_FIELDS: [&str; 2] = ["max", "window"];
/// The parts of a document in which limits stand, in the order in which they count as later.
const SECTIONS: [&str; 4] = ["/tools/", "/resources/", "/prompts/", "/all_tools/"];

/// Where a limit names its counter, window and kind.
#[derive(Debug)]
pub(super) struct Site {
    limit: Pointer,
    span: Range<usize>,
    window: (Window, Range<usize>),
    kind: WindowKind,
    kind_span: Option<Range<usize>>,
}

/// What has been read of a limit.
#[derive(Default)]
struct Draft {
    counter: Option<String>,
    window: Option<(Window, Range<usize>)>,
    max: Option<Decimal>,
    kind: Option<(WindowKind, Range<usize>)>,
    scope: Option<Scope>,
    cost: Option<Cost>,
    count: Option<Count>,
    on_deny: Option<String>,
    failed: bool,
}

impl Draft {
    fn finish(self, at: &Pointer) -> Option<Limit> {
        Some(Limit {
            rule: at.as_str().to_owned(),
            scope: self.scope.unwrap_or(Scope::Grant),
            window: self.window?.0,
            kind: self.kind.map_or(WindowKind::Fixed, |(kind, _)| kind),
            max: self.max?,
            count: self.count.unwrap_or(Count::Sent),
            on_deny: self.on_deny,
            counter: Counter::Named(self.counter?),
            cost: self.cost.unwrap_or(Cost::One),
        })
    }
}

impl Reader<'_> {
    pub(super) fn limits(&mut self, node: &Node, at: &Pointer) -> Vec<Limit> {
        let mut limits = Vec::new();
        for (index, member) in self.list(node, at, "limits", "limits").iter().enumerate() {
            limits.extend(self.limit(member, &at.index(index)));
        }
        limits
    }

    fn limit(&mut self, node: &Node, at: &Pointer) -> Option<Limit> {
        let help = "write `{ \"counter\": \"name\", \"window\": \"minute\", \"max\": 10 }`";
        let mut draft = Draft::default();
        for field in self.entries(node, at, "a limit", help)? {
            self.limit_field(field, &at.key(&field.key), &mut draft);
        }
        self.missing(node, at, "counter", "the limit", "add a name for what is counted: `\"counter\": \"…\"`");
        self.missing(
            node,
            at,
            "window",
            "the limit",
            "add `\"window\": \"minute\"`, `\"hour\"`, `\"day\"` or a duration such as `\"15m\"`",
        );
        self.missing(node, at, "max", "the limit", "add how much fits into one window: `\"max\": 10`");
        self.remember_site(node, at, &draft);
        draft.finish(at)
    }

    /// Keeps where a limit names its counter, if it can be compared with others.
    fn remember_site(&mut self, node: &Node, at: &Pointer, draft: &Draft) {
        let (Some(counter), Some(window), false) = (&draft.counter, &draft.window, draft.failed) else {
            return;
        };
        let (kind, kind_span) = draft.kind.clone().map_or((WindowKind::Fixed, None), |(kind, span)| (kind, Some(span)));
        let site = Site { limit: at.clone(), span: node.span.clone(), window: window.clone(), kind, kind_span };
        let key = (draft.scope.unwrap_or(Scope::Grant), counter.clone());
        self.sites.entry(key).or_default().push(site);
    }

    fn limit_field(&mut self, field: &Field, at: &Pointer, draft: &mut Draft) {
        let Field { key, value, .. } = field;
        match key.as_str() {
            "counter" => draft.counter = self.filled_text(value, at, "`counter`").map(str::to_owned),
            "window" => draft.window = self.window(value, at).map(|window| (window, value.span.clone())),
            "max" => draft.max = self.max(value, at),
            "kind" => {
                let kind = self.choice(value, at, "kind", &["fixed", "sliding"]).and_then(WindowKind::parse);
                draft.failed |= kind.is_none();
                draft.kind = kind.map(|kind| (kind, value.span.clone()));
            }
            "scope" => {
                draft.scope = self.choice(value, at, "scope", &Scope::ALL.map(Scope::as_str)).and_then(Scope::parse);
                draft.failed |= draft.scope.is_none();
                if draft.scope == Some(Scope::Session) {
                    self.warn_about_sessions(at, value.span.clone(), "a limit with `scope: session`");
                }
            }
            "cost" => draft.cost = self.cost(value, at),
            "count" => draft.count = self.choice(value, at, "count", &["successes"]).map(|_| Count::Successes),
            "on_deny" => draft.on_deny = self.text(value, at, "on_deny").map(str::to_owned),
            _ => self.unknown_field(field, at, "a limit", &FIELDS),
        }
    }

    fn warn_about_sessions(&mut self, at: &Pointer, span: Range<usize>, what: &str) {
        let message = format!("{what} counts each session by itself, so it starts afresh when the agent reconnects");
        self.warn(
            at,
            span,
            message,
            "use `limits` with `\"scope\": \"grant\"` to count all sessions of a grant together",
        );
    }

    fn window(&mut self, node: &Node, at: &Pointer) -> Option<Window> {
        let help = "write `\"minute\"`, `\"hour\"`, `\"day\"`, or a duration such as `\"90s\"`, `\"15m\"`, `\"6h\"` or `\"7d\"`";
        let Some(text) = node.as_str() else {
            let message = format!("`window` must be a string, not {}", shown(node));
            let help = match &node.kind {
                NodeKind::Number(number) => {
                    format!("write `\"{}s\"` if seconds are meant", cut(number))
                }
                NodeKind::Null | NodeKind::Bool(_) | NodeKind::String(_) | NodeKind::List(_) | NodeKind::Map(_) => {
                    help.to_owned()
                }
            };
            self.error(at, node.span.clone(), message, help);
            return None;
        };
        match text {
            "minute" => return Some(Window::MINUTE),
            "hour" => return Some(Window::HOUR),
            "day" => return Some(Window::DAY),
            _ => {}
        }
        let message = match duration::seconds(text) {
            Ok(seconds) => match Window::from_seconds(seconds) {
                Some(window) => return Some(window),
                None => format!("the window `{text}` has no length"),
            },
            Err(BadDuration::NotADuration) => format!("`window` cannot be `{}`", cut(text)),
            Err(BadDuration::TooLong) => {
                format!("the window `{}` is longer than 366 days", cut(text))
            }
        };
        self.error(at, node.span.clone(), message, help);
        None
    }

    fn max(&mut self, node: &Node, at: &Pointer) -> Option<Decimal> {
        let NodeKind::Number(text) = &node.kind else {
            let message = format!("`max` must be a number, not {}", shown(node));
            self.error(at, node.span.clone(), message, "write a number without quotes");
            return None;
        };
        let max = self.exact(text, node, at)?;
        if max.is_negative() {
            self.error(
                at,
                node.span.clone(),
                format!("`max` is {max}, but cannot be negative"),
                "write 0 to let nothing pass, or a positive number",
            );
            return None;
        }
        Some(max)
    }

    fn cost(&mut self, node: &Node, at: &Pointer) -> Option<Cost> {
        let Some(text) = node.as_str() else {
            let message = format!("`cost` must be a path in a string, not {}", shown(node));
            self.error(
                at,
                node.span.clone(),
                message,
                "write the path of a number, such as `\"args.amount\"`, or leave it out to count calls",
            );
            return None;
        };
        match Path::parse_cost(text) {
            Ok(steps) => Some(Cost::At { written: text.to_owned(), steps }),
            Err(bad) => {
                self.error(at, node.span.clone(), bad.message, bad.help);
                None
            }
        }
    }

    pub(super) fn rate_limit(&mut self, field: &Field, at: &Pointer) -> Option<Limit> {
        let node = &field.value;
        let (max, window) = match &node.kind {
            NodeKind::Map(_) => self.rate_object(node, at)?,
            NodeKind::String(text) => match rate_text(text) {
                Some(rate) => rate,
                None => return self.bad_rate(node, at),
            },
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) | NodeKind::List(_) => {
                return self.bad_rate(node, at);
            }
        };
        self.warn_about_sessions(at, field.key_span.start..node.span.end, "`rate_limit`");
        Some(Limit {
            rule: at.as_str().to_owned(),
            scope: Scope::Session,
            window,
            kind: WindowKind::Fixed,
            max,
            count: Count::Sent,
            on_deny: None,
            counter: Counter::PerName,
            cost: Cost::One,
        })
    }

    fn bad_rate(&mut self, node: &Node, at: &Pointer) -> Option<Limit> {
        let message =
            format!("`rate_limit` must be like `10/minute`, or an object with `max` and `window`, not {}", shown(node));
        self.error(
            at,
            node.span.clone(),
            message,
            "write a whole number, a slash and `minute`, `hour` or `day`, or `{ \"max\": 10, \"window\": 60 }`",
        );
        None
    }

    fn rate_object(&mut self, node: &Node, at: &Pointer) -> Option<(Decimal, Window)> {
        let (mut max, mut window) = (None, None);
        for field in node.as_map().unwrap_or_default() {
            let at = at.key(&field.key);
            match field.key.as_str() {
                "max" => max = self.whole_max(&field.value, &at),
                "window" => window = self.window_in_seconds(&field.value, &at),
                _ => self.unknown_field(field, &at, "`rate_limit`", &RATE_FIELDS),
            }
        }
        self.missing(node, at, "max", "`rate_limit`", "add how many calls may pass: `\"max\": 10`");
        self.missing(node, at, "window", "`rate_limit`", "add the window in seconds: `\"window\": 60`");
        max.zip(window)
    }

    fn whole_max(&mut self, node: &Node, at: &Pointer) -> Option<Decimal> {
        let max = self.max(node, at)?;
        if !max.is_integer() {
            self.error(
                at,
                node.span.clone(),
                format!("`max` of `rate_limit` is {max}, but must be a whole number"),
                "calls cannot be counted in parts",
            );
            return None;
        }
        Some(max)
    }

    fn window_in_seconds(&mut self, node: &Node, at: &Pointer) -> Option<Window> {
        let number = match &node.kind {
            NodeKind::Number(text) => Decimal::parse(text).ok().and_then(|number| number.as_u32()),
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::String(_) | NodeKind::List(_) | NodeKind::Map(_) => None,
        };
        let window = number.and_then(Window::from_seconds);
        if window.is_none() {
            let message = format!(
                "`window` of `rate_limit` must be a number of whole seconds from 1 to 31622400 (366 days), not {}",
                shown(node)
            );
            self.error(at, node.span.clone(), message, "write a number, such as 60 for a minute");
        }
        window
    }

    /// Reports limits that disagree with an earlier one about the window or kind of their counter.
    pub(super) fn check_counters(&mut self) {
        for ((scope, counter), mut sites) in std::mem::take(&mut self.sites) {
            sites.sort_by_key(|site| {
                let section = SECTIONS.iter().position(|section| site.limit.as_str().starts_with(section));
                (section.unwrap_or(SECTIONS.len()), site.span.start)
            });
            let mut sites = sites.into_iter();
            let Some(first) = sites.next() else { continue };
            for site in sites {
                self.compare(&first, &site, scope, &counter);
            }
        }
    }

    fn compare(&mut self, first: &Site, later: &Site, scope: Scope, counter: &str) {
        let what = format!("the counter `{}` of scope `{}`", cut(counter), scope.as_str());
        let place = format!("{} on line {}", first.limit, self.line(first.span.start));
        let help = "give both the same, or use another counter name".to_owned();
        if first.window.0 != later.window.0 {
            let message = format!("{what} already has a window of {} s, by {place}", first.window.0.seconds());
            self.error(&later.limit.key("window"), later.window.1.clone(), message, help.clone());
        }
        if first.kind != later.kind {
            let message = format!("{what} is already {}, by {place}", first.kind.as_str());
            match &later.kind_span {
                Some(span) => self.error(&later.limit.key("kind"), span.clone(), message, help),
                None => self.error(&later.limit, later.span.clone(), message, help),
            }
        }
    }
}

/// A rate as text: `10/minute`.
fn rate_text(text: &str) -> Option<(Decimal, Window)> {
    let (max, window) = text.split_once('/')?;
    let window = match window {
        "minute" => Window::MINUTE,
        "hour" => Window::HOUR,
        "day" => Window::DAY,
        _ => return None,
    };
    let plain = max.bytes().all(|byte| byte.is_ascii_digit());
    Decimal::parse(max).ok().filter(|_| plain).map(|max| (max, window))
}
