//! What a policy hides is not there, in no list and under no name.

use blackbox::answers::member;
use blackbox::gate::Setup;
use blackbox::http_upstream::HttpUpstream;
use serde_json::json;

fn list(params: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{params}}}")
}

#[tokio::test]
async fn every_page_of_a_list_is_filtered_and_otherwise_unchanged() {
    let upstream = HttpUpstream::start().await;
    let policy = json!({ "version": "1", "default": "allow", "hide": ["delete_*"] });
    let gate = Setup::judged(upstream.server(), policy).serve().await;
    let agent = gate.session("alice").await;
    for params in ["{}", "{\"cursor\":\"two\"}"] {
        let answer = agent.post(list(params)).await.message();
        assert!(!answer.contains("delete_"), "{answer}");
    }
    let first = agent.post(list("{}")).await.message();
    let result = member(&first, "result").expect("it is a result");
    for kept in [
        "{\"name\":\"echo\", \"inputSchema\":{\"type\":\"object\"},\"x-mine\" : [1 ,2] }",
        "{\"name\":\"odd\",\"inputSchema\":{\"type\":\"object\"} }",
        "\"nextCursor\":\"two\"",
        "\"x-page\":1.0",
    ] {
        assert!(result.contains(kept), "`{kept}` is not in {result}");
    }
    let second = agent.post(list("{\"cursor\":\"two\"}")).await.json();
    assert_eq!(second["result"]["tools"], json!([{ "inputSchema": { "type": "object" }, "name": "search" }]));
}

#[tokio::test]
async fn a_hidden_tool_cannot_be_told_from_an_unknown_one() {
    for default in ["allow", "deny"] {
        let upstream = HttpUpstream::start().await;
        let policy = json!({ "version": "1", "default": default, "hide": ["delete_*"], "tools": { "echo": {} } });
        let gate = Setup::judged(upstream.server(), policy).serve().await;
        let agent = gate.session("alice").await;
        let call = async |name: &str| {
            let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": name } });
            let reply = agent.post(body.to_string()).await;
            let mut names: Vec<String> = reply.headers.keys().map(ToString::to_string).collect();
            names.sort();
            (reply.status, names, reply.message().replace(name, "NAME"))
        };
        let hidden = call("delete_all").await;
        assert_eq!(hidden, call("delete_one").await, "on the second page");
        assert_eq!(hidden, call("delete_xyz").await, "hidden, and absent from the server");
        assert_eq!(hidden, call("unheard_of").await, "absent from the server");
        assert!(hidden.2.contains("-32602") && hidden.2.contains("Unknown tool: NAME"), "{}", hidden.2);
        assert_eq!(upstream.received_of("tools/call").len(), 0);
        assert_eq!(agent.call("echo", json!({})).await["result"]["content"][0]["text"], "ok");
        let hides = gate.records().await.iter().filter(|record| record["outcome"] == "hide").count();
        assert!(hides >= 3, "hidden calls are recorded");
    }
}

#[tokio::test]
async fn what_is_denied_by_default_is_in_no_list_of_resources_and_prompts_and_cannot_be_read() {
    let upstream = HttpUpstream::start().await;
    let policy = json!({
        "version": "1", "default": "deny", "tools": { "echo": {} },
        "resources": { "file:///srv/*": {} }, "prompts": { "summarise": {} },
    });
    let gate = Setup::judged(upstream.server(), policy).serve().await;
    let agent = gate.session("alice").await;
    let read = async |uri: &str| agent.request("resources/read", &json!({ "uri": uri }).to_string()).await;
    assert!(read("file:///srv/a").await.get("result").is_some());
    for uri in ["file:///etc/b", "file:///srv/../etc/b", "file:///srv/%2e%2e/etc/b"] {
        let answer = read(uri).await;
        assert_eq!(blackbox::agent::outcome(&answer), "deny", "{uri}: {answer}");
    }
    assert!(agent.request("prompts/get", "{\"name\":\"summarise\"}").await.get("result").is_some());
    let answer = agent.request("prompts/get", "{\"name\":\"secret\"}").await;
    assert_eq!(blackbox::agent::outcome(&answer), "deny", "{answer}");
    assert_eq!(upstream.received_of("resources/read").len(), 1);
    assert_eq!(upstream.received_of("prompts/get").len(), 1);
}
