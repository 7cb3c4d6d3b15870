//! Recording a conference — Opus in Ogg, begun and ended by a moderator (`*7`, or from outside the call) or the operator, never in secret.
//!
//! In    the wish; the end of the conference. Out a file in `conference.recordings`, whole when it has its
//!       name; a prompt to all, whatever `conference.prompts` says, and to who joins or is back from hold meanwhile; a fact,
//!       by which the chat room says it, too.
//! State the recording that is under way. Errors no folder, no disk: it is in the log, and nobody is told that they are
//! recorded who are not. A recording that is full, or whose disk fails, is over for all, and `*7` begins another.
//!
//! The mixer says the prompt, and what somebody says before they heard it to its end is not written down.
//! Who hears the prompt and stays agrees; who does not hangs up.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

use shared_model::{BareJid, ConferenceEvent, Correlation, Fact, ModerationError};

use super::super::{Input, policy};
use super::Conference;
use crate::mixer::{Command, Tail, Tape};

/// A recording that is under way.
pub(super) struct Recording {
    number: u64,
    began: std::time::Instant,
}

impl Conference {
    /// A moderator wants the conference recorded, or not any more.
    pub(super) async fn switch_recording(&mut self) {
        let is_wanted = self.recording.is_none();
        if let Err(why) = self.set_recording(is_wanted).await {
            tracing::info!(%why, "a moderator wants a recording, and gets none");
        }
    }

    /// The same wish from elsewhere than the call: of somebody, or of the operator.
    pub(super) async fn record(
        &mut self,
        asker: Option<&BareJid>,
        is_wanted: bool,
    ) -> Result<(), ModerationError> {
        let moderates = |jid| self.snapshot.as_ref().is_some_and(|room| policy::moderates(room, jid));
        if self.mailbox.is_some() || !self.participants.iter().any(|participant| participant.is_joined) {
            return Err(ModerationError::Nobody);
        }
        if !asker.is_none_or(moderates) {
            return Err(ModerationError::Refused("only who moderates a room has its call recorded"));
        }
        self.set_recording(is_wanted).await
    }

    async fn set_recording(&mut self, is_wanted: bool) -> Result<(), ModerationError> {
        match (is_wanted, self.recording.is_some()) {
            (true, false) => self.begin_recording().await,
            (false, true) => {
                self.end_recording().await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn begin_recording(&mut self) -> Result<(), ModerationError> {
        let parts = self.focus.parts();
        let folder = &parts.config.recordings;
        if folder.as_os_str().is_empty() {
            return Err(ModerationError::Refused("conference.recordings names no folder"));
        }
        let name = format!("{}-{}", file_name(self.room.local()), shared_runtime::unix_millis() / 1_000);
        let longest = parts.config.recording_longest;
        let serial = self.random() as u32;
        let begun = create(folder, &name).and_then(|(file, under_way)| {
            let (tape, ending) = Tape::begin(BufWriter::new(file), serial, longest, Tail::Kept)?;
            Ok((under_way, tape, ending))
        });
        let (under_way, tape, ending) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                tracing::error!(%error, file = name, "no recording can be written");
                return Err(ModerationError::Refused("no recording can be written: the log says why"));
            }
        };
        let number = self.name();
        let inbox = self.inbox.clone();
        self.focus.parts().shutdown.spawn(async move {
            match ending.await {
                Ok(Ok(recorded)) => keep(&under_way, recorded.duration.as_secs()),
                Ok(Err(error)) => {
                    tracing::error!(%error, file = %under_way.display(), "a recording broke off")
                }
                Err(_) => tracing::error!(file = %under_way.display(), "a recording broke off"),
            }
            // A conference that has ended records nothing.
            let _ = inbox.send(Input::Recorded(number)).await;
        });
        self.recording = Some(Recording { number, began: std::time::Instant::now() });
        tracing::info!("the conference is recorded");
        self.tell_recording();
        self.mixer.tell(Command::Announce(tape)).await;
        Ok(())
    }

    /// Nothing more is written: if a moderator did not end it, everybody learns that it is over.
    pub(super) async fn recorded(&mut self, number: u64) {
        if self.recording.as_ref().is_some_and(|recording| recording.number == number) {
            self.end_recording().await;
        }
    }

    pub(super) async fn end_recording(&mut self) {
        let Some(recording) = self.recording.take() else { return };
        self.mixer.tell(Command::Record(None)).await;
        let seconds = recording.began.elapsed().as_secs();
        tracing::info!(seconds, "the conference is not recorded any more");
        self.tell_recording();
    }

    fn tell_recording(&self) {
        let (room, is_recorded) = (self.room.clone(), self.recording.is_some());
        let changed = ConferenceEvent::RecordingChanged { room, is_recorded };
        self.focus.parts().bus.publish(Fact::new(Correlation::of_room(&self.room), changed));
    }
}

/// A file that the service alone reads, and where it is. A name that a recording has, or will have, is not given again: rooms
/// whose names are written alike may begin in one second.
fn create(folder: &Path, name: &str) -> std::io::Result<(File, PathBuf)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    for n in 1..=MOST_OF_A_SECOND {
        let name = if n == 1 { name.to_owned() } else { format!("{name}-{n}") };
        let under_way = folder.join(format!("{name}.part"));
        match options.open(&under_way) {
            Ok(_) if under_way.with_extension("ogg").exists() => std::fs::remove_file(&under_way)?,
            Ok(file) => return Ok((file, under_way)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Gives a recording its name.
fn keep(under_way: &Path, seconds: u64) {
    let place = under_way.with_extension("ogg");
    match std::fs::rename(under_way, &place) {
        Ok(()) => tracing::info!(file = %place.display(), seconds, "a recording is complete"),
        Err(error) => tracing::error!(%error, file = %place.display(), "a recording has no name"),
    }
}

/// A room's name as that of a file: what could be a path, or hidden, is written as `_`.
fn file_name(local: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || c == '-';
    local.chars().take(LONGEST).map(|c| if is_plain(c) { c } else { '_' }).collect()
}

/// Characters of a room's name that its recordings have.
const LONGEST: usize = 60;
/// Recordings of one name that may begin in one second.
const MOST_OF_A_SECOND: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_room_is_a_path() {
        assert_eq!(file_name("../etc/pass.wd"), "___etc_pass_wd");
        assert_eq!(file_name("büro-1"), "büro-1");
    }

    #[test]
    fn no_recording_takes_the_name_of_another() {
        let folder = std::env::temp_dir().join(format!("cusax-recordings-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (_, first) = create(&folder, "dev-1").unwrap();
        let (_, second) = create(&folder, "dev-1").unwrap();
        keep(&first, 1);
        let (_, third) = create(&folder, "dev-1").unwrap();
        let names =
            [&first, &second, &third].map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
        assert_eq!(names, ["dev-1.part", "dev-1-2.part", "dev-1-3.part"]);
        assert!(folder.join("dev-1.ogg").exists());
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(create(&folder, "dev-1").is_err(), "no folder");
    }
}
