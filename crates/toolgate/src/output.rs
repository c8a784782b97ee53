//! What is written to standard output and standard error.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::{Duration, Instant};

use gateway::api_types::MAX_ROWS;
use serde::Serialize;

/// Standard output, buffered; dropped errors would hide a full disk, so [`Output::finish`] it.
pub(crate) struct Output {
    writer: BufWriter<io::StdoutLock<'static>>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self { writer: BufWriter::new(io::stdout().lock()) }
    }

    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.writer, "{text}")
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)
    }

    /// One JSON object on a line of its own.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.writer, value).map_err(io::Error::from)?;
        self.writer.write_all(b"\n")?;
        Ok(())
    }

    /// Columns as wide as they need to be; the last one is left as it is.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
        let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in std::iter::once(&head).chain(rows) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            self.line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        Ok(self.writer.flush()?)
    }
}

/// Reads how many rows a list may have.
pub(crate) fn rows(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=MAX_ROWS).contains(count));
    count.ok_or_else(|| format!("write a number from 1 to {MAX_ROWS}"))
}

/// Writes a line for people to standard error; if that is closed there is nobody left to tell.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Rewrites one line on a terminal to show how far a long command is; silent elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    next: Instant,
}

impl Progress {
    /// How long one line stands at least.
    const PAUSE: Duration = Duration::from_millis(100);

    pub(crate) fn new() -> Self {
        Self { shown: io::stderr().is_terminal(), next: Instant::now() }
    }

    pub(crate) fn set(&mut self, text: impl FnOnce() -> String) {
        if self.shown && Instant::now() >= self.next {
            self.next = Instant::now() + Self::PAUSE;
            // If standard error is closed there is nobody left to tell.
            let _ = write!(io::stderr(), "{CLEAR}{}", text());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "{CLEAR}");
        }
    }
}

/// Back to the beginning of the line, and erases it.
const CLEAR: &str = "\r\x1b[2K";

/// Whether what is written to a stream may have colours.
pub(crate) fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text from elsewhere that is shown on a terminal: control characters cannot play tricks there.
pub(crate) fn shown(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
