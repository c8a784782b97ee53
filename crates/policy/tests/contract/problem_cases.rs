//! Documents that are invalid, with all of their problems.

use policy::document::{Format, Node};
use policy::{Policy, Problem};

use crate::{Case, files, run};

#[test]
fn every_invalid_document_has_exactly_the_problems_it_should() {
    run(&files(&["problems.jsonl", "problems-own.jsonl"], "problem-cases.jsonl"), check);
}

fn check(case: &Case) -> Result<(), String> {
    let text = case.text("text");
    let format = if case.text("format") == "json" { Format::Json } else { Format::Yaml };
    let Err(problems) = Policy::parse(text, format) else {
        return Err("it was accepted".to_owned());
    };
    let mut found: Vec<&Problem> = problems.iter().filter(|problem| problem.is_error()).collect();
    for problem in &problems {
        well_formed(problem, text)?;
    }
    for expected in case.root.get("problems").and_then(Node::as_list).expect("problems") {
        let part = |key| expected.get(key).and_then(Node::as_str).expect("text");
        let about = part("about").to_lowercase();
        let fits =
            |problem: &&Problem| problem.pointer == part("pointer") && problem.message.to_lowercase().contains(&about);
        match found.iter().position(fits) {
            Some(index) => drop(found.remove(index)),
            None => {
                return Err(format!("no problem about {about:?} at {:?} in {problems:#?}", part("pointer")));
            }
        }
    }
    if found.is_empty() { Ok(()) } else { Err(format!("also found {found:#?}")) }
}

fn well_formed(problem: &Problem, text: &str) -> Result<(), String> {
    let placed = problem.line >= 1 && problem.column >= 1 && text.get(problem.span.clone()).is_some();
    let said = !problem.message.is_empty() && !problem.help.is_empty() && !problem.message.contains('\n');
    if placed && said { Ok(()) } else { Err(format!("a bad problem: {problem:?}")) }
}
