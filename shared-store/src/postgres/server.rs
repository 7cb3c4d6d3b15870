//! A private PostgreSQL server for a test, from Debian's package: on a free port, in a temporary folder.
//!
//! PostgreSQL refuses to run as root; then it runs as the `postgres` user that the package made.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Servers that this process started: tests run side by side.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// A running server; dropping stops it and removes its folder.
pub(super) struct Server {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl Server {
    /// Starts a server, or says why there is none: `CUSAX_TESTS_QUICK` is set and the package is not installed.
    pub(super) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let quick = std::env::var_os("CUSAX_TESTS_QUICK").is_some();
            assert!(
                quick,
                "PostgreSQL is not installed (Debian: apt-get install postgresql); CUSAX_TESTS_QUICK=1 skips"
            );
            eprintln!("skipped: PostgreSQL is not installed");
            return None;
        };
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("cusax-postgres-{}-{number}", std::process::id()));
        // What an earlier run with this process id left behind.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let user = unprivileged(&folder);
        let data = folder.join("data");
        let initdb = run_as(user.as_deref(), &programs.join("initdb"))
            .args(["--auth=trust", "--username=cusax", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = run_as(user.as_deref(), &programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-k"])
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { process, folder, port })
    }

    /// The URL of a database of this server.
    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://cusax@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL is fine for a database that nobody needs any more.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<_> = versions.flatten().map(|version| version.path().join("bin")).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop()
}

/// The user to run as, who then owns the folder; `None` if we are not root.
fn unprivileged(folder: &Path) -> Option<String> {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let owned = Command::new("chown").arg("postgres").arg(folder).status().unwrap();
    assert!(owned.success(), "there is no user `postgres` to run the server as");
    Some("postgres".to_owned())
}

fn run_as(user: Option<&str>, program: &Path) -> Command {
    let Some(user) = user else { return Command::new(program) };
    // setpriv becomes the program, so that our child's process id is the server's.
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--clear-groups"]).arg(program).current_dir("/");
    command
}
