//! What the exit codes mean: 0 fine, 1 something was found, 2 usage, 3 could not run.

use std::io::{self, Write};
use std::process::ExitCode;

/// How a command that could run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// There is nothing to complain about.
    Fine,
    /// Something was found: an invalid policy, a denied call, a broken chain.
    Found,
}

const FOUND: u8 = 1;
const USAGE: u8 = 2;
const COULD_NOT_RUN: u8 = 3;

/// A mistake in the command line that only shows once its values are looked at.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Tells the user why a command could not run, and gives the code for how it ended.
pub(crate) fn code(result: anyhow::Result<Ended>) -> ExitCode {
    match result {
        Ok(Ended::Fine) => ExitCode::SUCCESS,
        Ok(Ended::Found) => ExitCode::from(FOUND),
        Err(error) if reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed there is nobody left to tell.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            let usage = error.downcast_ref::<Usage>().is_some();
            ExitCode::from(if usage { USAGE } else { COULD_NOT_RUN })
        }
    }
}

/// Whether whoever read our output had enough, as `head` does.
fn reader_left(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
