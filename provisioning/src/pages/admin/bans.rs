//! Who may not log in now, and how that is lifted.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::account::deed;
use super::super::words::Words;
use super::{Asked, escape, read, text};
use crate::Face;
use crate::session::Session;

const PLACE: &str = "/admin/bans";

pub(super) async fn section(face: &Face, words: &Words, session: &Session, asked: &Asked) -> Option<Markup> {
    let bans = read(face, session, "listBans", json!({ "after": asked.after, "max": PART })).await?;
    let (networks, accounts) = (bans["networks"].as_array()?, bans["accounts"].as_array()?);
    Some(html! {
        section {
            h2 { (words.accounts) }
            @if accounts.is_empty() { p { (words.no_bans) } } @else { table {
                thead { tr { th { (words.address) } th { (words.result) } th { span.unseen { (words.deed) } } } }
                tbody { @for ban in accounts {
                    @let aor = text(&ban["account"]["aor"]);
                    @let is_disabled = ban["account"]["enabled"] != true;
                    tr {
                        td { (aor) }
                        td {
                            @if is_disabled { (words.disabled) " " }
                            (wait(words, &ban["seconds"]))
                            @for here in networks_of(ban) { br; (text(&here["network"])) ": " (wait(words, &here["seconds"])) }
                        }
                        td { div.row {
                            @if is_disabled { (deed(session, "changeAccount", PLACE, &[("path.address", &aor), ("enabled", "true")], words.enable, &aor)) }
                            @if !ban["seconds"].is_null() || !networks_of(ban).is_empty() { (deed(session, "liftBan", PLACE, &[("address", &aor)], words.lift, &aor)) }
                        } }
                    }
                } }
            } }
            @if let Some(after) = bans["after"].as_str() { p { a href=(format!("{PLACE}?after={}", escape(after))) { (words.more) } } }
        }
        section {
            h2 { (words.networks) }
            @if networks.is_empty() { p { (words.no_bans) } } @else { table {
                thead { tr { th { (words.network) } th { (words.failures) } th { (words.result) } th { span.unseen { (words.deed) } } } }
                tbody { @for ban in networks.iter().take(PART) {
                    @let network = text(&ban["network"]);
                    tr {
                        td { (network) }
                        td { (ban["failures"]) }
                        td { (wait(words, &ban["seconds"])) }
                        td { (deed(session, "liftBan", PLACE, &[("network", &network)], words.lift, &network)) }
                    }
                } }
            } }
            // Those that are lifted make room.
            @if networks.len() > PART { p.hint { (words.networks) ": " (networks.len()) } }
        }
    })
}

/// Where an account is slowed alone.
fn networks_of(ban: &Value) -> &[Value] {
    ban["networks"].as_array().map_or(&[], Vec::as_slice)
}

/// Accounts, and networks, on one page.
const PART: usize = 40;

fn wait(words: &Words, seconds: &Value) -> Markup {
    html! { @if let Some(seconds) = seconds.as_u64() { (words.slowed) " (" (seconds) " s)" } }
}
