//! `cusax import` and `cusax export`: users come and go, and each is told of.

use std::io::{Error, Write};
use std::path::Path;

use anyhow::bail;
use prometheus::Registry;
use shared_runtime::bus::Bus;
use xmpp_server::transfer::{self, Layout, Report};

use crate::config::Config;
use crate::open::{self, Ground};
use crate::out::say;

/// Reads users; the exit code says whether all of all came.
pub(crate) async fn import(ground: &Ground, path: &Path, json: bool) -> anyhow::Result<()> {
    let (config, store, auth) = (ground.config().await?, ground.store().await?, ground.accounts().await?);
    let mut count = Count::default();
    let (domains, rooms) = (config.accounts(), config.rooms_domain());
    transfer::import(path, (&domains, &rooms), auth, store, |report| count.tell(report, json)).await?;
    if count.users == 0 {
        bail!("no user was found in {}: it holds no document of XEP-0227", path.display());
    }
    count.end("came", json)
}

/// Writes users.
pub(crate) async fn export(config: &Config, folder: &Path, each: bool, json: bool) -> anyhow::Result<()> {
    let store = open::known_store(config).await?;
    let auth = open::auth(config, &store, &Bus::new(), &Registry::new()).await?;
    let layout = if each { Layout::Each } else { Layout::Included };
    let mut count = Count::default();
    let domains = config.accounts();
    transfer::export(folder, layout, &domains, &auth, &store, |report| count.tell(report, json)).await?;
    count.end("went", json)
}

#[derive(Default)]
struct Count {
    users: usize,
    failed: usize,
}

impl Count {
    fn tell(&mut self, report: &Report, json: bool) -> Result<(), Error> {
        self.users += 1;
        self.failed += usize::from(!report.done);
        let mut out = std::io::stdout();
        if json {
            return writeln!(out, "{}", serde_json::to_string(report)?);
        }
        // What foreign files say of names is not to turn or hide the line.
        let Report { user, contacts, offline, archive, nodes, credentials, .. } = report;
        let state = if report.done { "" } else { "NOT WHOLE: " };
        let user = if user.is_empty() { "a file".to_owned() } else { plain(user) };
        let from = match report.file.as_str() {
            file if report.done || file.is_empty() => String::new(),
            file => format!(" (of {})", plain(file)),
        };
        writeln!(
            out,
            "{state}{user}{from}  {contacts} contacts, {archive} archived and {offline} waiting messages, {nodes} nodes; \
             credentials: {credentials}"
        )?;
        report.remarks.iter().try_for_each(|remark| writeln!(out, "  {}", plain(remark)))
    }

    fn end(self, what: &str, json: bool) -> anyhow::Result<()> {
        if !json {
            say(format_args!("{} {what}, {} not, or not whole", self.users - self.failed, self.failed))?;
        }
        match self.failed {
            0 => Ok(()),
            failed => bail!("{failed} of {} users {what} not, or not whole: see above", self.users),
        }
    }
}

/// A text of others in a terminal: no control, and nothing that turns the direction of writing.
fn plain(text: &str) -> String {
    let is_bad = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_bad(c) { '\u{fffd}' } else { c }).collect()
}
