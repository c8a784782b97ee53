//! What a running gateway leaves in its data directory so that the command line finds it: its
//! address and the admin token, readable by its owner alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::api_types::Presence;

/// The file with the address.
const PRESENCE: &str = "gateway.json";
/// The file with the admin token.
const ADMIN_TOKEN: &str = "admin-token";

/// The file that says where the gateway is; removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Announced(PathBuf);

impl Drop for Announced {
    fn drop(&mut self) {
        // A file that stays behind names a process that is gone, and is not believed.
        let _ = fs::remove_file(&self.0);
    }
}

/// Says where the gateway is.
///
/// # Errors
///
/// If the file cannot be written.
pub(crate) fn announce(data_dir: &Path, address: SocketAddr) -> io::Result<Announced> {
    let path = data_dir.join(PRESENCE);
    let presence = Presence { address: connectable(address).to_string(), pid: std::process::id() };
    let text = serde_json::to_string(&presence).map_err(io::Error::other)?;
    write_private(&path, text.as_bytes())?;
    Ok(Announced(path))
}

/// The admin token, made at the first start.
///
/// # Errors
///
/// If the file cannot be read or written, or holds too little to be a token.
pub(crate) fn admin_token(data_dir: &Path) -> io::Result<String> {
    let path = data_dir.join(ADMIN_TOKEN);
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= 32 => Ok(text.trim().to_owned()),
        Ok(_) => {
            Err(io::Error::other(format!("`{}` holds no token; remove it, and a new one is made", path.display())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bits = [0_u8; 32];
            getrandom::fill(&mut bits).map_err(io::Error::other)?;
            let token = format!("ta_{}", URL_SAFE_NO_PAD.encode(bits));
            write_private(&path, format!("{token}\n").as_bytes())?;
            Ok(token)
        }
        Err(error) => Err(error),
    }
}

/// Replaces a file in one step; only its owner may read it.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// An address that somebody on this machine can connect to.
fn connectable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
