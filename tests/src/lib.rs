//! What black-box tests need: the built `toolgate`, started and stopped; agents that put bytes on
//! the wire and read what comes back; servers that record exactly what reached them.
//!
//! It knows nothing of toolgate's crates: the tests stand where a user stands.

pub mod agent;
pub mod answers;
pub mod gate;
pub mod http_upstream;
pub mod lines;
pub mod place;
pub mod wire;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The built binary: `TOOLGATE_BIN`, or what `cargo build` leaves.
pub fn toolgate() -> PathBuf {
    let built = || {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
        target.join("debug/toolgate")
    };
    let path = std::env::var_os("TOOLGATE_BIN").map_or_else(built, PathBuf::from);
    assert!(path.exists(), "`{}` is not there: run `make test`, or `cargo build` first", path.display());
    path
}

/// The repository's root.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the repository").to_owned()
}

/// A file of this crate.
pub fn tests_file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file of an installed npm package.
pub fn npm_file(path: &str) -> String {
    let path = tests_file("npm/node_modules").join(path);
    assert!(path.exists(), "`{}` is not there: run `make test`, or `scripts/prepare npm` first", path.display());
    path.to_string_lossy().into_owned()
}

/// Whether the long versions of the tests are asked for.
pub fn is_soak() -> bool {
    std::env::var_os("TOOLGATE_SOAK").is_some()
}

/// Waits until `condition` gives something, and fails with `what` when it takes too long.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until enough of the current minute remains for a test of a calendar window.
pub async fn enough_of_the_minute() {
    const NEEDED: u64 = 20_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970").as_millis() as u64;
    let remains = 60_000 - now % 60_000;
    if remains < NEEDED {
        tokio::time::sleep(Duration::from_millis(remains + 50)).await;
    }
}
