//! What the server behind `run` is called in records, where nobody gave it a name.

/// Launchers whose first plain argument says more than they do.
const LAUNCHERS: [&str; 10] = ["npx", "bunx", "uvx", "pipx", "node", "deno", "bun", "python", "python3", "uv"];
/// Words between a launcher and what it launches.
const VERBS: [&str; 3] = ["run", "tool", "exec"];
const FALLBACK: &str = "server";

/// A name for the server that `command` starts: `npx -y @scope/server-files@1 /srv` is
/// `server-files`.
pub(super) fn of_command(command: &[String]) -> String {
    let program = command.first().map(|program| last_segment(program)).unwrap_or_default();
    let launched =
        command.iter().skip(1).find(|argument| !argument.starts_with('-') && !VERBS.contains(&argument.as_str()));
    match launched {
        Some(launched) if LAUNCHERS.contains(&program) => as_name(without_version(last_segment(launched))),
        _ => as_name(program),
    }
}

/// A name for the server at `url`: its host.
pub(super) fn of_url(url: &str) -> String {
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = behind_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    as_name(host)
}

fn last_segment(path: &str) -> &str {
    path.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default()
}

fn without_version(package: &str) -> &str {
    package.split_once('@').map_or(package, |(name, _)| name)
}

/// Text as a server's name: lower-case letters, digits and single hyphens between them.
fn as_name(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let words = lower.split(|character: char| !character.is_ascii_alphanumeric());
    let name = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    if name.is_empty() { FALLBACK.to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launcher_is_named_after_what_it_launches() {
        for (command, name) in [
            ("npx -y @modelcontextprotocol/server-filesystem@1.2.3 /srv", "server-filesystem"),
            ("uv run my_server.py", "my-server-py"),
            ("python3 -m mcp_server_git", "mcp-server-git"),
            ("/usr/local/bin/Files", "files"),
            ("node /opt/server/dist/index.js", "index-js"),
            ("npx", "npx"),
            ("_", "server"),
        ] {
            let command: Vec<String> = command.split(' ').map(str::to_owned).collect();
            assert_eq!(of_command(&command), name);
        }
    }

    #[test]
    fn an_address_is_named_after_its_host() {
        for (url, name) in [
            ("https://mcp.example.com/mcp", "mcp-example-com"),
            ("http://127.0.0.1:3001/mcp?x=http://y", "127-0-0-1"),
            ("http://[::1]:80", "1"),
        ] {
            assert_eq!(of_url(url), name);
        }
    }
}
