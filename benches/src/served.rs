//! How the processes that this one starts say where they listen, and know when to end.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Writes the address to standard output, then accepts until standard input closes.
pub(crate) async fn announced<'l>(
    listener: &'l TcpListener,
    accept: impl AsyncFnOnce(&'l TcpListener) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut stdout = tokio::io::stdout();
    stdout.write_all(format!("{}\n", listener.local_addr()?).as_bytes()).await?;
    stdout.flush().await?;
    tokio::select! {
        ended = accept(listener) => ended,
        _ = async { tokio::io::stdin().read_to_end(&mut Vec::new()).await } => Ok(()),
    }
}
