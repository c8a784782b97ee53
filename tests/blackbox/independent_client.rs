//! A client that shares no code with the official one finds every feature through the gate, and a
//! server that shares none is reached through it.

#![expect(deprecated, reason = "the revisions that are spoken here have sampling, roots and logging")]

use std::sync::Arc;

use blackbox::agent::outcome;
use blackbox::gate::{Setup, token};
use blackbox::lines::run_command;
use blackbox::place::Place;
use blackbox::{eventually, npm_file};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, CreateMessageRequestParams,
    CreateMessageResult, ElicitRequestParams, ElicitResult, ElicitationAction, GetPromptRequestParams, Implementation,
    ListRootsResult, LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam,
    ReadResourceRequestParams, ResourceUpdatedNotificationParam, Root, SamplingMessage, SetLevelRequestParams,
    SubscribeRequestParams,
};
use rmcp::service::{NotificationContext, RequestContext, RunningService};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, ErrorData, RoleClient, ServiceExt as _};
use serde_json::{Value, json};
use tokio::sync::Mutex;

const EVERYTHING: &str = "@modelcontextprotocol/server-everything/dist/index.js";

/// What the client was told and asked.
#[derive(Debug, Clone, Default)]
struct Client(Arc<Mutex<Vec<String>>>);

impl Client {
    async fn heard(&self, what: &str) {
        eventually(what, async || self.0.lock().await.iter().any(|heard| heard == what).then_some(())).await;
    }

    async fn hear(&self, what: impl Into<String>) {
        self.0.lock().await.push(what.into());
    }
}

impl ClientHandler for Client {
    async fn create_message(
        &self,
        _params: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.hear("sampling").await;
        Ok(CreateMessageResult::new(SamplingMessage::assistant_text("sampled"), "none".to_owned()))
    }

    async fn list_roots(&self, _context: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        self.hear("roots").await;
        Ok(ListRootsResult::new(vec![Root::new("file:///srv/project")]))
    }

    async fn create_elicitation(
        &self,
        _request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.hear("elicitation").await;
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({ "name": "Ada", "check": true })))
    }

    async fn on_progress(&self, _params: ProgressNotificationParam, _context: NotificationContext<RoleClient>) {
        self.hear("progress").await;
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        if params.data.as_str().is_some_and(|text| text.contains("-level message")) {
            self.hear("log").await;
        }
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.hear(params.uri).await;
    }

    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_roots().enable_sampling().enable_elicitation().build();
        ClientConfig::new(capabilities, Implementation::new("independent-client", "1"))
    }
}

type Session = RunningService<RoleClient, Client>;

async fn call(session: &Session, tool: &'static str, arguments: Value) -> CallToolResult {
    let arguments = arguments.as_object().cloned().expect("arguments are an object");
    let params = CallToolRequestParams::new(tool).with_arguments(arguments);
    session.call_tool(params).await.unwrap_or_else(|error| panic!("{tool}: {error}"))
}

fn text(result: &CallToolResult) -> String {
    serde_json::to_string(result).expect("it is JSON")
}

async fn uses_every_feature(session: &Session, client: &Client) {
    let tools = eventually("the tools are there", async || {
        let tools = session.list_all_tools().await.expect("tools are listed");
        tools.iter().any(|tool| tool.name == "trigger-elicitation-request").then_some(tools)
    })
    .await;
    assert!(tools.len() > 12, "{tools:?}");
    assert!(text(&call(session, "echo", json!({ "message": "hello" })).await).contains("Echo: hello"));
    let resources = session.list_all_resources().await.expect("resources are listed");
    let uri = resources.first().expect("there is one").uri.clone();
    let read = session.read_resource(ReadResourceRequestParams::new(uri)).await.expect("it is read");
    assert!(serde_json::to_string(&read).expect("it is JSON").contains("contents"));
    assert_eq!(session.list_all_resource_templates().await.expect("templates are listed").len(), 2);
    assert_eq!(session.list_all_prompts().await.expect("prompts are listed").len(), 4);
    session.get_prompt(GetPromptRequestParams::new("simple-prompt")).await.expect("there is a prompt");
    let completed = session.complete_prompt_argument("completable-prompt", "department", "E", None).await;
    assert_eq!(completed.expect("it is completed").values, ["Engineering"]);
    session.set_level(SetLevelRequestParams::new(LoggingLevel::Debug)).await.expect("the level is set");
    call(session, "toggle-simulated-logging", json!({})).await;
    client.heard("log").await;
    let long = call(session, "trigger-long-running-operation", json!({ "duration": 0.2, "steps": 2 })).await;
    assert!(text(&long).contains("completed"));
    client.heard("progress").await;
    let watched = "demo://resource/dynamic/text/1";
    session.subscribe(SubscribeRequestParams::new(watched)).await.expect("it is subscribed to");
    call(session, "toggle-subscriber-updates", json!({})).await;
    client.heard(watched).await;
    let sampled = call(session, "trigger-sampling-request", json!({ "prompt": "a question" })).await;
    assert!(text(&sampled).contains("sampled"), "{sampled:?}");
    let elicited = call(session, "trigger-elicitation-request", json!({})).await;
    assert!(text(&elicited).contains("Ada"), "{elicited:?}");
    let roots = call(session, "get-roots-list", json!({})).await;
    assert!(text(&roots).contains("file:///srv/project"), "{roots:?}");
    client.heard("sampling").await;
    client.heard("elicitation").await;
    client.heard("roots").await;
}

#[tokio::test]
async fn an_independent_client_finds_every_feature_over_stdio() {
    let place = Place::new();
    let policy = place.write("open.json", r#"{"version":"1","default":"allow"}"#);
    let server = ["node".to_owned(), npm_file(EVERYTHING), "stdio".to_owned()];
    let command = run_command(&policy, &place.join("data"), &[], &server);
    let client = Client::default();
    let transport = TokioChildProcess::new(command).expect("the gate can be started");
    let session = client.clone().serve(transport).await.expect("a session opens");
    uses_every_feature(&session, &client).await;
    session.cancel().await.expect("the session ends");
}

#[tokio::test]
async fn an_independent_client_finds_every_feature_over_http() {
    let server = json!({ "command": "node", "args": [npm_file(EVERYTHING), "stdio"] });
    let gate = Setup::open(server).serve().await;
    let client = Client::default();
    let config = StreamableHttpClientTransportConfig::with_uri(gate.url("up")).auth_header(token("alice"));
    let transport = StreamableHttpClientTransport::from_config(config);
    let session = client.clone().serve(transport).await.expect("a session opens");
    uses_every_feature(&session, &client).await;
    session.cancel().await.expect("the session ends");
}

#[tokio::test]
async fn an_independent_server_is_judged_like_any_other() {
    let rule = json!({ "deny_if": [{ "conditions": [{ "path": "args.left", "op": "gt", "value": 100 }] }] });
    let policy = json!({ "version": "1", "default": "deny", "tools": { "add": rule } });
    let server = json!({ "command": env!("CARGO_BIN_EXE_independent-server") });
    let gate = Setup::judged(server, policy).serve().await;
    let agent = gate.session("alice").await;
    let answer = agent.call("add", json!({ "left": 2, "right": 3 })).await;
    assert_eq!(blackbox::agent::text(&answer), "5");
    assert_eq!(outcome(&agent.call("add", json!({ "left": 101, "right": 3 })).await), "deny");
    assert_eq!(outcome(&agent.call("subtract", json!({})).await), "deny");
}
