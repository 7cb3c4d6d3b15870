//! Whether the store opens, takes a write, is whole, and has room.
//!
//! Without a server it is looked at and not opened: whether its file is one, and whether it and its folder may be written.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{AccessFlags, access};

use shared_runtime::random;
use shared_store::{Expected, Store, StoreError};

use super::{Findings, NotOpen, Ward};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    match &ward.auth {
        Ok((_, store)) => {
            write(store, found).await;
            whole(&ward.store_url, PATIENCE, found).await;
        }
        Err(NotOpen::Failed(error)) => return closed(ward, error, found),
        Err(NotOpen::NoServer) => match ward.store_file.as_deref().map(look) {
            None => found.unchecked(
                "not opened: the server does not answer, and it is the server that opens the store",
            ),
            Some(Ok(told)) => found.note(told, ""),
            Some(Err(error)) => return closed(ward, &error, found),
        },
    }
    room(ward, found);
    for file in seen_by_others(&ward.data_dir, ward.store_file.as_deref()) {
        found.warning(
            format!("{} may be read or written by others than its owner", file.display()),
            "take that from them (chmod go= on it): who reads the key and the store can be anybody here",
        );
    }
}

/// The keys and the store, where they are for others than their owner as well, as after a restore by `cp`; and a data folder in which
/// others may put their own. What stands in a folder that keeps others out is for nobody else, whatever its own mode says.
pub fn seen_by_others(data_dir: &Path, store: Option<&Path>) -> Vec<PathBuf> {
    let is_for_others = |path: &Path, bits: u32| {
        std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & bits != 0)
    };
    let is_reached = |file: &PathBuf| {
        let above = file.ancestors().skip(1);
        let mut ours = above.take_while(|it| it.starts_with(data_dir) || file.parent() == Some(it));
        ours.all(|folder| is_for_others(folder, 0o011))
    };
    // The newest of what SQLite was told is beside it (its file format, §4).
    let beside = store.map(|file| {
        let mut name = file.as_os_str().to_owned();
        name.push("-wal");
        PathBuf::from(name)
    });
    let folder = Some(data_dir.to_owned()).filter(|folder| is_for_others(folder, 0o022));
    let keys = KEYS.map(|key| data_dir.join(key)).into_iter();
    let files = keys.chain(store.map(Path::to_owned)).chain(beside);
    folder.into_iter().chain(files.filter(|file| is_for_others(file, 0o077) && is_reached(file))).collect()
}

fn closed(ward: &Ward, error: &str, found: &mut Findings) {
    found.error(
        format!("the store at {} does not open: {error}", shown(&ward.store_url)),
        "see that the folder or the database is there, and that this user may write to it",
    );
}

/// What a file is that nobody opens.
fn look(file: &Path) -> Result<&'static str, String> {
    let told = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut head = [0; SQLITE.len()];
    match std::fs::File::open(file) {
        Ok(mut open) => {
            let is_empty = open.metadata().is_ok_and(|metadata| metadata.len() == 0);
            if !is_empty && (open.read_exact(&mut head).is_err() || head != *SQLITE) {
                return Err(told(file, &"it is no SQLite file"));
            }
            may_write(file)?;
            may_write(file.parent().unwrap_or(Path::new(".")))?;
            Ok(
                "the store is there and may be written; it is opened by the server alone, which does not answer",
            )
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            may_write(&nearest(file))?;
            Ok("there is no store yet: the server makes it when it starts")
        }
        Err(error) => Err(told(file, &error)),
    }
}

/// The first folder above that is there.
fn nearest(file: &Path) -> PathBuf {
    let is_there = |path: &&Path| !path.as_os_str().is_empty() && path.exists();
    file.ancestors().skip(1).find(is_there).unwrap_or(Path::new(".")).to_owned()
}

fn may_write(path: &Path) -> Result<(), String> {
    access(path, AccessFlags::W_OK).map_err(|error| format!("{}: {error}", path.display()))
}

async fn write(store: &Store, found: &mut Findings) {
    let key = format!("{:016x}", random());
    let written = store.records.put(OWNER, "write", &key, b"1", Expected::Absent).await;
    let removed = store.records.delete(OWNER, "write", &key).await;
    match written.map(|_| ()).and(removed.map(|_| ())) {
        Ok(()) => found.ok("the store opens, its schema is that of this release, and it takes a write"),
        Err(error) => found.error(
            format!("the store takes no write: {error}"),
            "see whether its disk is full or mounted read-only, and whether another process holds it",
        ),
    }
}

/// Whether a file is what SQLite wrote: a disk or a copy that lost something says so nowhere else before it is read.
async fn whole(url: &str, within: Duration, found: &mut Findings) {
    match Store::damage(url, within).await {
        Ok(faults) if faults.is_empty() => {}
        Ok(faults) => found.error(
            format!("the store is damaged: {}", faults.join("; ")),
            "stop the server, keep a copy of the file, and restore the newest backup (docs/operations.md); see whether the disk fails",
        ),
        Err(StoreError::Overloaded) => found.unchecked(format!(
            "whether the store is damaged: it is too large to look through in {} s",
            within.as_secs()
        )),
        Err(error) => found.unchecked(format!("whether the store is damaged: {error}")),
    }
}

fn room(ward: &Ward, found: &mut Findings) {
    let folders = [ward.store_file.as_deref().and_then(Path::parent), Some(ward.data_dir.as_path())];
    for folder in folders.into_iter().flatten() {
        // One that is not there yet will be where the first above it is.
        let folder = &nearest(&folder.join("it"));
        match free(folder) {
            Ok(free) if free < LEAST => found.error(
                format!("{} has {} MiB left", folder.display(), free / MEBIBYTE),
                "make room: what is not written is not acknowledged",
            ),
            Ok(free) if free < FEW => found
                .warning(format!("{} has {} MiB left", folder.display(), free / MEBIBYTE), "make room soon"),
            Ok(_) => {}
            Err(error) => found.unchecked(format!("room in {}: {error}", folder.display())),
        }
    }
}

/// A URL without a password.
fn shown(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => url.to_owned(),
    }
}

/// Bytes that are free for us.
fn free(folder: &Path) -> nix::Result<u64> {
    let statistics = nix::sys::statvfs::statvfs(folder)?;
    Ok(statistics.blocks_available().saturating_mul(statistics.fragment_size()))
}

/// Whether a folder has no room for another group of rows; one that cannot be asked has.
pub fn is_full(folder: &Path) -> bool {
    free(folder).is_ok_and(|free| free < MEBIBYTE)
}

/// How long a file is looked through.
const PATIENCE: Duration = Duration::from_secs(10);
const OWNER: &str = "doctor";
/// Files of the data folder that make whoever reads them the service.
const KEYS: [&str; 3] = ["auth.key", "tls/ca.key", "tls/server.key"];
/// What every file of SQLite begins with (its file format, §1.3).
const SQLITE: &[u8; 16] = b"SQLite format 3\0";
const MEBIBYTE: u64 = 1 << 20;
/// With less, little can be written.
const LEAST: u64 = 64 * MEBIBYTE;
const FEW: u64 = 512 * MEBIBYTE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_of_the_store_is_not_shown() {
        assert_eq!(shown("postgres://cusax:secret@db/cusax"), "postgres://…@db/cusax");
        assert_eq!(shown("sqlite:///var/lib/cusax/cusax.db"), "sqlite:///var/lib/cusax/cusax.db");
    }

    #[test]
    fn what_is_for_others_as_well_is_named() {
        let folder = std::env::temp_dir().join(format!("cusax-modes-{:016x}", random()));
        let files = ["auth.key", "tls/ca.key", "tls/server.key", "cusax.db", "cusax.db-wal"]
            .map(|file| folder.join(file));
        let store = &files[3];
        std::fs::create_dir_all(folder.join("tls")).unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for file in &files {
            std::fs::write(file, "").unwrap();
            set(file, 0o600);
        }
        set(&folder, 0o755);
        set(&folder.join("tls"), 0o755);
        assert_eq!(seen_by_others(&folder, Some(store)), Vec::<PathBuf>::new());
        set(&folder, 0o775);
        for file in &files {
            set(file, 0o640);
        }
        let all: Vec<_> = std::iter::once(folder.clone()).chain(files.iter().cloned()).collect();
        assert_eq!(seen_by_others(&folder, Some(store)), all);
        // A folder within that keeps others out.
        set(&folder.join("tls"), 0o700);
        assert_eq!(seen_by_others(&folder, Some(store)).len(), 4);
        // Nobody gets there: what a copy into the data folder leaves.
        set(&folder, 0o700);
        set(&folder.join("tls"), 0o755);
        assert_eq!(seen_by_others(&folder, Some(store)), Vec::<PathBuf>::new());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_store_that_nobody_opens_is_looked_at_and_nothing_is_made() {
        let folder = std::env::temp_dir().join(format!("cusax-look-{:016x}", random()));
        let file = folder.join("deep/cusax.db");
        assert!(look(&file).unwrap().contains("no store yet"));
        assert!(!folder.exists(), "nothing was made");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, b"SQLite format 3\0and more").unwrap();
        assert!(look(&file).unwrap().contains("may be written"));
        std::fs::write(&file, b"notes of somebody").unwrap();
        assert!(look(&file).unwrap_err().contains("no SQLite file"));
        assert!(look(&file.join("cusax.db")).is_err(), "a file is no folder");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
