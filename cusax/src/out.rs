//! Standard output of commands: a reader that has enough is no fault, and a disk that is full is one.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

/// Prints one line.
pub(crate) fn say(line: impl Display) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Prints what became of something, for commands that give nothing back.
pub(crate) fn say_done(on: impl Display, done: &str, json: bool) -> anyhow::Result<()> {
    match json {
        true => say(serde_json::json!({ "on": on.to_string(), "done": done })),
        false => say(format_args!("{on} {done}")),
    }
}

/// Whether a command ended because nobody reads on, as `head` does.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    let is_pipe = |cause: &std::io::Error| cause.kind() == ErrorKind::BrokenPipe;
    error.downcast_ref().is_some_and(is_pipe)
}
