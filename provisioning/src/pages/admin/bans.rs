//! Who may not log in now, and how that is lifted.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::account::{date, deed, form};
use super::super::blank::Blank;
use super::super::deeds::Outcome;
use super::super::words::Words;
use super::super::{head, text_field};
use super::rooms::affiliation;
use super::{Asked, escape, read, text};
use crate::Face;
use crate::session::Session;

const PLACE: &str = "/admin/bans";

pub(super) async fn section(
    face: &Face,
    words: &Words,
    session: &Session,
    asked: &Asked,
    outcome: Option<&Outcome>,
) -> Option<Markup> {
    let bans = read(face, session, "listBans", json!({ "after": asked.after, "max": PART })).await?;
    let whose = asked.address.trim();
    let rooms = match whose.is_empty() {
        true => None,
        false => read(face, session, "listRoomsOf", json!({ "address": whose, "after": asked.behind })).await,
    };
    let (networks, accounts) = (bans["networks"].as_array()?, bans["accounts"].as_array()?);
    let made = bans["made"].as_array()?;
    let new = Blank::of(outcome, "makeBan", &[]);
    Some(html! {
        section {
            h2 { (words.bans_made) }
            p { (words.bans_made_text) }
            @if !made.is_empty() { table role="table" {
                (head(&[words.ban_who, words.reason, words.ends_in], Some(words.deed)))
                tbody role="rowgroup" { @for ban in made.iter().take(MOST_MADE) {
                    @let who = text(&ban["who"]);
                    tr role="row" {
                        td role="cell" { (who) }
                        td role="cell" data-label=(words.reason) { (text(&ban["reason"])) }
                        td role="cell" data-label=(words.ends_in) { (date(words, &ban["until"])) }
                        td role="cell" { (deed(session, "removeBan", PLACE, &[("path.who", &who)], words.lift, &who)) }
                    }
                } }
            } }
            // Those that are lifted make room.
            @if made.len() > MOST_MADE { p.hint { (words.bans_made) ": " (made.len()) } }
            (form(session, "makeBan", PLACE, html! {
                (new.needed("who", "who", words.ban_who))
                (new.needed("reason", "reason", words.reason))
                @let wrong = new.fault("hours");
                label for="hours" { (words.ban_hours) }
                input #hours name="hours" type="number" min="1" max="8784" value=(new.value("hours", "24")) aria-invalid=[wrong.map(|_| "true")]
                    aria-describedby=[wrong.map(|_| "hours-about")];
                @if let Some(rule) = wrong { p.error #hours-about { (rule) } }
                button.grave { (words.ban) }
            }))
        }
        section {
            h2 { (words.accounts) }
            @if accounts.is_empty() { p { (words.no_bans) } } @else { table role="table" {
                (head(&[words.address, words.result], Some(words.deed)))
                tbody role="rowgroup" { @for ban in accounts {
                    @let aor = text(&ban["account"]["aor"]);
                    @let is_disabled = ban["account"]["enabled"] != true;
                    tr role="row" {
                        td role="cell" { (aor) }
                        td role="cell" data-label=(words.result) {
                            @if is_disabled { (words.disabled) " " }
                            (wait(words, &ban["seconds"]))
                            @for here in networks_of(ban) { br; (text(&here["network"])) ": " (wait(words, &here["seconds"])) }
                        }
                        td role="cell" { div.row {
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
            @if networks.is_empty() { p { (words.no_bans) } } @else { table role="table" {
                (head(&[words.network, words.failures, words.result], Some(words.deed)))
                tbody role="rowgroup" { @for ban in networks.iter().take(PART) {
                    @let network = text(&ban["network"]);
                    tr role="row" {
                        td role="cell" { (network) }
                        td role="cell" data-label=(words.failures) { (ban["failures"]) }
                        td role="cell" data-label=(words.result) { (wait(words, &ban["seconds"])) }
                        td role="cell" { (deed(session, "liftBan", PLACE, &[("network", &network)], words.lift, &network)) }
                    }
                } }
            } }
            // Those that are lifted make room.
            @if networks.len() > PART { p.hint { (words.networks) ": " (networks.len()) } }
        }
        @if face.room_keeping.is_some() { section {
            h2 { (words.rooms) }
            form.row method="get" action=(PLACE) role="search" {
                (text_field("address", "address", words.banned_who, whose, None))
                button.quiet { (words.search) }
            }
            @if let Some(rooms) = &rooms {
                @let found = rooms["rooms"].as_array()?;
                @if found.is_empty() { p { (words.none_found) } } @else { table role="table" {
                    (head(&[words.address, words.kind], Some(words.deed)))
                    tbody role="rowgroup" { @for one in found {
                        @let room = text(&one["room"]);
                        tr role="row" {
                            td role="cell" { a href=(format!("/admin/rooms?room={}", escape(&room))) { (room) } }
                            td role="cell" data-label=(words.kind) { (affiliation(words, &one["affiliation"])) }
                            td role="cell" { @if one["affiliation"] == "outcast" {
                                (deed(session, "setAffiliation", PLACE, &[("path.room", &room), ("address", whose), ("affiliation", "none")], words.lift, &room))
                            } }
                        }
                    } }
                } }
                @if let Some(after) = rooms["after"].as_str() { p { a href=(format!("{PLACE}?address={}&behind={}", escape(whose), escape(after))) { (words.more) } } }
            }
        } }
    })
}

/// Where an account is slowed alone.
fn networks_of(ban: &Value) -> &[Value] {
    ban["networks"].as_array().map_or(&[], Vec::as_slice)
}

/// Bans by administrators on one page.
const MOST_MADE: usize = 200;
/// Accounts, and networks, on one page.
const PART: usize = 40;

fn wait(words: &Words, seconds: &Value) -> Markup {
    html! { @if let Some(seconds) = seconds.as_u64() { (words.slowed) " (" (seconds) " s)" } }
}
