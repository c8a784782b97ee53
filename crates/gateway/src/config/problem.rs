//! Problems together with the file that they stand in.

use std::path::PathBuf;
use std::sync::Arc;

use policy::Problem;

/// A text that problems can point into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its file, as it is shown to the user.
    pub file: PathBuf,
    /// Its whole text.
    pub text: String,
}

/// A problem and the text that it stands in.
#[derive(Debug, Clone)]
pub struct FileProblem {
    /// The file and its text.
    pub source: Arc<Source>,
    /// What is wrong, where in the text, and what to write instead.
    pub problem: Problem,
}

impl FileProblem {
    /// Whether this keeps the file from being used.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.problem.is_error()
    }
}
