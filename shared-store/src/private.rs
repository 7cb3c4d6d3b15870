//! Files and folders that their owner alone may read: what a store holds is nobody else's.
//!
//! Modes are set on creation, before there is a word inside. A folder that exists keeps its mode, which somebody may have
//! chosen; a file of ours does not.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes a folder and those above it that are missing, each for its owner alone.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// How a file for its owner alone is opened.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

/// Makes an empty file for its owner alone, or takes from others one that is there.
#[cfg(feature = "sqlite")]
pub(crate) fn make_file(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    options().open(path)?.set_permissions(std::fs::Permissions::from_mode(0o600))
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_made_is_for_its_owner_alone() {
        let top = std::env::temp_dir().join(format!("cusax-private-{}", std::process::id()));
        let folder = top.join("inner");
        make_private_folder(&folder).unwrap();
        make_private_folder(&folder).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&top), mode(&folder)), (0o700, 0o700));
        let file = folder.join("file");
        std::fs::write(&file, "what was there").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        make_file(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "what was there");
        std::fs::remove_dir_all(top).unwrap();
    }
}
