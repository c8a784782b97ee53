//! Logs: sentences with fields, on standard error.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::output;

/// Starts logging to standard error. `RUST_LOG` chooses what is logged, otherwise `level` does.
pub(crate) fn start(level: LevelFilter) {
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(output::colours(&io::stderr()))
        .with_target(false);
    // It fails only if logging was started already, and then there is nothing to do.
    let _ = subscriber.try_init();
}
