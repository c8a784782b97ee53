//! The ledger of a directory: through the gateway that holds it, or directly.

use std::path::Path;

use anyhow::{Context, bail};
use ledger::{Ledger, OpenError, Options};

use crate::api_client::Client;
use crate::data_dir;

/// How the ledger is reached.
pub(crate) enum LedgerAccess {
    /// A running gateway holds it.
    Gateway(Client),
    /// Nobody else does, or only those who share it.
    Direct(Ledger),
}

/// Whether a directory without a ledger is one to be made, or a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfAbsent {
    Create,
    Complain,
}

impl LedgerAccess {
    /// Reaches the ledger in `directory`.
    ///
    /// The lock says whether a gateway runs, not the files that a dead one may have left: so the
    /// admin token is never sent to a stranger that got its port.
    pub(crate) fn open(directory: &Path, if_absent: IfAbsent) -> anyhow::Result<Self> {
        match if_absent {
            IfAbsent::Create => data_dir::create(directory)?,
            IfAbsent::Complain if is_empty(directory) => {
                bail!("there is no ledger in `{}`: name its directory with `--data-dir`", directory.display())
            }
            IfAbsent::Complain => {}
        }
        match Ledger::open_shared(directory, Options::default()) {
            Ok(ledger) => Ok(Self::Direct(ledger)),
            Err(OpenError::HeldByGateway(_)) => {
                let client = Client::of_directory(directory)
                    .with_context(|| format!("a gateway holds `{}`, but cannot be reached", directory.display()))?;
                Ok(Self::Gateway(client))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Lets go of the ledger.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Gateway(_) => Ok(()),
            Self::Direct(ledger) => Ok(ledger.close().await?),
        }
    }
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none())
}

/// Runs a command's asynchronous part on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("could not start")?.block_on(work)
}
