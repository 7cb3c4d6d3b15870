//! Whether the store opens, takes a write, and has room.

use std::path::Path;

use shared_runtime::random;
use shared_store::Expected;

use super::{Findings, Ward};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    let (_, store) = match &ward.auth {
        Ok(open) => open,
        Err(error) => {
            return found.error(
                format!("the store at {} does not open: {error}", shown(&ward.store_url)),
                "see that the folder or the database is there, and that this user may write to it",
            );
        }
    };
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
    for folder in [ward.store_file.as_deref().and_then(Path::parent), Some(ward.data_dir.as_path())] {
        let Some(folder) = folder else { continue };
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

const OWNER: &str = "doctor";
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
}
