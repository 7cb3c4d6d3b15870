//! Rooms: all of them, and one with who is inside, who hears, who speaks, and what can be done about it.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::account::deed;
use super::super::words::Words;
use super::{Asked, escape, read, read_at, text};
use crate::Face;
use crate::session::Session;

pub(super) async fn section(face: &Face, words: &Words, session: &Session, asked: &Asked) -> Option<Markup> {
    if face.rooms.is_none() {
        return Some(html! { section { p { (words.elsewhere_served) } } });
    }
    if !asked.room.is_empty() {
        return one(face, words, session, &asked.room).await;
    }
    let listed = read(face, session, "listRooms", json!({ "after": asked.after })).await?;
    let all = listed["rooms"].as_array()?;
    let last = all.last().map(|room| text(&room["room"])).unwrap_or_default();
    Some(html! {
        section {
            @if all.is_empty() { p { (words.no_rooms) } } @else {
                div.scroll tabindex="0" role="region" aria-label=(words.rooms) { table {
                    thead { tr { th { (words.address) } th { (words.name) } th { (words.in_chat) } th { (words.in_call) } } }
                    tbody { @for room in all {
                        @let address = text(&room["room"]);
                        tr {
                            td { a href=(format!("/admin/rooms?room={}", escape(&address))) { (address) }
                                @if room["hidden"] == true { " (" (words.hidden) ")" } @if room["members_only"] == true { " (" (words.members_only) ")" } }
                            td { (text(&room["name"])) }
                            td { (room["occupants"]) }
                            td { (room["in_call"]) }
                        }
                    } }
                } }
            }
            @if listed["more"] == true {
                p { a href=(format!("/admin/rooms?after={}", escape(&last))) { (words.more) } }
            }
        }
    })
}

async fn one(face: &Face, words: &Words, session: &Session, room: &str) -> Option<Markup> {
    let Some(shown) = read_at(face, session, "showRoom", &[("room", room)]).await else {
        return Some(html! { section { p role="alert" { (words.no_room) } (back(words)) } });
    };
    let place = format!("/admin/rooms?room={}", escape(room));
    // Who is muted may be so by themselves, or in one of chat and call alone: it cannot be told which is wanted.
    let buttons = |field: &str, value: &str, name: &str| {
        let fields = |word| [("path.room", room), (field, value), ("deed", word)];
        html! { div.row {
            (deed(session, "moderate", &place, &fields("mute"), words.mute, name))
            (deed(session, "moderate", &place, &fields("unmute"), words.unmute, name))
            (deed(session, "moderate", &place, &fields("kick"), words.kick, name))
        } }
    };
    Some(html! {
        section {
            h2 { (room) }
            p { (text(&shown["name"])) " " (text(&shown["subject"])) }
            (back(words))
        }
        section {
            h2 { (words.in_chat) }
            @let occupants = list(&shown["occupants"]);
            @if occupants.is_empty() { p { (words.nobody) } } @else { table {
                thead { tr { th { (words.name) } th { (words.role) } th { span.unseen { (words.deed) } } } }
                tbody { @for one in occupants {
                    @let nick = text(&one["nick"]);
                    tr {
                        td { (nick) " " span.hint { (text(&one["jid"])) } }
                        td { (text(&one["role"])) ", " (text(&one["affiliation"])) }
                        td { (buttons("nick", &nick, &nick)) }
                    }
                } }
            } }
        }
        section {
            h2 { (words.in_call) }
            @let participants = list(&shown["participants"]);
            @if participants.is_empty() { p { (words.nobody) } } @else { table {
                thead { tr { th { (words.name) } th { (words.sound) } th { span.unseen { (words.deed) } } } }
                tbody { @for one in participants {
                    @let (call, uri) = (text(&one["call"]), text(&one["uri"]));
                    tr {
                        td { (text(&one["name"])) " " span.hint { (uri) } }
                        td { (sound(words, one)) @if one["encrypted"] != true { " " span.error { (words.unencrypted) } } }
                        td { (buttons("call", &call, &uri)) }
                    }
                } }
            } }
        }
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
