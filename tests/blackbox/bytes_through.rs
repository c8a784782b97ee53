//! The values of `params`, `result` and `error` arrive as they were sent.

use blackbox::answers::{self, ODD_ERROR, ODD_RESULT, member};
use blackbox::gate::Setup;
use blackbox::http_upstream::HttpUpstream;
use blackbox::lines::LineAgent;
use blackbox::place::Place;

use crate::stdio_gate::{self, recorded_lines};

const ODD_PARAMS: &str = "{ \"arguments\" : {\"z\":1 , \"a\": [ 1.50,-0, 1e400 ,123456789012345678901234567890 ] ,\"\":null,\"é\\u00e9\":\"\\u0000\\/\"},\
     \t\"name\":\"o\\u0064d\" , \"_meta\":{ \"trace\" :[ ] }, \"x-unknown\": { } }";

fn large_params() -> String {
    format!("{{\"name\":\"odd\",\"arguments\":{{ \"text\":\"{}\"}}}}", "wörds \\t".repeat(1024 * 1024 / 9))
}

#[tokio::test]
async fn over_http_params_and_result_arrive_byte_for_byte() {
    let upstream = HttpUpstream::start().await;
    let gate = Setup::open(upstream.server()).serve().await;
    let agent = gate.session("alice").await;
    for streams in [false, true] {
        if streams {
            upstream.answer_with_streams();
        }
        for params in [ODD_PARAMS.to_owned(), ODD_PARAMS.replace(" ,", "\r\n,"), large_params()] {
            upstream.forget_received();
            let body =
                format!(" {{\"id\" : \"a-1\",\"params\" :{params}, \"method\":\"tools/call\",\"jsonrpc\":\"2.0\"}}\n");
            let reply = agent.post(body).await;
            let received = upstream.received_of("tools/call");
            assert_eq!(received.len(), 1);
            assert_eq!(member(received[0].text(), "params"), Some(params.as_str()));
            let answer = reply.message();
            assert_eq!(member(&answer, "result"), Some(ODD_RESULT), "streams: {streams}");
            assert_eq!(member(&answer, "id"), Some("\"a-1\""));
        }
    }
}

#[tokio::test]
async fn over_http_errors_and_large_results_arrive_byte_for_byte() {
    let upstream = HttpUpstream::start().await;
    let gate = Setup::open(upstream.server()).serve().await;
    let agent = gate.session("alice").await;
    for streams in [false, true] {
        if streams {
            upstream.answer_with_streams();
        }
        let call = |tool: &str| {
            format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\"}}}}")
        };
        let answer = agent.post(call("fail")).await.message();
        assert_eq!(member(&answer, "error"), Some(ODD_ERROR), "streams: {streams}");
        let answer = agent.post(call("large")).await.message();
        assert!(member(&answer, "result") == Some(&answers::large_result()), "the large result changed");
    }
}

#[tokio::test]
async fn over_stdio_params_results_and_errors_arrive_byte_for_byte() {
    let place = Place::new();
    let record = place.join("record");
    let mut agent = LineAgent::open(stdio_gate::open(&place, &record)).await;
    for params in [ODD_PARAMS.to_owned(), large_params()] {
        let answer = agent.request_raw("tools/call", &params).await;
        assert_eq!(member(&answer, "result"), Some(ODD_RESULT));
        let lines = recorded_lines(&record);
        let last = lines.last().expect("it reached the server");
        assert!(member(last, "params") == Some(params.as_str()), "the params changed");
    }
    let answer = agent.request_raw("tools/call", "{\"name\":\"fail\"}").await;
    assert_eq!(member(&answer, "error"), Some(ODD_ERROR));
    let answer = agent.request_raw("tools/call", "{\"name\":\"large\"}").await;
    assert!(member(&answer, "result") == Some(&answers::large_result()), "the large result changed");
    assert_eq!(agent.close().await, Some(0));
}

#[tokio::test]
async fn line_breaks_outside_strings_are_all_that_changes_towards_stdio() {
    let place = Place::new();
    let record = place.join("record");
    let gate = Setup::open(stdio_gate::raw_server(&record)).serve().await;
    let agent = gate.session("alice").await;
    let params = ODD_PARAMS.replace(" ,", "\r\n,").replace("{ ", "{\n");
    let body = format!("{{\"jsonrpc\":\"2.0\",\n\"id\":1,\"method\":\"tools/call\",\"params\":{params}}}\n");
    let answer = agent.post(body).await.message();
    assert_eq!(member(&answer, "result"), Some(ODD_RESULT));
    let lines = recorded_lines(&record);
    let last = lines.last().expect("it reached the server");
    assert_eq!(member(last, "params"), Some(params.replace(['\r', '\n'], "").as_str()));
}

#[tokio::test]
async fn progress_comes_before_the_answer_with_its_unknown_fields() {
    let upstream = HttpUpstream::start().await;
    let gate = Setup::open(upstream.server()).serve().await;
    let agent = gate.session("alice").await;
    let params = "{\"name\":\"progress\",\"_meta\":{\"progressToken\":\"t-1\"}}";
    let reply =
        agent.post(format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{params}}}")).await;
    let messages = reply.messages();
    assert_eq!(messages.len(), 4, "{messages:?}");
    for (message, step) in messages.iter().zip(1..=3) {
        assert_eq!(member(message, "params"), Some(answers::progress_params("\"t-1\"", step).as_str()));
    }
}
