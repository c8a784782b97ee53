//! Upstreams that are child processes: small shell scripts that behave well, badly, and not at all.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use mcp::client::child::{Command, Connection, Limits};
use mcp::client::{Event, Exchange, Incoming, Outgoing, Reply, ReplyKind, Upstream, UpstreamError};
use mcp::envelope::IdKey;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// No condition here takes nearly as long; reaching it means that it never comes.
const NEVER: Duration = Duration::from_secs(30);

type Stderr = Arc<Mutex<Vec<String>>>;

struct Child {
    upstream: Upstream,
    incoming: Receiver<Incoming>,
    stderr: Stderr,
    id: u32,
}

fn shell(script: &str) -> Command {
    Command {
        program: "sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: vec![("PATH".to_owned(), std::env::var("PATH").unwrap())],
        cwd: None,
    }
}

fn limits() -> Limits {
    Limits { close_step: Duration::from_millis(200), ..Limits::default() }
}

async fn start(script: &str) -> Child {
    start_with(shell(script), limits()).await
}

async fn start_with(command: Command, limits: Limits) -> Child {
    let stderr = Stderr::default();
    let lines = Arc::clone(&stderr);
    let on_stderr = move |line: &str| lines.lock().unwrap().push(line.to_owned());
    let (connection, incoming) = Connection::spawn(command, limits, on_stderr).await.unwrap();
    let id = connection.process_id();
    Child { upstream: Upstream::Child(connection), incoming, stderr, id }
}

impl Child {
    async fn request(&self, id: i64) -> Result<Exchange, UpstreamError> {
        let body = Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call"}}"#));
        self.upstream.request(Outgoing { body, id: IdKey::from(id), method: "tools/call" }).await
    }

    async fn call(&self, id: i64) -> Result<Reply, UpstreamError> {
        reply(self.request(id).await?).await
    }

    async fn next_incoming(&mut self) -> Incoming {
        timeout(NEVER, self.incoming.recv()).await.unwrap().unwrap()
    }
}

async fn reply(mut exchange: Exchange) -> Result<Reply, UpstreamError> {
    match timeout(NEVER, exchange.next()).await.unwrap()? {
        Event::Reply(reply) => Ok(reply),
        Event::Message(message) => panic!("a child's exchange has no messages: {message:?}"),
    }
}

/// Waits until the condition holds.
async fn until(mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(NEVER, waiting).await.unwrap();
}

/// Whether no such process is left, not even as a zombie.
fn is_reaped(process: u32) -> bool {
    !Path::new(&format!("/proc/{process}")).exists()
}

/// Whether a process that is not ours to reap runs no more.
fn is_dead(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|state| state.is_empty() || state.starts_with('Z') || state.starts_with('X'))
}

/// Answers every line with the next id, counting from 1.
const ANSWERS: &str =
    r#"while read -r line; do n=$((n+1)); echo "{\"jsonrpc\":\"2.0\",\"id\":$n,\"result\":{\"n\": $n}}"; done"#;

#[tokio::test]
async fn requests_are_answered() {
    let child = start(ANSWERS).await;
    for id in 1..4 {
        let reply = child.call(id).await.unwrap();
        assert_eq!(reply.kind(), ReplyKind::Result);
        assert_eq!(reply.outcome(), format!(r#"{{"n": {id}}}"#));
        assert_eq!(reply.with_id("\"x\""), format!(r#"{{"jsonrpc":"2.0","id":"x","result":{{"n": {id}}}}}"#));
    }
}

#[tokio::test]
async fn replies_find_their_requests_in_any_order() {
    let child = start(
        r#"read -r a; read -r b
        echo '{"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":"no"}}'
        echo '{"jsonrpc":"2.0","id":1,"result":{"isError":true}}'; read -r c"#,
    )
    .await;
    let (first, second) = (child.request(1).await.unwrap(), child.request(2).await.unwrap());
    assert_eq!(reply(first).await.unwrap().kind(), ReplyKind::ErrorResult);
    assert_eq!(reply(second).await.unwrap().kind(), ReplyKind::Error);
}

#[tokio::test]
async fn what_is_said_unasked_comes_through_the_receiver() {
    let mut child = start(
        r#"echo '{"jsonrpc":"2.0","method":"notifications/x"}'
        echo '{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage"}'; read -r line"#,
    )
    .await;
    let expected = [
        r#"{"jsonrpc":"2.0","method":"notifications/x"}"#,
        r#"{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage"}"#,
    ];
    for message in expected {
        assert_eq!(child.next_incoming().await, Incoming::Message(Bytes::from_static(message.as_bytes())));
    }
}

#[tokio::test]
async fn a_notification_is_written() {
    let child = start(r#"read -r line; echo "got $line" >&2; read -r line"#).await;
    child.upstream.send(Bytes::from_static(b"{}")).await.unwrap();
    until(|| *child.stderr.lock().unwrap() == ["got {}"]).await;
}

#[tokio::test]
async fn a_message_with_a_line_break_is_not_sent() {
    let child = start("read -r line").await;
    let error = child.upstream.send(Bytes::from_static(b"{\n}")).await.unwrap_err();
    assert!(error.nothing_was_sent());
    assert!(!child.upstream.is_closed());
}

#[tokio::test]
async fn an_id_may_be_under_way_only_once_but_be_used_again() {
    let child =
        start(r#"read -r a; echo got >&2; read -r b; echo '{"jsonrpc":"2.0","id":1,"result":{}}'; read -r c"#).await;
    let first = child.request(1).await.unwrap();
    assert!(child.request(1).await.unwrap_err().nothing_was_sent());
    until(|| *child.stderr.lock().unwrap() == ["got"]).await;
    drop(first);
    let again = child.request(1).await.unwrap();
    assert!(reply(again).await.is_ok());
}

#[tokio::test]
async fn the_environment_is_exactly_what_was_given() {
    let mut command = shell(r#"echo "$(env | grep -vE '^(PWD|SHLVL|_)=' | sort | tr '\n' ' ')" >&2; read -r line"#);
    command.env.push(("KEY".to_owned(), "a value".to_owned()));
    let path = command.env[0].1.clone();
    let child = start_with(command, limits()).await;
    until(|| *child.stderr.lock().unwrap() == [format!("KEY=a value PATH={path} ")]).await;
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_named() {
    let missing = Command { program: "no-such-program".to_owned(), ..shell("") };
    let error = Connection::spawn(missing, limits(), |_| {}).await.unwrap_err();
    assert!(error.nothing_was_sent());
    assert_eq!(
        error.to_string(),
        "could not start `no-such-program`: no such program; give its path, or a PATH that holds it"
    );
}

#[tokio::test]
async fn a_directory_that_does_not_exist_is_named() {
    let lost = Command { cwd: Some("/no/such/directory".into()), ..shell("") };
    let error = Connection::spawn(lost, limits(), |_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "could not start `sh`: its directory `/no/such/directory` does not exist");
}

#[tokio::test]
async fn a_child_that_dies_fails_what_is_under_way_and_names_its_status() {
    let mut child = start("read -r line; exit 3").await;
    let error = child.call(1).await.unwrap_err();
    assert_eq!(error, UpstreamError::Unknown("the upstream process exited with status 3".to_owned()));
    let closed = Incoming::Closed("the upstream process exited with status 3".to_owned());
    assert_eq!(child.next_incoming().await, closed);
    assert!(child.upstream.is_closed());
    let later = child.call(2).await.unwrap_err();
    assert_eq!(later, UpstreamError::NotSent("the upstream process exited with status 3".to_owned()));
    assert!(is_reaped(child.id));
}

#[tokio::test]
async fn a_child_ended_by_a_signal_is_told_apart() {
    let child = start("read -r line; kill -TERM $$").await;
    let error = child.call(1).await.unwrap_err();
    assert_eq!(error.to_string(), "the upstream process was ended by signal 15 (SIGTERM)");
}

#[tokio::test]
async fn what_a_child_says_last_is_still_heard() {
    let child = start(r#"read -r line; echo '{"jsonrpc":"2.0","id":1,"result":{}}'; exit 1"#).await;
    assert!(child.call(1).await.is_ok());
}

#[tokio::test]
async fn a_request_that_was_never_written_counts_as_not_sent() {
    let child = start("exec sleep 1000").await;
    let large = Bytes::from(vec![b' '; 4 << 20]);
    let blocks = child.upstream.send(large);
    blocks.await.unwrap();
    let behind = child.request(1).await.unwrap();
    rustix::process::kill_process_group(
        rustix::process::Pid::from_raw(i32::try_from(child.id).unwrap()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    let error = reply(behind).await.unwrap_err();
    assert!(error.nothing_was_sent(), "{error:?}");
}

#[tokio::test]
async fn a_child_that_closes_its_output_is_ended() {
    let child = start("exec >&-; read -r line; while :; do read -r line || sleep 1; done").await;
    let error = child.call(1).await.unwrap_err();
    assert_eq!(error.to_string(), "the upstream process was ended: it closed its standard output");
    until(|| is_reaped(child.id)).await;
}

#[tokio::test]
async fn lines_that_are_no_messages_are_passed_over() {
    let child = start(&format!("echo Listening on stdio; echo; echo '[]'; {ANSWERS}")).await;
    assert!(child.call(1).await.is_ok());
}

#[tokio::test]
async fn a_child_that_writes_only_nonsense_is_ended() {
    let child = start("read -r line; yes nonsense").await;
    let error = child.call(1).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the upstream process was ended: it wrote 100 lines in a row that are no JSON-RPC messages"
    );
    until(|| is_reaped(child.id)).await;
}

#[tokio::test]
async fn an_unreadable_reply_fails_the_request_it_names() {
    let child = start(r#"read -r line; echo '{"jsonrpc":"2.0","id":1,"result":{},"method":"x"}'; read -r line"#).await;
    let error = child.call(1).await.unwrap_err();
    assert!(matches!(&error, UpstreamError::Nonsense(_)), "{error:?}");
    assert!(!child.upstream.is_closed());
}

#[tokio::test]
async fn an_overlong_line_fails_the_request_and_reading_goes_on() {
    let script = format!("read -r line; n=1; head -c 100000 /dev/zero | tr '\\0' x; echo; {ANSWERS}");
    let child = start_with(shell(&script), Limits { message_bytes: 1000, ..limits() }).await;
    assert_eq!(child.call(1).await.unwrap_err(), UpstreamError::TooLarge { limit: 1000 });
    assert!(child.call(2).await.is_ok());
}

#[tokio::test]
async fn a_flood_of_messages_makes_the_child_wait_and_loses_nothing() {
    let script = r#"i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo "{\"jsonrpc\":\"2.0\",\"method\":\"m$i\"}"; done; read -r line"#;
    let mut child = start(script).await;
    for i in 1..=5000 {
        let expected = format!(r#"{{"jsonrpc":"2.0","method":"m{i}"}}"#);
        assert_eq!(child.next_incoming().await, Incoming::Message(expected.into()));
    }
}

#[tokio::test]
async fn a_child_that_dies_while_nobody_listens_fails_what_is_under_way() {
    let child = start(r#"read -r line; i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo '{"jsonrpc":"2.0","method":"m"}'; done; exit 4"#).await;
    let error = child.call(1).await.unwrap_err();
    assert_eq!(error.to_string(), "the upstream process exited with status 4");
}

#[tokio::test]
async fn a_flood_on_standard_error_delays_nothing_and_is_thinned_out() {
    let child = start(&format!("yes words | head -n 100000 >&2; {ANSWERS}")).await;
    assert!(child.call(1).await.is_ok());
    drop(child.upstream);
    until(|| child.stderr.lock().unwrap().iter().any(|line| line.contains("lines left out"))).await;
    assert!(child.stderr.lock().unwrap().len() < 50_000);
}

#[tokio::test]
async fn lines_of_standard_error_are_cut_off_and_cleaned() {
    let child =
        start(r#"head -c 10000 /dev/zero | tr '\0' x >&2; echo >&2; printf 'a\033[31mb\n' >&2; read -r line"#).await;
    until(|| child.stderr.lock().unwrap().len() == 2).await;
    let lines = child.stderr.lock().unwrap().clone();
    assert_eq!(lines[0], format!("{}…", "x".repeat(4096)));
    assert_eq!(lines[1], "a[31mb");
}

#[tokio::test]
async fn closing_lets_a_child_end_by_itself() {
    let mut child = start("cat > /dev/null; echo done >&2; exit 0").await;
    child.upstream.close().await;
    assert!(is_reaped(child.id));
    assert_eq!(child.next_incoming().await, Incoming::Closed("the upstream process exited with status 0".to_owned()));
    assert!(child.call(1).await.unwrap_err().nothing_was_sent());
    child.upstream.close().await;
}

#[tokio::test]
async fn closing_asks_with_a_signal_next() {
    let mut child = start("trap 'exit 7' TERM; while :; do sleep 0.01; done").await;
    child.upstream.close().await;
    assert!(is_reaped(child.id));
    assert_eq!(child.next_incoming().await, Incoming::Closed("the upstream process exited with status 7".to_owned()));
}

#[tokio::test]
async fn closing_kills_what_does_not_listen() {
    let mut child = start("trap '' TERM; while :; do sleep 0.01; done").await;
    child.upstream.close().await;
    assert!(is_reaped(child.id));
    let closed = Incoming::Closed("the upstream process was ended by signal 9 (SIGKILL)".to_owned());
    assert_eq!(child.next_incoming().await, closed);
}

/// Starts a child of its own, tells its id, and ignores everything it is told.
const HAS_CHILD: &str = r#"sleep 1000 & echo "{\"jsonrpc\":\"2.0\",\"method\":\"pid\",\"params\":{\"pid\":$!}}"; "#;

async fn grandchild(child: &mut Child) -> u32 {
    let Incoming::Message(message) = child.next_incoming().await else {
        panic!("the child ended");
    };
    let digits = String::from_utf8_lossy(&message).chars().filter(char::is_ascii_digit).collect::<String>();
    digits.strip_prefix("20").unwrap().parse().unwrap()
}

#[tokio::test]
async fn dropping_the_connection_kills_the_whole_group() {
    let mut child = start(&format!("{HAS_CHILD} while :; do sleep 1; done")).await;
    let grandchild = grandchild(&mut child).await;
    drop(child.upstream);
    until(|| is_reaped(child.id) && is_dead(grandchild)).await;
}

#[tokio::test]
async fn a_child_that_ends_takes_its_group_with_it() {
    let mut child = start(&format!("{HAS_CHILD} read -r line; exit 5")).await;
    let grandchild = grandchild(&mut child).await;
    assert_eq!(child.call(1).await.unwrap_err().to_string(), "the upstream process exited with status 5");
    until(|| is_dead(grandchild)).await;
}

#[tokio::test]
async fn what_leaves_the_group_and_keeps_the_streams_holds_nothing_up() {
    let script = r#"setsid sleep 1000 & echo "{\"jsonrpc\":\"2.0\",\"method\":\"pid\",\"params\":{\"pid\":$!}}"; read -r line; exit 6"#;
    let mut child = start(script).await;
    let escaped = grandchild(&mut child).await;
    assert_eq!(child.call(1).await.unwrap_err().to_string(), "the upstream process exited with status 6");
    let escaped = rustix::process::Pid::from_raw(i32::try_from(escaped).unwrap()).unwrap();
    let _ = rustix::process::kill_process(escaped, rustix::process::Signal::KILL);
}

#[test]
fn a_child_is_reaped_and_its_requests_fail_when_the_runtime_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (child, exchange) = runtime.block_on(async {
        let child = start("while :; do sleep 1; done").await;
        let exchange = child.request(1).await.unwrap();
        (child, exchange)
    });
    drop(runtime);
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    other.block_on(async {
        assert!(reply(exchange).await.is_err());
        until(|| is_reaped(child.id)).await;
    });
}

#[tokio::test]
async fn an_exchange_may_be_awaited_on_another_runtime() {
    let child = start(ANSWERS).await;
    let exchange = child.request(1).await.unwrap();
    let (done, finished) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _ = done.send(other.block_on(reply(exchange)).is_ok());
    });
    assert!(finished.await.unwrap());
}

#[tokio::test]
async fn a_forgotten_request_leaves_the_others_alone() {
    let child = start(&format!("read -r first; echo got >&2; n=1; {ANSWERS}")).await;
    let forgotten = child.request(1).await.unwrap();
    until(|| *child.stderr.lock().unwrap() == ["got"]).await;
    drop(forgotten);
    assert!(child.call(2).await.is_ok());
}

#[tokio::test]
async fn a_request_that_is_forgotten_before_it_is_written_is_not_sent() {
    let child = start(ANSWERS).await;
    // Nothing else runs on this thread in between.
    drop(child.request(7).await.unwrap());
    assert!(child.call(1).await.is_ok());
}

/// Not a test by itself: the process that [`children_die_with_the_gateway`] kills.
#[tokio::test]
async fn gateway_to_be_killed() {
    let Ok(file) = std::env::var("TOOLGATE_TEST_WRITES_CHILD_ID_TO") else {
        return;
    };
    let child = start("trap '' TERM; while :; do sleep 1; done").await;
    std::fs::write(format!("{file}.new"), child.id.to_string()).unwrap();
    std::fs::rename(format!("{file}.new"), file).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn children_die_with_the_gateway() {
    let file = std::env::temp_dir().join(format!("toolgate-test-{}", std::process::id()));
    let mut gateway = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["gateway_to_be_killed", "--exact"])
        .env("TOOLGATE_TEST_WRITES_CHILD_ID_TO", &file)
        .spawn()
        .unwrap();
    until(|| file.exists()).await;
    let child = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(!is_dead(child));
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    until(|| is_dead(child)).await;
}
