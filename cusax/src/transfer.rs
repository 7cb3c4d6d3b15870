//! `cusax import` and `cusax export`: users come and go, and each is told of.

use std::io::{Error, Write};
use std::path::Path;

use anyhow::bail;
use prometheus::Registry;
use shared_runtime::bus::Bus;
use xmpp_server::transfer::{self, Layout, Report};

use crate::config::Config;
use crate::open::{self, Ground};

/// Reads users; the exit code says whether all of all came.
pub(crate) async fn import(ground: &Ground, path: &Path, json: bool) -> anyhow::Result<()> {
    let (config, store, auth) = (ground.config().await?, ground.store().await?, ground.accounts().await?);
    let mut count = Count::default();
    let (domains, rooms) = (config.accounts(), config.rooms_domain());
    transfer::import(path, (&domains, &rooms), auth, store, |report| count.tell(report, json)).await?;
    if count.users == 0 {
        bail!("no user was found in {}: it holds no document of XEP-0227", path.display());
    }
    count.end("came")
}

/// Writes users.
pub(crate) async fn export(config: &Config, folder: &Path, each: bool, json: bool) -> anyhow::Result<()> {
    let store = open::known_store(config).await?;
    let auth = open::auth(config, &store, &Bus::new(), &Registry::new()).await?;
    let layout = if each { Layout::Each } else { Layout::Included };
    let mut count = Count::default();
    let domains = config.accounts();
    transfer::export(folder, layout, &domains, &auth, &store, |report| count.tell(report, json)).await?;
    count.end("went")
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
        let Report { user, contacts, offline, archive, nodes, credentials, .. } = report;
        let state = if report.done { "" } else { "NOT WHOLE: " };
        let user = if user.is_empty() { "a file" } else { user };
        writeln!(
            out,
            "{state}{user}  {contacts} contacts, {archive} archived and {offline} waiting messages, {nodes} nodes; \
             credentials: {credentials}"
        )?;
        report.remarks.iter().try_for_each(|remark| writeln!(out, "  {remark}"))
    }

    fn end(self, what: &str) -> anyhow::Result<()> {
        match self.failed {
            0 => Ok(()),
            failed => bail!("{failed} of {} users {what} not, or not whole: see above", self.users),
        }
    }
}
