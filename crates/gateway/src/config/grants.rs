//! The `grants` section.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderValue;
use policy::Timestamp;
use policy::document::NodeKind;

use super::model::{Access, GrantConfig};
use super::reader::{Fields, Place, Reader};
use super::servers::MAX_NAME;
use super::suggest;

/// The shortest token that the configuration may give, in characters.
pub(super) const MIN_TOKEN: usize = 32;

const GRANT_FIELDS: [&str; 5] = ["label", "token", "token_sha256", "access", "expires"];
const ACCESS_FIELDS: [&str; 2] = ["server", "policy"];

/// The names that grants may refer to, whether what they name is otherwise in order or not.
pub(super) struct Known<'k> {
    pub(super) servers: Vec<&'k str>,
    pub(super) policies: Vec<&'k str>,
}

/// Reads all grants; those with problems are left out, the problems are in the reader.
pub(super) fn read(reader: &mut Reader<'_>, place: &Place<'_>, known: &Known<'_>) -> Vec<GrantConfig> {
    let help = "write `- label: …` for each grant";
    let items = reader.list(place, "`grants`", help).unwrap_or_default();
    let mut labels = BTreeSet::new();
    let mut tokens = BTreeMap::new();
    let mut grants = Vec::new();
    for item in items {
        let Some(fields) = reader.fields(&item, "a grant", &GRANT_FIELDS) else { continue };
        let label = read_label(reader, &fields, &mut labels);
        let token_sha256 = read_token(reader, &fields);
        if let (Some(digest), Some(label)) = (token_sha256, &label)
            && let Some(other) = tokens.insert(digest, label.clone())
        {
            let message = format!("grants `{other}` and `{label}` have the same token");
            reader.error(&item, message, "give each grant a token of its own");
        }
        let access = read_access(reader, &fields, known);
        let expires = fields.get("expires").map(|at| read_expiry(reader, &at));
        if let (Some(label), Some(token_sha256), Some(access)) = (label, token_sha256, access)
            && let Some(expires) = expires.map_or(Some(None), |expires| expires.map(Some))
        {
            grants.push(GrantConfig { label, token_sha256, access, expires });
        }
    }
    grants
}

fn read_label(reader: &mut Reader<'_>, fields: &Fields<'_>, labels: &mut BTreeSet<String>) -> Option<String> {
    let Some(place) = fields.get("label") else {
        reader.error(&fields.place, "a grant needs a `label`".to_owned(), "add `label: alice-laptop`");
        return None;
    };
    let label = reader.text(&place, "`label`")?;
    if !is_label(label) {
        let message = format!("`{label}` is not a label");
        let help = format!("use up to {MAX_NAME} characters, without control characters and without spaces around");
        reader.error(&place, message, help);
        return None;
    }
    if !labels.insert(label.to_owned()) {
        let help = "give each grant a label of its own";
        reader.error(&place, format!("duplicate grant `{label}`"), help);
        return None;
    }
    Some(label.to_owned())
}

/// Whether `label` can be the label of a grant.
pub fn is_label(label: &str) -> bool {
    (1..=MAX_NAME).contains(&label.chars().count()) && label.trim() == label && !label.contains(char::is_control)
}

fn read_token(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<[u8; 32]> {
    match (fields.get("token"), fields.get("token_sha256")) {
        (Some(token), None) => read_plain_token(reader, &token),
        (None, Some(digest)) => read_digest(reader, &digest),
        (Some(_), Some(digest)) => {
            let message = "a grant has `token` or `token_sha256`, not both".to_owned();
            reader.error(&digest, message, "remove one of them");
            None
        }
        (None, None) => {
            let message = "a grant needs a `token` or a `token_sha256`".to_owned();
            reader.error(&fields.place, message, "add `token: \"${ALICE_TOKEN}\"`");
            None
        }
    }
}

fn read_plain_token(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<[u8; 32]> {
    let token = reader.secret(place, "`token`")?;
    let length = token.chars().count();
    if length < MIN_TOKEN {
        let message = format!("`token` has {length} characters, and {MIN_TOKEN} are the least");
        reader.error(place, message, "make one with `openssl rand -hex 32`");
        return None;
    }
    if HeaderValue::from_bytes(token.as_bytes()).is_err() || token.trim() != token {
        let message = "`token` has characters that no client could send".to_owned();
        reader.error(place, message, "use letters, digits and punctuation, on one line");
        return None;
    }
    if matches!(&place.node.kind, NodeKind::String(written) if *written == token) {
        let help = "write `token: \"${NAME}\"` or `token: \"file:PATH\"`, or give its `token_sha256`";
        reader.warning(place, "the token stands readable in this file".to_owned(), help);
    }
    Some(sha256(token.as_bytes()))
}

fn read_digest(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<[u8; 32]> {
    let text = reader.filled(place, "`token_sha256`")?;
    let digest = from_hex(&text);
    if digest.is_none() {
        let message = "`token_sha256` is not a SHA-256 digest in hexadecimal".to_owned();
        let help = "write the 64 digits that `printf %s \"$TOKEN\" | sha256sum` prints";
        reader.error(place, message, help);
    }
    digest
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let mut array = [0; 32];
    array.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    array
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(digest)
}

fn read_access(reader: &mut Reader<'_>, fields: &Fields<'_>, known: &Known<'_>) -> Option<Vec<Access>> {
    let example = "write `access: [ { server: NAME, policy: NAME } ]`";
    let Some(place) = fields.get("access") else {
        reader.error(&fields.place, "a grant needs `access`".to_owned(), example);
        return None;
    };
    let items = reader.list(&place, "`access`", example)?;
    if items.is_empty() {
        reader.error(&place, "a grant without access opens nothing".to_owned(), example);
        return None;
    }
    let count = items.len();
    let mut access: Vec<Access> = Vec::new();
    for item in items {
        let Some(fields) = reader.fields(&item, "an access", &ACCESS_FIELDS) else { continue };
        let server = read_reference(reader, &fields, "server", &known.servers);
        let policy = read_reference(reader, &fields, "policy", &known.policies);
        let (Some(server), Some(policy)) = (server, policy) else { continue };
        if access.iter().any(|other| other.server == server) {
            let message = format!("duplicate server `{server}` in one grant");
            reader.error(&item, message, "keep one policy for it");
            continue;
        }
        access.push(Access { server, policy });
    }
    (access.len() == count).then_some(access)
}

fn read_reference(reader: &mut Reader<'_>, fields: &Fields<'_>, field: &str, known: &[&str]) -> Option<String> {
    let Some(place) = fields.get(field) else {
        let help = format!("add `{field}: NAME`");
        reader.error(&fields.place, format!("an access needs a `{field}`"), help);
        return None;
    };
    let name = reader.text(&place, &format!("`{field}`"))?;
    if known.contains(&name) {
        return Some(name.to_owned());
    }
    let section = if field == "server" { "servers" } else { "policies" };
    let help = if known.is_empty() {
        format!("add it under `{section}`")
    } else {
        suggest::instead_of(name, known, &format!("`{section}` has"))
    };
    reader.error(&place, format!("there is no {field} `{name}`"), help);
    None
}

fn read_expiry(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<Timestamp> {
    let text = reader.text(place, "`expires`")?;
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Some(Timestamp::from_micros(time.as_microsecond())),
        Err(_) => {
            let message = format!("`expires` is not a time: `{text}`");
            reader.error(place, message, "write it as `2027-01-01T00:00:00Z`");
            None
        }
    }
}
