//! The lock on the data folder: one server at a time.
//!
//! In    the folder, and what for.
//! Out   a guard; the operating system frees the lock when the process ends, however it ends.
//! Errors [`LockError::Held`] says which process holds it.
//! Not here: commands beside a running server, which need no lock; the database orders their writes.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Holds the data folder for one process, until dropped.
#[derive(Debug)]
pub struct DataFolderLock {
    _file: LockedFile,
}

/// Why the data folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is in use by {holder}", folder.display())]
    Held {
        /// The folder.
        folder: PathBuf,
        /// What the other process wrote about itself: purpose and process id.
        holder: String,
    },
    /// The lock file could not be made or locked.
    #[error("cannot lock {}: {error}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
}

impl DataFolderLock {
    /// Locks `folder`, creating it if need be, and writes `purpose` and our process id where the next one reads it.
    pub fn acquire(folder: &Path, purpose: &str) -> Result<Self, LockError> {
        let io = |error| LockError::Io { folder: folder.to_owned(), error };
        crate::make_private_folder(folder).map_err(io)?;
        Ok(Self { _file: LockedFile::acquire(&folder.join(LOCK_FILE), folder, purpose)? })
    }
}

/// A file that one process has locked.
#[derive(Debug)]
pub(crate) struct LockedFile {
    _file: File,
}

impl LockedFile {
    /// Locks `path` for `what`, and writes `purpose` and our process id where the next one reads it.
    pub(crate) fn acquire(path: &Path, what: &Path, purpose: &str) -> Result<Self, LockError> {
        let io = |error| LockError::Io { folder: what.to_owned(), error };
        let mut file = crate::private::options().open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // What cannot be read is not named; the lock holds all the same.
                let _ = file.take(LONGEST_HOLDER).read_to_string(&mut holder);
                let holder =
                    if holder.is_empty() { "another process".to_owned() } else { holder.trim().to_owned() };
                return Err(LockError::Held { folder: what.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{purpose} (process {})", std::process::id()).map_err(io)?;
        Ok(Self { _file: file })
    }
}

const LOCK_FILE: &str = "cusax.lock";
/// Bytes of a lock file that are shown.
const LONGEST_HOLDER: u64 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it() {
        let folder = std::env::temp_dir().join(format!("cusax-lock-{}", std::process::id()));
        let first = DataFolderLock::acquire(&folder, "cusax serve").unwrap();
        let second = DataFolderLock::acquire(&folder, "cusax serve").unwrap_err().to_string();
        assert!(second.contains(&format!("cusax serve (process {})", std::process::id())), "{second}");
        drop(first);
        assert!(DataFolderLock::acquire(&folder, "cusax serve").is_ok());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
