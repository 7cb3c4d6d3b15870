//! Logs: JSON or human lines, levels as `docs/architecture.md` says, and spans that each crate types in its `labels.rs`.

use std::io::IsTerminal;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

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

/// Why logging cannot be started so.
#[derive(Debug, thiserror::Error)]
pub enum BadLevel {
    /// `tracing` does not understand the filter.
    #[error("telemetry.level: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// A word alone that would be taken for a module's name, and all else would be silent.
    #[error(
        "telemetry.level: `{0}` is none of off, error, warn, info, debug and trace; a module's is written MODULE=LEVEL"
    )]
    Word(String),
}

/// Whether logging can be started so.
pub fn check(config: &Config) -> Result<(), BadLevel> {
    EnvFilter::try_new(&config.level)?;
    let is_level = |word: &str| word.is_empty() || word.parse::<LevelFilter>().is_ok();
    let mut words = config.level.split(',').map(str::trim);
    // Beside a level for all the rest it may be a module's name.
    if !config.level.contains(['[', '=']) && words.clone().any(|word| !word.is_empty() && is_level(word)) {
        return Ok(());
    }
    match words.find(|word| !word.contains(['=', '[', ']']) && !is_level(word)) {
        Some(word) => Err(BadLevel::Word(word.to_owned())),
        None => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_alone_is_a_level() {
        let at = |level: &str| check(&Config { level: level.to_owned(), ..Config::default() });
        for good in [
            "info",
            "WARN",
            "info,sip_server=debug",
            "off,cusax=trace",
            "info,[call{id=x}]=debug",
            "info,",
            "info,sip_server",
            "",
        ] {
            assert!(at(good).is_ok(), "{good}");
        }
        for bad in ["inof", "inof,sip_server=debug", "info,x=loud"] {
            assert!(at(bad).is_err(), "{bad}");
        }
    }
}
