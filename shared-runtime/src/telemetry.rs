//! Logs: JSON or human lines, levels as `docs/architecture.md` says, and spans that each crate types in its `labels.rs`.

use std::io::IsTerminal;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use crate::config::Key;

/// `[telemetry]`: how the process tells what it does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// `human` or `json` lines on standard error. Default `human`.
    pub format: Format,
    /// Levels in the syntax of `tracing`'s filters, such as `info,sip_server=debug`. Default `info`.
    pub level: String,
    /// Hide addresses in logs behind stable marks. Default false.
    pub redact: bool,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For a person at a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

/// Every key of `[telemetry]`.
pub const KEYS: &[Key] = &[
    Key::new("telemetry.format", "\"human\"", "form of a log line on standard error: human or json"),
    Key::new("telemetry.level", "\"info\"", "levels, such as info,sip_server=debug"),
    Key::new("telemetry.redact", "false", "hide addresses in logs behind stable marks"),
];

impl Default for Config {
    fn default() -> Self {
        Self { format: Format::Human, level: "info".to_owned(), redact: false }
    }
}

/// The level filter is not one that `tracing` understands.
#[derive(Debug, thiserror::Error)]
#[error("telemetry.level: {0}")]
pub struct BadLevel(#[from] tracing_subscriber::filter::ParseError);

/// Whether logging can be started so.
pub fn check(config: &Config) -> Result<(), BadLevel> {
    EnvFilter::try_new(&config.level)?;
    Ok(())
}

/// Starts logging for the process. Called once, first thing; a second call changes nothing.
pub fn start(config: &Config) -> Result<(), BadLevel> {
    crate::redacted::show(!config.redact);
    let filter = EnvFilter::try_new(&config.level)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A line that cannot be written is lost: saying so on the same standard error would panic, and end the task that logs.
    let lines = lines.log_internal_errors(false);
    // An error says that a subscriber is set already, as in tests.
    let _ = match config.format {
        Format::Human => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
    Ok(())
}
