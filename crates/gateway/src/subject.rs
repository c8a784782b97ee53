//! What a request is about: which rules of a policy govern it, and which of its answers to filter.

use mcp::envelope::{Params, Reference};
use policy::{Listed, Target};

/// A list that a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) what: Listed,
    /// The member of the result that holds the elements.
    pub(crate) member: &'static str,
    /// The field that names an element.
    pub(crate) key: &'static str,
}

/// The list that `method` asks for, if it asks for one.
pub(crate) fn list(method: &str) -> Option<List> {
    let (what, member, key) = match method {
        "tools/list" => (Listed::Tools, "tools", "name"),
        "prompts/list" => (Listed::Prompts, "prompts", "name"),
        "resources/list" => (Listed::Resources, "resources", "uri"),
        "resources/templates/list" => (Listed::Resources, "resourceTemplates", "uriTemplate"),
        _ => return None,
    };
    Some(List { what, member, key })
}

impl List {
    /// What a policy knows an element by.
    pub(crate) fn element<'a>(&self, name: &'a str) -> Target<'a> {
        match self.what {
            Listed::Tools => Target::Tool(name),
            Listed::Prompts => Target::Prompt(name),
            Listed::Resources => Target::Resource(name),
        }
    }
}

/// What a policy knows a request by. Names that the method needs were made sure of by the reader.
pub(crate) fn target<'a>(method: &'a str, params: Option<&'a Params<'_>>) -> Target<'a> {
    let name = params.and_then(|params| params.name.as_deref());
    let uri = params.and_then(|params| params.uri.as_deref());
    match (method, name, uri) {
        ("tools/call", Some(name), _) => Target::Tool(name),
        ("prompts/get", Some(name), _) => Target::Prompt(name),
        ("resources/read" | "resources/subscribe" | "resources/unsubscribe", _, Some(uri)) => Target::Resource(uri),
        ("completion/complete", ..) => match params.and_then(|params| params.reference.as_ref()) {
            Some(Reference::Prompt(name)) => Target::CompletePrompt(name),
            Some(Reference::Resource(uri)) => Target::CompleteResource(uri),
            None => Target::Method(method),
        },
        _ => Target::Method(method),
    }
}

/// The name, URI or prompt that records show.
pub(crate) fn named<'a>(target: &Target<'a>) -> Option<&'a str> {
    match target {
        Target::Tool(name) | Target::Prompt(name) | Target::CompletePrompt(name) => Some(name),
        Target::Resource(uri) | Target::CompleteResource(uri) => Some(uri),
        Target::Method(_) => None,
    }
}

/// The list whose hidden elements are answered like absent ones, with the element's name.
pub(crate) fn listed_name<'a>(target: &Target<'a>) -> Option<(Listed, &'a str)> {
    match target {
        Target::Tool(name) => Some((Listed::Tools, name)),
        Target::Prompt(name) => Some((Listed::Prompts, name)),
        Target::Resource(_) | Target::CompletePrompt(_) | Target::CompleteResource(_) | Target::Method(_) => None,
    }
}
