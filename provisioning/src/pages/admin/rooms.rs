//! Rooms: all of them, and one with who is inside, who hears, who speaks, who is what, and what can be done about it: to somebody, or to the call.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::account::{deed, form};
use super::super::asked::data_ask;
use super::super::blank::Blank;
use super::super::deeds::Outcome;
use super::super::words::Words;
use super::super::{head, text_field};
use super::{Asked, asking, escape, read, read_at, text};
use crate::Face;
use crate::session::Session;

pub(super) async fn section(
    face: &Face,
    words: &Words,
    session: &Session,
    asked: &Asked,
    outcome: Option<&Outcome>,
) -> Option<Markup> {
    if face.rooms.is_none() {
        return Some(html! { section { p { (words.elsewhere_served) } } });
    }
    if !asked.room.is_empty() {
        return one(face, words, session, asked, outcome).await;
    }
    let listed =
        read(face, session, "listRooms", json!({ "after": asked.after, "text": asked.text.trim() })).await?;
    let all = listed["rooms"].as_array()?;
    let last = all.last().map(|room| text(&room["room"])).unwrap_or_default();
    let new = Blank::of(outcome, "createRoom", &[]);
    Some(html! {
        section {
            form.row method="get" action=(PLACE) role="search" {
                (text_field("text", "text", words.with_text, &asked.text, None))
                button.quiet { (words.search) }
            }
            @if all.is_empty() { p { (words.no_rooms) } } @else {
                div.scroll tabindex="0" role="region" aria-label=(words.rooms) { table role="table" {
                    (head(&[words.address, words.name, words.in_chat, words.in_call], None))
                    tbody role="rowgroup" { @for room in all {
                        @let address = text(&room["room"]);
                        tr role="row" {
                            td role="cell" { a href=(format!("/admin/rooms?room={}", escape(&address))) { (address) }
                                @if room["hidden"] == true { " (" (words.hidden) ")" } @if room["members_only"] == true { " (" (words.members_only) ")" } }
                            @let name = text(&room["name"]);
                            td role="cell" data-label=[(!name.is_empty()).then_some(words.name)] { (name) }
                            td role="cell" data-label=(words.in_chat) { (room["occupants"]) }
                            td role="cell" data-label=(words.in_call) { (room["in_call"]) }
                        }
                    } }
                } }
            }
            @if listed["more"] == true {
                p { a href=(format!("{PLACE}?after={}&text={}", escape(&last), escape(asked.text.trim()))) { (words.more) } }
            }
        }
        section {
            h2 { (words.new_room) }
            p { (words.new_room_text) }
            (form(session, "createRoom", PLACE, html! {
                (new.line("room", "room", words.address, ""))
                (new.line("name", "room-name", words.invite_name, ""))
                (new.lines("owners", "owners", words.owners, ""))
                (new.line("password", "pin", words.pin, ""))
                (new.tick("members_only", words.members_only))
                (new.tick("moderated", words.moderated))
                (new.tick("hidden", words.hidden))
                button { (words.new_room) }
            }))
        }
    })
}

/// What a room is in a few words.
fn rules(words: &Words, shown: &Value) -> String {
    let all = [
        (shown["persistent"] == true, words.persistent),
        (shown["persistent"] == false, words.temporary),
        (shown["hidden"] == true, words.hidden),
        (shown["hidden"] == false, words.public),
        (shown["members_only"] == true, words.members_only),
        (shown["moderated"] == true, words.moderated),
        (shown["has_password"] == true, words.has_password),
    ];
    all.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
}

/// Who is what in a room, and how that is changed.
async fn affiliations(
    face: &Face,
    words: &Words,
    session: &Session,
    asked: &Asked,
    outcome: Option<&Outcome>,
) -> Option<Markup> {
    let (room, place) = (asked.room.as_str(), format!("{PLACE}?room={}", escape(&asked.room)));
    let fields = json!({ "affiliation": asked.affiliation, "text": asked.text.trim(), "after": asked.behind, "max": PART });
    let listed = asking(face, session, "listAffiliations", &[("room", room)], fields).await.ok()?;
    let all = list(&listed["affiliations"]);
    let last = all.last().map(|one| text(&one["address"])).unwrap_or_default();
    let next = format!(
        "{place}&affiliation={}&text={}&behind={}",
        escape(&asked.affiliation),
        escape(asked.text.trim()),
        escape(&last)
    );
    let set = Blank::of(outcome, "setAffiliation", &[]);
    let kinds = |is_none: bool| {
        let all = [
            ("owner", words.owner),
            ("admin", words.admin),
            ("member", words.member),
            ("outcast", words.outcast),
        ];
        all.into_iter().chain(is_none.then_some(("none", words.no_affiliation)))
    };
    Some(html! {
        section {
            h2 { (words.who_is_what) }
            form.row method="get" action=(PLACE) role="search" {
                input type="hidden" name="room" value=(room);
                label for="affiliation" { (words.kind) }
                select #affiliation name="affiliation" {
                    option value="" { (words.all) }
                    @for (word, shown) in kinds(false) { option value=(word) selected[asked.affiliation == word] { (shown) } }
                }
                (text_field("text", "text", words.with_text, &asked.text, None))
                button.quiet { (words.search) }
            }
            @if all.is_empty() { p { (words.nobody) } } @else { table role="table" {
                (head(&[words.address, words.kind], Some(words.deed)))
                tbody role="rowgroup" { @for one in all {
                    @let address = text(&one["address"]);
                    tr role="row" {
                        td role="cell" { (address) }
                        td role="cell" data-label=(words.kind) { (affiliation(words, &one["affiliation"])) @if let Some(reason) = one["reason"].as_str() { br; span.hint { (reason) } } }
                        td role="cell" { (deed(session, "setAffiliation", &place, &[("path.room", room), ("address", &address), ("affiliation", "none")], words.remove, &address)) }
                    }
                } }
            } }
            @if listed["more"] == true { p { a href=(next) { (words.more) } } }
            (form(session, "setAffiliation", &place, html! {
                input type="hidden" name="path.room" value=(room);
                (set.line("address", "whom", words.address, ""))
                (set.choice("affiliation", "to", words.kind, &kinds(true).collect::<Vec<_>>(), "member"))
                (set.line("reason", "reason", words.reason, ""))
                button.quiet { (words.save) }
            }))
        }
        section {
            h2 { (words.end_room) }
            (form(session, "destroyRoom", PLACE, html! {
                input type="hidden" name="path.room" value=(room);
                button.grave data-ask=[data_ask(words, "destroyRoom", room)] { (words.end_room) }
            }))
        }
    })
}

/// What somebody is for good.
pub(super) fn affiliation<'a>(words: &'a Words, word: &Value) -> &'a str {
    match word.as_str() {
        Some("owner") => words.owner,
        Some("admin") => words.admin,
        Some("member") => words.member,
        Some("outcast") => words.outcast,
        _ => words.no_affiliation,
    }
}

/// What somebody is for this visit.
fn role<'a>(words: &'a Words, word: &Value) -> &'a str {
    match word.as_str() {
        Some("moderator") => words.moderator,
        Some("visitor") => words.visitor,
        _ => words.participant,
    }
}

const PLACE: &str = "/admin/rooms";
/// People on one page.
const PART: usize = 50;

async fn one(
    face: &Face,
    words: &Words,
    session: &Session,
    asked: &Asked,
    outcome: Option<&Outcome>,
) -> Option<Markup> {
    let room = asked.room.as_str();
    let Some(shown) = read_at(face, session, "showRoom", &[("room", room)]).await else {
        return Some(html! { section { p role="alert" { (words.no_room) } (back(words)) } });
    };
    let place = format!("/admin/rooms?room={}", escape(room));
    let known = affiliations(face, words, session, asked, outcome).await;
    // Who is muted may be so by themselves, or in one of chat and call alone: it cannot be told which is wanted.
    let buttons = |field: &str, value: &str, name: &str| {
        let fields = |word| [("path.room", room), (field, value), ("deed", word)];
        html! { div.row {
            @if field == "call" {
                (deed(session, "moderate", &place, &fields("louder"), words.louder, name))
                (deed(session, "moderate", &place, &fields("quieter"), words.quieter, name))
            }
            (deed(session, "moderate", &place, &fields("mute"), words.mute, name))
            (deed(session, "moderate", &place, &fields("unmute"), words.unmute, name))
            (deed(session, "moderate", &place, &fields("kick"), words.kick, name))
        } }
    };
    Some(html! {
        section {
            h2 { (room) }
            p { (text(&shown["name"])) " " (text(&shown["description"])) }
            @if let Some(subject) = shown["subject"].as_str().filter(|it| !it.is_empty()) { p { (words.subject) ": " (subject) } }
            p { (rules(words, &shown)) }
            @let owners: Vec<String> = list(&shown["owners"]).iter().map(text).collect();
            @if !owners.is_empty() { p { (words.owners) ": " (owners.join(", ")) } }
            (back(words))
        }
        section {
            h2 { (words.in_chat) }
            @let occupants = list(&shown["occupants"]);
            @if occupants.is_empty() { p { (words.nobody) } } @else { table role="table" {
                (head(&[words.name, words.role], Some(words.deed)))
                tbody role="rowgroup" { @for one in occupants {
                    @let nick = text(&one["nick"]);
                    tr role="row" {
                        td role="cell" { (nick) " " span.hint { (text(&one["jid"])) } }
                        td role="cell" data-label=(words.role) { (role(words, &one["role"])) ", " (affiliation(words, &one["affiliation"])) }
                        td role="cell" { (buttons("nick", &nick, &nick)) }
                    }
                } }
            } }
        }
        section {
            h2 { (words.in_call) }
            @let participants = list(&shown["participants"]);
            (form(session, "callInto", &place, html! {
                input type="hidden" name="path.room" value=(room);
                (Blank::of(outcome, "callInto", &[]).line("callee", "callee", words.callee, ""))
                button { (words.call_into) }
            }))
            @if !participants.is_empty() {
                @let (on, label) = if shown["recorded"] == true { ("false", words.end_recording) } else { ("true", words.begin_recording) };
                @if shown["recorded"] == true { p { (words.is_recorded) } }
                (deed(session, "record", &place, &[("path.room", room), ("on", on)], label, room))
            }
            @if participants.is_empty() { p { (words.nobody) } } @else { table role="table" {
                (head(&[words.name, words.sound], Some(words.deed)))
                tbody role="rowgroup" { @for one in participants {
                    @let (call, uri) = (text(&one["call"]), text(&one["uri"]));
                    tr role="row" {
                        td role="cell" { (text(&one["name"])) " " span.hint { (uri) } }
                        td role="cell" data-label=(words.sound) { (sound(words, one)) @if let Some(gain) = one["gain"].as_i64().filter(|gain| *gain != 0) { " " (format!("{gain:+} dB")) } @if one["encrypted"] != true { " " span.error { (words.unencrypted) } } }
                        td role="cell" { (buttons("call", &call, &uri)) }
                    }
                } }
            } }
        }
        @if let Some(known) = known { (known) }
    })
}

/// Who hears, and who is heard.
pub(super) fn sound<'a>(words: &'a Words, participant: &Value) -> &'a str {
    match (participant["hears"] == true, participant["speaks"] == true) {
        (true, true) => words.hears_speaks,
        (true, false) => words.hears_only,
        (false, _) => words.on_hold,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn back(words: &Words) -> Markup {
    html! { p { a href="/admin/rooms" { (words.rooms) } } }
}
