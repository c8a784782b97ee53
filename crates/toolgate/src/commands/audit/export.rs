//! `toolgate audit export`: the record as a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use gateway::api_types::{AuditQuery, Entry, ExportFormat};
use http_body_util::BodyExt;

use super::Filter;
use crate::data_dir::LedgerPlace;
use crate::exit::Ended;
use crate::ledger_access::{IfAbsent, LedgerAccess};
use crate::output::{Progress, say};

/// Export calls, oldest first, as JSON lines or comma-separated values
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    filter: Filter,

    /// How to write them
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,

    /// Export at most this many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Write to this file, which must not exist yet, in place of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Print JSON objects, one a line: the same as `--format jsonl`
    #[arg(long, conflicts_with = "format")]
    json: bool,

    #[command(flatten)]
    place: LedgerPlace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

impl From<Format> for ExportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Jsonl => Self::Jsonl,
            Format::Csv => Self::Csv,
        }
    }
}

/// Takes an export piece by piece.
type Sink<'s> = &'s mut dyn FnMut(&[u8]) -> io::Result<()>;

impl Export {
    pub(super) async fn execute(self) -> anyhow::Result<Ended> {
        let ledger = LedgerAccess::open(&self.place.resolve()?, IfAbsent::Complain)?;
        let format = ExportFormat::from(self.format);
        let query = AuditQuery { format: Some(format), limit: self.limit, ..self.filter.query() };
        let mut writer: Box<dyn Write> = match &self.output {
            Some(file) => Box::new(BufWriter::new(
                File::create_new(file).with_context(|| format!("could not make the file `{}`", file.display()))?,
            )),
            None => Box::new(BufWriter::new(io::stdout().lock())),
        };
        let mut progress = Progress::new();
        let mut written = 0;
        export(&ledger, &query, format, &mut |piece| {
            written += piece.len();
            progress.set(|| format!("exported {} KiB", written / 1024));
            writer.write_all(piece)
        })
        .await?;
        drop(progress);
        writer.flush()?;
        ledger.close().await?;
        if let Some(file) = &self.output {
            say(&format!("exported {written} bytes to `{}`", file.display()));
        }
        Ok(Ended::Fine)
    }
}

async fn export(ledger: &LedgerAccess, query: &AuditQuery, format: ExportFormat, sink: Sink<'_>) -> anyhow::Result<()> {
    match ledger {
        LedgerAccess::Gateway(client) => {
            let mut body = client.stream("/audit/export", query).await?;
            while let Some(frame) = body.frame().await {
                let frame = frame.context("the gateway stopped in the middle of the export")?;
                if let Some(piece) = frame.data_ref() {
                    sink(piece)?;
                }
            }
        }
        LedgerAccess::Direct(ledger) => {
            let filter = query.filter().map_err(anyhow::Error::msg)?;
            let mut left = query.limit.unwrap_or(usize::MAX);
            let mut entries = ledger.export(&filter).await?;
            sink(format.header().as_bytes())?;
            while left > 0
                && let Some(entry) = entries.next().await
            {
                sink(format.line(&Entry::from(&entry?)).as_bytes())?;
                left -= 1;
            }
        }
    }
    Ok(())
}

/// Looks for record number `records` with the hash `head`; says what is wrong if it is not there.
pub(super) async fn missing_anchor(ledger: &LedgerAccess, records: u64, head: &str) -> anyhow::Result<Option<String>> {
    let query = AuditQuery { format: Some(ExportFormat::Jsonl), ..AuditQuery::default() };
    let mut found = None;
    let mut line = Vec::new();
    export(ledger, &query, ExportFormat::Jsonl, &mut |piece| {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let entry: Entry = serde_json::from_slice(&line)?;
                line.clear();
                found = found.take().or_else(|| hash_of(entry, records));
            }
        }
        Ok(())
    })
    .await?;
    Ok(match found {
        Some(hash) if hash == head => None,
        Some(hash) => Some(format!("its hash is {hash}, and was {head} before")),
        None => Some("it is missing, though it was there before".to_owned()),
    })
}

fn hash_of(entry: Entry, record: u64) -> Option<String> {
    if entry.seq == record {
        return Some(entry.hash);
    }
    if entry.settled_seq == Some(record) { entry.settled_hash } else { None }
}
