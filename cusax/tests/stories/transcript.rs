//! The transcript language: a head of `accounts:` and `rooms:`, then scenes.

use std::path::Path;

/// One story.
pub(crate) struct Transcript {
    pub(crate) accounts: Vec<String>,
    pub(crate) rooms: Vec<String>,
    pub(crate) scenes: Vec<Scene>,
}

/// Who does what, and the lines that are indented below.
pub(crate) struct Scene {
    pub(crate) line: usize,
    pub(crate) who: String,
    pub(crate) what: String,
    pub(crate) body: Vec<String>,
}

impl Transcript {
    pub(crate) fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let mut transcript = Self { accounts: Vec::new(), rooms: Vec::new(), scenes: Vec::new() };
        for (at, line) in text.lines().enumerate() {
            let words = |rest: &str| rest.split_whitespace().map(str::to_owned).collect();
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            } else if let Some(rest) = line.strip_prefix("accounts:") {
                transcript.accounts = words(rest);
            } else if let Some(rest) = line.strip_prefix("rooms:") {
                transcript.rooms = words(rest);
            } else if line.starts_with(' ') {
                let scene = transcript
                    .scenes
                    .last_mut()
                    .unwrap_or_else(|| panic!("line {}: a body without a scene", at + 1));
                scene.body.push(line.trim().to_owned());
            } else {
                let (who, what) =
                    line.split_once(' ').unwrap_or_else(|| panic!("line {}: who does what", at + 1));
                let (who, what) = (who.to_owned(), what.to_owned());
                transcript.scenes.push(Scene { line: at + 1, who, what, body: Vec::new() });
            }
        }
        transcript
    }
}
