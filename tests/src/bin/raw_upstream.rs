//! An MCP server over standard input and output that records every line it reads, exactly.
//!
//! `raw-upstream RECORD`: the lines go to the file RECORD, the process ids of all that ran to
//! `RECORD.pids`. The held calls of the tool `hold` go on once `RECORD.release` exists, and what the
//! tool `announce` promises is said once `RECORD.announce` does.

use std::fs::OpenOptions;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use blackbox::answers::{self, Message, Reaction};

fn main() {
    let record = PathBuf::from(std::env::args().nth(1).expect("usage: raw-upstream RECORD"));
    append(&beside(&record, "pids"), format!("{}\n", std::process::id()).as_bytes());
    eprintln!("the raw upstream says something on its standard error");
    let mut lines = std::io::stdin().lock();
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).expect("standard input can be read") > 0 {
        append(&record, &line);
        answer(&record, std::str::from_utf8(&line).expect("the gate sends UTF-8").trim());
        line.clear();
    }
}

fn answer(record: &Path, text: &str) {
    let Some(message) = Message::read(text) else { return };
    let Some(id) = message.id() else { return };
    let ok = || format!("\"result\":{}", answers::text_result("ok"));
    match answers::reaction(message) {
        Reaction::Answer(member) => say(&answers::reply(id, &member)),
        Reaction::Progress(steps) => {
            (1..=steps).for_each(|step| say(&answers::progress(message, step)));
            say(&answers::reply(id, &ok()));
        }
        Reaction::Announce => {
            say(&answers::reply(id, &ok()));
            let cue = beside(record, "announce");
            std::thread::spawn(move || {
                wait_for(&cue);
                std::fs::remove_file(&cue).expect("the cue can be taken away");
                say(answers::ANNOUNCEMENT);
            });
        }
        Reaction::Hold => {
            wait_for(&beside(record, "release"));
            say(&answers::reply(id, &ok()));
        }
        Reaction::Hang => {}
        Reaction::Die => std::process::exit(3),
        Reaction::Nonsense => say("this is { not a message"),
        Reaction::Flood => flood(),
        Reaction::Grandchild => {
            let child = Command::new("sleep").arg("600").stdin(Stdio::null()).stdout(Stdio::null()).spawn();
            let pid = child.expect("sleep is installed").id();
            say(&answers::reply(id, &format!("\"result\":{}", answers::text_result(&pid.to_string()))));
        }
    }
}

fn wait_for(file: &Path) {
    while !file.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Writes one line that is far too long.
fn flood() {
    say(&"x".repeat(answers::FLOOD));
}

fn say(message: &str) {
    let mut output = std::io::stdout().lock();
    // Who does not read any more is no concern of ours.
    let _ = writeln!(output, "{message}").and_then(|()| output.flush());
}

fn append(path: &Path, bytes: &[u8]) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(bytes)).expect("the record can be written");
}

fn beside(record: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}.{suffix}", record.display()))
}
