//! The data directory: who may use it, which processes live, and its key.
//!
//! - `opening.lock` is held while a process opens the directory, so that migrating and recovering happen once.
//! - `lock` is held for as long as it is used: exclusively by a gateway, shared by everybody else.
//! - `instances/N` is locked for as long as instance N lives; the kernel lets go of it however the process ends.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ring::hmac;

use crate::OpenError;

/// How often a process looks whether another has finished opening the directory.
const OPENING_POLL: Duration = Duration::from_millis(5);

/// How a directory is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Exclusive,
    Shared,
}

/// Held while the directory is being opened.
#[derive(Debug)]
pub(crate) struct Opening(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Held while the directory is used.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Held while this process lives.
#[derive(Debug)]
pub(crate) struct Lease {
    file: File,
    path: PathBuf,
}

impl Lease {
    /// Lets go of the lease: what is unsettled then belongs to a dead instance.
    fn end(&self) {
        // Failing to remove it is no loss: whoever opens the directory next finds it unlocked.
        let _removed = fs::remove_file(&self.path);
        let _unlocked = self.file.unlock();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end();
    }
}

/// Creates the directory if need be and keeps other processes from opening it meanwhile.
pub(crate) fn begin_opening(directory: &Path, patience: Duration) -> Result<Opening, OpenError> {
    for path in [directory.to_owned(), instances(directory), logs(directory)] {
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|source| OpenError::Io { path, source })?;
    }
    let path = directory.join("opening.lock");
    let file = private_file(&path)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Opening(file)),
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => std::thread::sleep(OPENING_POLL),
            Err(TryLockError::WouldBlock) => return Err(OpenError::Busy(directory.to_owned())),
            Err(TryLockError::Error(source)) => return Err(OpenError::Io { path, source }),
        }
    }
}

/// As [`begin_opening`], but gives up at once; for housekeeping that can wait.
pub(crate) fn try_opening(directory: &Path) -> Option<Opening> {
    let file = private_file(&directory.join("opening.lock")).ok()?;
    file.try_lock().ok()?;
    Some(Opening(file))
}

/// Locks the directory for use.
pub(crate) fn lock(directory: &Path, mode: Mode) -> Result<Lock, OpenError> {
    let path = directory.join("lock");
    let file = private_file(&path)?;
    let locked = match mode {
        Mode::Exclusive => file.try_lock(),
        Mode::Shared => file.try_lock_shared(),
    };
    match locked {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
        Err(TryLockError::WouldBlock) if mode == Mode::Exclusive && file.try_lock_shared().is_ok() => {
            Err(OpenError::HeldByOthers(directory.to_owned()))
        }
        Err(TryLockError::WouldBlock) => Err(OpenError::HeldByGateway(directory.to_owned())),
    }
}

/// Takes the lease of a new instance.
pub(crate) fn lease(directory: &Path, instance: u64) -> Result<Lease, OpenError> {
    let path = instances(directory).join(instance.to_string());
    let file = private_file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Lease { file, path }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
        Err(TryLockError::WouldBlock) => Err(OpenError::Busy(directory.to_owned())),
    }
}

/// Tells whether an instance still lives. Only while [`Opening`] is held: a lease is taken under it.
pub(crate) fn is_alive(directory: &Path, instance: u64, _opening: &Opening) -> bool {
    let file = File::open(instances(directory).join(instance.to_string()));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Removes the leases that nobody holds.
pub(crate) fn remove_dead_leases(directory: &Path, _opening: &Opening) -> io::Result<()> {
    for found in fs::read_dir(instances(directory))? {
        let path = found?.path();
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Where the log's files are.
pub(crate) fn logs(directory: &Path) -> PathBuf {
    directory.join("log")
}

/// Reads the directory's key, or makes it.
pub(crate) fn key(directory: &Path, _opening: &Opening) -> Result<hmac::Key, OpenError> {
    let path = directory.join("hmac.key");
    let io = |source| OpenError::Io { path: path.clone(), source };
    if !path.exists() {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| io(error.into()))?;
        let unfinished = path.with_extension("new");
        let mut file = private_file(&unfinished)?;
        file.set_len(0).and_then(|()| file.write_all(&key)).and_then(|()| file.sync_all()).map_err(io)?;
        fs::rename(&unfinished, &path).map_err(io)?;
    }
    let mut key = Vec::new();
    File::open(&path).and_then(|mut file| file.read_to_end(&mut key)).map_err(io)?;
    if key.len() != 32 {
        return Err(OpenError::Damaged { path, what: format!("a key of 32 bytes is expected, not {}", key.len()) });
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
}

fn instances(directory: &Path) -> PathBuf {
    directory.join("instances")
}

/// Opens a file that only its owner may read.
pub(crate) fn private_file(path: &Path) -> Result<File, OpenError> {
    let opened = OpenOptions::new().create(true).read(true).write(true).truncate(false).mode(0o600).open(path);
    opened.map_err(|source| OpenError::Io { path: path.to_owned(), source })
}
