//! What the raw upstream answers: chosen by the called tool's name, and full of what a careless
//! proxy would lose: odd spacing, unknown fields, numbers that no double holds.

use serde_json::value::RawValue;

/// The result of the tool `odd`, to be found byte for byte at the agent.
pub const ODD_RESULT: &str = "{ \"content\" :[ {\"type\":\"text\" ,  \"text\":\"\\u0061\\/b \\ud83d\\ude00\"} ],\t\"x-unknown\" : {\"n\":123456789012345678901234567890, \"d\":0.1000000000000000055511151231257827,\"e\":1E400 } ,\"isError\" :false}";

/// The error of the tool `fail`, to be found byte for byte at the agent.
pub const ODD_ERROR: &str =
    "{ \"message\" : \"no such\\u0020thing\", \"code\":-32099,  \"data\":{\"b\":1,\"a\" :[ 1 , 2.50 ] }, \"x\":null }";

/// Bytes of text in the result of the tool `large`.
pub const LARGE: usize = 1024 * 1024;

/// Bytes that the tool `flood` sends: more than a gate takes that is told to take a tenth of it.
pub const FLOOD: usize = 10 * 1024 * 1024;

/// What the raw upstream does about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaction {
    /// Answers with this member of the message, as it stands: `"result":…` or `"error":…`.
    Answer(String),
    /// Reports progress so many times, then answers `ok`.
    Progress(u32),
    /// Answers `ok`, and on a cue says something that belongs to no request.
    Announce,
    /// Answers `ok` once it is let go.
    Hold,
    /// Never answers.
    Hang,
    /// Ends, or breaks the connection, without an answer.
    Die,
    /// Sends what is no JSON-RPC message.
    Nonsense,
    /// Sends far too much.
    Flood,
    /// Starts a process of its own, then answers with its id.
    Grandchild,
}

/// The raw text of a message's member.
pub fn member<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    #[derive(serde::Deserialize)]
    struct Members<'a>(#[serde(borrow)] std::collections::HashMap<String, &'a RawValue>);
    let Members(members) = serde_json::from_str(message).ok()?;
    members.get(name).map(|raw| raw.get())
}

/// A request or notification, read just so far; its numbers are left alone.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a>(&'a str);

impl<'a> Message<'a> {
    /// Reads one, if `text` is an object with a method.
    pub fn read(text: &'a str) -> Option<Self> {
        member(text, "method").map(|_| Self(text))
    }

    /// Its id, as written.
    pub fn id(self) -> Option<&'a str> {
        member(self.0, "id")
    }

    /// Its method.
    pub fn method(self) -> String {
        string(member(self.0, "method"))
    }

    /// A text among its params.
    pub fn param(self, name: &str) -> String {
        string(self.params().and_then(|params| member(params, name)))
    }

    /// Its progress token, as written.
    pub fn progress_token(self) -> &'a str {
        let meta = self.params().and_then(|params| member(params, "_meta"));
        meta.and_then(|meta| member(meta, "progressToken")).unwrap_or("null")
    }

    fn params(self) -> Option<&'a str> {
        member(self.0, "params")
    }
}

fn string(raw: Option<&str>) -> String {
    raw.and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default()
}

/// A result with one text.
pub fn text_result(text: &str) -> String {
    serde_json::json!({ "content": [{ "type": "text", "text": text }] }).to_string()
}

/// The result of the tool `large`.
pub fn large_result() -> String {
    format!("{{ \"content\":[{{\"type\":\"text\",\"text\":\"{}\"}}] , \"x\" : 1.0 }}", "wörds \\n".repeat(LARGE / 9))
}

/// What to do about a request.
pub fn reaction(message: Message<'_>) -> Reaction {
    let result = |raw: &str| Reaction::Answer(format!("\"result\":{raw}"));
    match message.method().as_str() {
        "initialize" => result(&initialize(&message.param("protocolVersion"))),
        "tools/list" => result(if message.param("cursor") == "two" { SECOND_TOOLS } else { FIRST_TOOLS }),
        "tools/call" => call(&message.param("name")),
        "resources/list" => result(RESOURCES),
        "prompts/list" => result(PROMPTS),
        _ => result("{}"),
    }
}

fn call(tool: &str) -> Reaction {
    match tool {
        "odd" => Reaction::Answer(format!("\"result\" : {ODD_RESULT}")),
        "fail" => Reaction::Answer(format!("\"error\":{ODD_ERROR}")),
        "fail_softly" => Reaction::Answer("\"result\":{\"content\":[],\"isError\":true}".to_owned()),
        "large" => Reaction::Answer(format!("\"result\":{}", large_result())),
        "progress" => Reaction::Progress(3),
        "announce" => Reaction::Announce,
        "hold" => Reaction::Hold,
        "hang" => Reaction::Hang,
        "die" => Reaction::Die,
        "nonsense" => Reaction::Nonsense,
        "flood" => Reaction::Flood,
        "grandchild" => Reaction::Grandchild,
        _ => Reaction::Answer(format!("\"result\":{}", text_result("ok"))),
    }
}

fn initialize(version: &str) -> String {
    format!(
        "{{\"protocolVersion\":\"{version}\",\"capabilities\":{{\"tools\":{{}},\"resources\":{{}},\"prompts\":{{}}}},\
         \"serverInfo\":{{\"name\":\"raw\",\"version\":\"1\"}}}}"
    )
}

const FIRST_TOOLS: &str = "{\"tools\" : [ {\"name\":\"echo\", \"inputSchema\":{\"type\":\"object\"},\"x-mine\" : [1 ,2] } , \
    {\"name\":\"delete_all\",\"inputSchema\":{\"type\":\"object\"}},{\"name\":\"odd\",\"inputSchema\":{\"type\":\"object\"} }], \
    \"nextCursor\":\"two\" , \"x-page\":1.0}";
const SECOND_TOOLS: &str = "{\"tools\":[{\"name\":\"delete_one\",\"inputSchema\":{\"type\":\"object\"}}, \
    {\"inputSchema\":{\"type\":\"object\"},\"name\":\"search\"}],\"x-page\":2.0}";
const RESOURCES: &str =
    "{\"resources\":[{\"uri\":\"file:///srv/a\",\"name\":\"a\"},{\"uri\":\"file:///etc/b\",\"name\":\"b\"}]}";
const PROMPTS: &str = "{\"prompts\":[{\"name\":\"summarise\"},{\"name\":\"secret\"}]}";

/// Writes a message around an answer, with the id as the request wrote it.
pub fn reply(raw_id: &str, member: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{raw_id},{member}}}")
}

/// The params of a progress notification for a request with this token.
pub fn progress_params(raw_token: &str, step: u32) -> String {
    format!("{{ \"progress\":{step}, \"total\" :3,\"progressToken\":{raw_token},\"x-odd\":1.0}}")
}

/// A progress notification for a request.
pub fn progress(message: Message<'_>, step: u32) -> String {
    let params = progress_params(message.progress_token(), step);
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{params}}}")
}

/// A notification that belongs to no request.
pub const ANNOUNCEMENT: &str = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\",\
    \"params\":{ \"uri\" :\"file:///srv/a\",\"x-odd\":1.0}}";
