//! Where the log's files lie; a seam, so that tests can fill the disk.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Makes log files.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// A new, empty file for the log from `position` on.
    fn create(&self, position: u64) -> io::Result<Arc<dyn LogFile>>;
}

/// One file of the log, being written.
pub(crate) trait LogFile: fmt::Debug + Send + Sync {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn truncate(&self, length: u64) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
}

/// The real thing: files named by the position they begin at.
#[derive(Debug)]
pub(crate) struct LogDirectory(pub(crate) PathBuf);

impl Disk for LogDirectory {
    fn create(&self, position: u64) -> io::Result<Arc<dyn LogFile>> {
        let path = path_of(&self.0, position);
        let file = OpenOptions::new().create(true).read(true).write(true).truncate(true).mode(0o600).open(path)?;
        // The file's name must survive a power cut if its contents are to.
        File::open(&self.0)?.sync_all()?;
        Ok(Arc::new(file))
    }
}

impl LogFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The files of the log: the position each begins at, in order.
pub(crate) fn files(logs: &Path) -> io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    for found in fs::read_dir(logs)? {
        let name = found?.file_name();
        let start =
            name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|digits| digits.parse::<u64>().ok());
        starts.extend(start);
    }
    starts.sort_unstable();
    Ok(starts)
}

pub(crate) fn path_of(logs: &Path, position: u64) -> PathBuf {
    logs.join(format!("{position:020}.log"))
}

/// Reads the log from any position, file after file.
#[derive(Debug)]
pub(crate) struct LogReader {
    logs: PathBuf,
    current: Option<(u64, File)>,
}

impl LogReader {
    pub(crate) fn new(logs: PathBuf) -> Self {
        Self { logs, current: None }
    }

    /// Reads up to `length` bytes at `position`; fewer at the end of a file, none at the end of the log.
    pub(crate) fn read(&mut self, position: u64, length: usize) -> io::Result<Vec<u8>> {
        let bytes = self.read_current(position, length)?;
        if !bytes.is_empty() {
            return Ok(bytes);
        }
        self.turn_to(position)?;
        self.read_current(position, length)
    }

    fn read_current(&self, position: u64, length: usize) -> io::Result<Vec<u8>> {
        let Some((start, file)) = &self.current else {
            return Ok(Vec::new());
        };
        let offset = position.saturating_sub(*start);
        let available = usize::try_from(file.metadata()?.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(available)];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Opens the last file that begins at or before `position`; says whether that is another one than before.
    pub(crate) fn turn_to(&mut self, position: u64) -> io::Result<bool> {
        let start = files(&self.logs)?.into_iter().rfind(|start| *start <= position);
        if start == self.current.as_ref().map(|(start, _)| *start) {
            return Ok(false);
        }
        self.current =
            start.map(|start| Ok::<_, io::Error>((start, File::open(path_of(&self.logs, start))?))).transpose()?;
        Ok(true)
    }

    /// The first file that begins after `position`, if there is one.
    pub(crate) fn next_file(&self, position: u64) -> io::Result<Option<u64>> {
        Ok(files(&self.logs)?.into_iter().find(|start| *start > position))
    }

    /// Tells whether a file ends before or at `position` and another has followed it.
    pub(crate) fn has_finished(&self, position: u64) -> io::Result<bool> {
        Ok(files(&self.logs)?.get(1).is_some_and(|second| *second <= position))
    }

    /// Removes the files that end before or at `position`; the one that is being written never does.
    pub(crate) fn remove_before(&mut self, position: u64) -> io::Result<()> {
        let starts = files(&self.logs)?;
        for (start, next) in starts.iter().zip(starts.iter().skip(1)) {
            if *next <= position {
                fs::remove_file(path_of(&self.logs, *start))?;
            }
        }
        Ok(())
    }

    /// Removes all files.
    pub(crate) fn remove_all(&mut self) -> io::Result<()> {
        self.current = None;
        files(&self.logs)?.into_iter().try_for_each(|start| fs::remove_file(path_of(&self.logs, start)))
    }
}
