//! Watches how a verdict comes about, at no cost where nobody watches.

use crate::condition::{Condition, Outcome, Test};
use crate::model::Entry;
use crate::verdict::Step;

/// Somebody who may want to know what was looked at.
pub(crate) trait Observer {
    /// A rule was looked at: what about it, and what came of it.
    fn note(&mut self, rule: &str, words: impl FnOnce() -> (String, String));

    /// A condition of an entry was judged.
    fn condition(&mut self, entry: &Entry, index: usize, condition: &Condition, outcome: Outcome);
}

/// Nobody.
impl Observer for () {
    fn note(&mut self, _: &str, _: impl FnOnce() -> (String, String)) {}

    fn condition(&mut self, _: &Entry, _: usize, _: &Condition, _: Outcome) {}
}

/// Somebody who writes everything down.
impl Observer for Vec<Step> {
    fn note(&mut self, rule: &str, words: impl FnOnce() -> (String, String)) {
        let (looked_at, result) = words();
        self.push(Step { rule: rule.to_owned(), looked_at, result });
    }

    fn condition(&mut self, entry: &Entry, index: usize, condition: &Condition, outcome: Outcome) {
        let result = match outcome {
            Outcome::True => "true".to_owned(),
            Outcome::False => "false".to_owned(),
            Outcome::Absent => "absent, so not true".to_owned(),
            Outcome::Undetermined(doubt) => format!("undetermined: {doubt}"),
        };
        let looked_at =
            format!("`{}` {} {}", condition.written, condition.operator.as_str(), expected(&condition.test));
        self.push(Step { rule: format!("{}/conditions/{index}", entry.pointer), looked_at, result });
    }
}

fn expected(test: &Test) -> String {
    match test {
        Test::Equal(scalar, _) => scalar.to_string(),
        Test::Contains(needle) => needle.scalar.to_string(),
        Test::Member(scalars, _) => {
            let members: Vec<String> = scalars.iter().map(ToString::to_string).collect();
            format!("[{}]", members.join(", "))
        }
        Test::Order(_, number) => number.to_string(),
        Test::Matches(regex) => format!("{:?}", regex.as_str()),
        Test::Exists(expected) => expected.to_string(),
    }
}
