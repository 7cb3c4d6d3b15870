//! Files on disk.
//!
//! ```text
//! <data_dir>/upload/under-way/<id>            what is being received
//! <data_dir>/upload/<hour>/<id>.about         what it is, as JSON; there before the file is
//! <data_dir>/upload/<hour>/<id>               the file, whole and synced before it is there
//! ```
//! A file is there wholly or not at all: it is received beside its place and renamed, and so nothing is to be repaired after
//! a crash. Files of one hour of expiry share a folder, which goes when the hour is over.

use std::io;
use std::path::{Path, PathBuf};

use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::AsyncWriteExt;

use super::slot::{FileId, Slot, hour};

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) media_type: String,
    pub(crate) expires: i64,
}

/// The folder of all files.
#[derive(Debug, Clone)]
pub(crate) struct Files(PathBuf);

/// A file that is being received. Dropped before it is kept, it leaves nothing but a file under way, which is removed.
pub(crate) struct Incoming {
    file: File,
    path: PathBuf,
    is_kept: bool,
}

impl Files {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self(data_dir.join("upload"))
    }

    /// Removes what was being received when the process ended. Not beside what is received now: it blocks, once, before
    /// anything is.
    pub(crate) fn clean(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(self.0.join(UNDER_WAY)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        shared_store::make_private_folder(&self.0)?;
        std::fs::create_dir_all(self.0.join(UNDER_WAY))
    }

    /// Begins to receive a file. `AlreadyExists` when that was done, or is being done.
    pub(crate) async fn receive(&self, id: &FileId) -> io::Result<Incoming> {
        if fs::try_exists(self.place(id)).await? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let path = self.0.join(UNDER_WAY).join(id.as_str());
        let file = OpenOptions::new().write(true).create_new(true).open(&path).await?;
        Ok(Incoming { file, path, is_kept: false })
    }

    /// The file that was received is there from now on, whatever happens.
    pub(crate) async fn keep(&self, mut incoming: Incoming, slot: &Slot, about: &About) -> io::Result<()> {
        incoming.file.flush().await?;
        incoming.file.sync_all().await?;
        let place = self.place(&slot.id);
        let folder = place.parent().unwrap_or(&self.0).to_owned();
        fs::create_dir_all(&folder).await?;
        let beside = about_of(&place);
        let mut sidecar = File::create(&beside).await?;
        sidecar.write_all(&serde_json::to_vec(about).unwrap_or_default()).await?;
        sidecar.flush().await?;
        sidecar.sync_all().await?;
        fs::rename(&incoming.path, &place).await?;
        incoming.is_kept = true;
        sync_folder(&folder).await?;
        sync_folder(&self.0).await // where the folder of an hour is as new as its file
    }

    /// An open file and what it is; `None` if there is none, or not any more.
    pub(crate) async fn open(&self, id: &FileId, now: i64) -> io::Result<Option<(File, About)>> {
        let place = self.place(id);
        let file = match File::open(&place).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let about: About = serde_json::from_slice(&fs::read(about_of(&place)).await?)?;
        Ok((about.expires > now).then_some((file, about)))
    }

    /// Removes a file.
    pub(crate) async fn remove(&self, id: &FileId) -> io::Result<()> {
        let place = self.place(id);
        for path in [place.clone(), about_of(&place)] {
            match fs::remove_file(path).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the folders of hours that are over at `now`; how many.
    pub(crate) async fn sweep(&self, now: i64) -> io::Result<usize> {
        let mut folders = match fs::read_dir(&self.0).await {
            Ok(folders) => folders,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut swept = 0;
        while let Some(folder) = folders.next_entry().await? {
            let name = folder.file_name();
            let due = name.to_str().and_then(|name| i64::from_str_radix(name, 16).ok());
            if due.is_some_and(|due| due <= hour(now)) {
                fs::remove_dir_all(folder.path()).await?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    fn place(&self, id: &FileId) -> PathBuf {
        self.0.join(format!("{:x}", id.hour())).join(id.as_str())
    }
}

impl Incoming {
    pub(crate) async fn write(&mut self, bytes: &Bytes) -> io::Result<()> {
        self.file.write_all(bytes).await
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.is_kept {
            // One that stays is removed at the next start, and nobody sees it until then.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn about_of(place: &Path) -> PathBuf {
    place.with_extension("about")
}

/// A name is durable when its folder is.
async fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder).await?.sync_all().await
}

const UNDER_WAY: &str = "under-way";

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(expires: i64) -> Slot {
        let id = FileId::new(expires, "00112233445566778899aabbccddeeff");
        let (owner, name) = ("a@x".to_owned(), "a.txt".to_owned());
        Slot { id, owner, name, size: 2, media_type: None, until: i64::MAX, expires, is_foreign: false }
    }

    fn about(expires: i64) -> About {
        let (owner, name) = ("a@x".to_owned(), "a.txt".to_owned());
        About { owner, name, size: 2, media_type: "text/plain".to_owned(), expires }
    }

    #[tokio::test]
    async fn a_file_is_there_when_it_is_whole_and_until_its_hour() {
        let folder = std::env::temp_dir().join(format!("cusax-files-{}", std::process::id()));
        let files = Files::new(&folder);
        files.clean().unwrap();
        let expires = 10 * 3_600_000 + 5;
        let slot = slot(expires);
        let mut half = files.receive(&slot.id).await.unwrap();
        half.write(&Bytes::from_static(b"h")).await.unwrap();
        assert!(files.open(&slot.id, 0).await.unwrap().is_none(), "half a file is none");
        let twice = files.receive(&slot.id).await.map(drop).unwrap_err();
        assert_eq!(twice.kind(), io::ErrorKind::AlreadyExists);
        drop(half);
        let mut whole = files.receive(&slot.id).await.unwrap();
        whole.write(&Bytes::from_static(b"hi")).await.unwrap();
        files.keep(whole, &slot, &about(expires)).await.unwrap();
        assert_eq!(files.open(&slot.id, expires - 1).await.unwrap().unwrap().1, about(expires));
        assert!(files.open(&slot.id, expires).await.unwrap().is_none(), "its time is over");
        assert!(files.receive(&slot.id).await.is_err(), "one file a slot");
        files.clean().unwrap();
        assert_eq!(files.sweep(expires).await.unwrap(), 0);
        assert!(files.open(&slot.id, 0).await.unwrap().is_some());
        assert_eq!(files.sweep(11 * 3_600_000).await.unwrap(), 1);
        assert!(files.open(&slot.id, 0).await.unwrap().is_none());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
