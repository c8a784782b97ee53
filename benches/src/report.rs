//! Tables, on standard output.

use std::io::{self, Write as _};

use crate::samples::Rounds;

/// Writes a line.
pub(crate) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// A plain table; the first column is left-aligned, the others are right-aligned.
#[derive(Debug)]
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self(vec![head.iter().map(|&text| text.to_owned()).collect()])
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.0.push(cells);
    }

    pub(crate) fn print(&self) -> io::Result<()> {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or_default();
        let width =
            |column: usize| self.0.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
        for row in &self.0 {
            let mut text = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                let cell = if column == 0 { format!("  {cell:<width$}") } else { format!("  {cell:>width$}") };
                text.push_str(&cell);
            }
            line(text.trim_end())?;
        }
        Ok(())
    }
}

/// The median of rounds, and their range.
pub(crate) fn spread(rounds: &Rounds, decimals: usize) -> String {
    format!("{:.decimals$} ({:.decimals$}–{:.decimals$})", rounds.median(), rounds.lowest(), rounds.highest())
}

/// The median alone.
pub(crate) fn middle(rounds: &Rounds, decimals: usize) -> String {
    format!("{:.decimals$}", rounds.median())
}
