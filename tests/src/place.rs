//! A temporary directory that outlives a failed test.

use std::path::{Path, PathBuf};

/// A directory for one test. It is removed unless the test failed; then its path is printed.
#[derive(Debug)]
pub struct Place(Option<tempfile::TempDir>);

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// Makes one.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("toolgate-test-").tempdir();
        Self(Some(directory.expect("the system has a temporary directory")))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.as_ref().expect("it is there until it is dropped").path()
    }

    /// A path inside it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        std::fs::write(&path, text).expect("a temporary file can be written");
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        if let Some(directory) = self.0.take() {
            let path = directory.keep();
            eprintln!("kept for a look: {}", path.display());
            if let Ok(log) = std::fs::read_to_string(path.join("log")) {
                eprintln!("--- log of the gate ---\n{log}");
            }
        }
    }
}
