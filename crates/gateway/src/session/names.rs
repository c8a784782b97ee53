//! What the server behind a session has: the names of its tools and prompts.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use mcp::client::{ReplyKind, UpstreamError};
use mcp::envelope::{answer, list};
use policy::Listed;

use super::Session;
use crate::gate::Gate;

/// How many pages of one list are read.
const PAGES: usize = 200;
/// How many names of one list are kept.
const NAMES: usize = 100_000;

/// The names last seen in the server's lists; forgotten when the server says that they changed.
#[derive(Debug, Default)]
pub(crate) struct Names {
    tools: Mutex<Option<Arc<HashSet<String>>>>,
    prompts: Mutex<Option<Arc<HashSet<String>>>>,
}

impl Names {
    pub(crate) fn forget(&self, what: Listed) {
        self.set(what, None);
    }

    pub(crate) fn forget_all(&self) {
        self.set(Listed::Tools, None);
        self.set(Listed::Prompts, None);
    }

    fn get(&self, what: Listed) -> Option<Arc<HashSet<String>>> {
        self.slot(what)?.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, what: Listed, names: Option<Arc<HashSet<String>>>) {
        if let Some(slot) = self.slot(what) {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = names;
        }
    }

    fn slot(&self, what: Listed) -> Option<&Mutex<Option<Arc<HashSet<String>>>>> {
        match what {
            Listed::Tools => Some(&self.tools),
            Listed::Prompts => Some(&self.prompts),
            Listed::Resources => None,
        }
    }
}

impl Session {
    /// Whether the server lists `name` and nothing hides it. The list is read again once before a
    /// name counts as absent, for hidden names too, so that both take the same way.
    ///
    /// # Errors
    ///
    /// If the server's list cannot be read.
    pub(crate) async fn shows(
        self: &Arc<Self>,
        gate: &Arc<Gate>,
        what: Listed,
        name: &str,
        is_hidden: bool,
    ) -> Result<bool, UpstreamError> {
        if !is_hidden && self.names.get(what).is_some_and(|names| names.contains(name)) {
            return Ok(true);
        }
        let names = Arc::new(self.read_names(gate, what).await?);
        self.names.set(what, Some(Arc::clone(&names)));
        Ok(!is_hidden && names.contains(name))
    }

    async fn read_names(self: &Arc<Self>, gate: &Arc<Gate>, what: Listed) -> Result<HashSet<String>, UpstreamError> {
        let (method, member) = match what {
            Listed::Tools => ("tools/list", "tools"),
            Listed::Prompts => ("prompts/list", "prompts"),
            Listed::Resources => ("resources/list", "resources"),
        };
        let mut names = HashSet::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES {
            let params = cursor.as_deref().map(|cursor| format!(r#"{{"cursor":{}}}"#, answer::escape(cursor)));
            let reply = self.ask(gate, method, params.as_deref()).await?;
            if reply.kind() == ReplyKind::Error {
                // A server without the list has none of it.
                return Ok(names);
            }
            let result = reply.outcome();
            let result = std::str::from_utf8(&result).unwrap_or_default();
            let (page, next) = list::names(result, member, "name").map_err(|rejected| {
                UpstreamError::Nonsense(format!("the answer to `{method}` cannot be read: {rejected}"))
            })?;
            names.extend(page);
            if names.len() > NAMES {
                return Err(UpstreamError::Nonsense(format!("the answer to `{method}` has more than {NAMES} names")));
            }
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(names),
            }
        }
        Err(UpstreamError::Nonsense(format!("the answer to `{method}` has more than {PAGES} pages")))
    }
}
