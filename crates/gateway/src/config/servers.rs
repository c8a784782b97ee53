//! The `servers` section.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::http_server;
use super::model::{ChildServer, ServerConfig, ServerKind};
use super::reader::{Fields, Place, Reader};
use super::secret::Secret;
use super::settings;

/// The longest server, policy or label name, in characters.
pub(super) const MAX_NAME: usize = 128;

const SERVER_FIELDS: [&str; 8] = ["command", "args", "env", "cwd", "url", "headers", "builtin", "timeout"];
const CHILD_FIELDS: [&str; 4] = ["command", "args", "env", "cwd"];
const HTTP_FIELDS: [&str; 2] = ["url", "headers"];

/// Reads all servers; those with problems are left out, the problems are in the reader.
pub(super) fn read(reader: &mut Reader<'_>, place: &Place<'_>, call_timeout: Duration) -> Vec<ServerConfig> {
    let entries = reader.map(place, "`servers`").unwrap_or_default();
    let mut servers = Vec::new();
    for entry in entries {
        let server = place.entry(entry);
        if !is_server_name(&entry.key) {
            let message = format!("`{}` is not a name for a server", entry.key);
            let help = format!("use lower-case letters, digits and `-`, a letter or digit first, at most {MAX_NAME}");
            reader.error(&server, message, help);
        }
        let kind = read_server(reader, &server, &entry.key, call_timeout);
        servers.extend(kind);
    }
    servers
}

fn is_server_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= MAX_NAME
        && name.bytes().next().is_some_and(allowed)
        && name.bytes().all(|byte| allowed(byte) || byte == b'-')
}

fn read_server(reader: &mut Reader<'_>, place: &Place<'_>, name: &str, call_timeout: Duration) -> Option<ServerConfig> {
    let fields = reader.fields(place, &format!("server `{name}`"), &SERVER_FIELDS)?;
    let own_timeout = fields.get("timeout").and_then(|at| settings::timeout(reader, &at, "`timeout`"));
    let kind = match (fields.get("command"), fields.get("url"), fields.get("builtin")) {
        (Some(command), None, None) => {
            refuse_fields(reader, &fields, &HTTP_FIELDS, "`url`");
            ServerKind::Child(read_child(reader, &fields, &command)?)
        }
        (None, Some(url), None) => {
            refuse_fields(reader, &fields, &CHILD_FIELDS, "`command`");
            ServerKind::Http(http_server::read(reader, &fields, &url)?)
        }
        (None, None, Some(builtin)) => {
            let message = "built-in servers are not part of this version of toolgate".to_owned();
            reader.error(&builtin, message, "give the server a `command` or a `url`");
            return None;
        }
        (None, None, None) => {
            let message = format!("server `{name}` has neither `command` nor `url`");
            reader.error(place, message, "say how it is started (`command`) or where it is (`url`)");
            return None;
        }
        (_, _, _) => {
            let message = format!("server `{name}` has more than one of `command`, `url` and `builtin`");
            reader.error(place, message, "keep the one that says how it is reached");
            return None;
        }
    };
    Some(ServerConfig { name: name.to_owned(), kind, call_timeout: own_timeout.unwrap_or(call_timeout) })
}

fn refuse_fields(reader: &mut Reader<'_>, fields: &Fields<'_>, names: &[&str], owner: &str) {
    for field in names.iter().filter_map(|name| fields.get(name).map(|at| (name, at))) {
        let message = format!("`{}` belongs to a server with {owner}", field.0);
        reader.error(&field.1, message, "remove it");
    }
}

fn read_child(reader: &mut Reader<'_>, fields: &Fields<'_>, command: &Place<'_>) -> Option<ChildServer> {
    let program = reader.filled(command, "`command`");
    if program.as_deref().is_some_and(|program| program.trim().is_empty()) {
        reader.error(command, "`command` is empty".to_owned(), "name the program to start");
    } else if program.as_deref().is_some_and(|program| looks_like_a_line(reader, program)) {
        let help = "put the program in `command` and each argument in the list `args`";
        reader.warning(command, "`command` looks like a whole command line".to_owned(), help);
    }
    let args = fields.get("args").map_or_else(Vec::new, |at| read_args(reader, &at));
    let env = fields.get("env").map_or_else(Vec::new, |at| read_env(reader, &at));
    let cwd = fields.get("cwd").and_then(|at| reader.filled(&at, "`cwd`"));
    let program = program?;
    Some(ChildServer {
        command: program_path(reader, program),
        args,
        env,
        cwd: cwd.map_or_else(|| reader.base_dir.to_owned(), |cwd| reader.resolve(&cwd)),
    })
}

fn looks_like_a_line(reader: &Reader<'_>, program: &str) -> bool {
    program.contains(' ') && !reader.base_dir.join(program).exists()
}

/// A program with a slash is a path and starts at the configuration's directory, as all paths do;
/// one without is looked up in `PATH`.
fn program_path(reader: &Reader<'_>, program: String) -> String {
    if program.contains('/') && Path::new(&program).is_relative() {
        let path: PathBuf = reader.resolve(&program);
        return path.to_str().map_or(program, str::to_owned);
    }
    program
}

fn read_args(reader: &mut Reader<'_>, place: &Place<'_>) -> Vec<String> {
    let items = reader.list(place, "`args`", "write `[\"--flag\", \"value\"]`").unwrap_or_default();
    let mut args = Vec::new();
    for item in items {
        args.extend(reader.filled(&item, "an argument"));
    }
    args
}

fn read_env(reader: &mut Reader<'_>, place: &Place<'_>) -> Vec<(String, Secret)> {
    let entries = reader.map(place, "`env`").unwrap_or_default();
    let mut variables = Vec::new();
    for entry in entries {
        let at = place.entry(entry);
        if entry.key.is_empty() || entry.key.contains(['=', '\0']) {
            let message = format!("`{}` is not a name for an environment variable", entry.key);
            reader.error(&at, message, "use letters, digits and `_`");
        }
        let Some(value) = reader.secret(&at, &format!("`{}`", entry.key)) else { continue };
        if value.contains('\0') {
            let message = format!("the value of `{}` contains a NUL character", entry.key);
            reader.error(&at, message, "remove it: no program could be given such a variable");
            continue;
        }
        variables.push((entry.key.clone(), Secret::new(value)));
    }
    variables
}
