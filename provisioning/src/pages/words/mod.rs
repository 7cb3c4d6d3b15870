//! What pages say: one catalogue a language, and the compiler says which word a catalogue lacks.
//!
//! A language is added as a file like `en.rs`, a line in [`LANGUAGES`], and a table of the sentences that the service itself says in
//! English ([`Words::say`]): rules of fields, what happened, what was changed, what the doctor finds. Which one is spoken is chosen on each
//! page (a cookie), and follows `Accept-Language` (RFC 9110 §12.5.4) otherwise; English is what remains. A `{}` in a text is the place of
//! one value.

mod de;
mod doctor_de;
mod en;
mod said_de;

use std::borrow::Cow;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use maud::{Markup, html};

use crate::session::{cookie_named, go};

macro_rules! words {
    ($($name:ident),* $(,)?) => {
        /// The texts of one language.
        pub(crate) struct Words {
            $(pub(crate) $name: &'static str,)*
            /// Sentences of the service, in English and in this language.
            said: &'static [&'static [(&'static str, &'static str)]],
        }

        impl Words {
            /// Every text by its name.
            #[cfg(test)]
            fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

words! {
    lang, language, title, copy, optional,
    not_found_title, not_found_text, nowhere_title, nowhere_text, not_understood_title, not_understood_text, no_account,
    invite_title, invite_text, invite_by, invite_user, invite_user_hint, invite_name, invite_password, invite_password_hint,
    invite_submit, invite_app_title, invite_app_text, invite_app_open, invite_app_code, contact_title, contact_text,
    reset_title, reset_text, reset_submit, reset_done, taken, throttled, trouble,
    ready_title, ready_text, ready_next,
    chat_title, chat_text, chat_open, calls_title, linphone_title, linphone_text, linphone_code,
    fetch_title, fetch_text, fetch, by_hand_title, address, user_name, domain, password, password_yours, server, port_starttls, port_tls, proxy, transport,
    rooms, authority_title, authority_text, files_title, files_text,
    setup_title, account, accounts, invites, service, sign_in, sign_in_title, sign_in_wrong, sign_in_device,
    sign_in_again, sign_out, forgotten_title, forgotten_ask, forgotten_operator, forgotten_chat, forgotten_submit,
    forgotten_told, forgotten_message, no_web_client, set_web_client, web_client_script, web_client, calling_number, use_number, before, after, done, shown_once, token, link, chat_uri, halves_title, numbers, numbers_text, numbers_ask, no_phones, no_chats,
    encrypted, unencrypted, devices_title, devices_text, calls_alone, device, device_name, add_device, since, deed, remove, end,
    sessions_title, name, this_one, save, invite_contact_title, invite_contact_text, make_link, change_password,
    current_password, new_password, history_title, no_calls, time, with, result, data_title, download_data,
    remove_text, kept_days, kept_many, remove_ask, remove_account, not_admin, administrator, disabled, disable, enable, reset_link, more,
    new_account, new_account_text, video, no_invites, left, days, conferences, no_conferences, changes, who, what,
    on, yes, no, calls_as, chats_as, kept_password, kept_devices, elsewhere, elsewhere_refused, elsewhere_unwatched,
    picture, picture_alt, new_picture, picture_rule, undisturbed_title, is_undisturbed, is_disturbed, do_not_disturb, disturb,
    found_title, found_by, found_nobody, found_contacts, found_domain, found_hint,
    archive_title, archive_text, archive_always, archive_contacts, archive_never, archive_yes, archive_no, blocked_title,
    blocked_text, block_address, block, unblock, end_hint,
    clients_title, no_clients, last_seen, connected, revoke, by_provider, knows_password,
    voicemail_title, voicemail_on, voicemail_off, voicemail_open, voicemail_close, voicemail_new, voicemail_old,
    somebody, is_new, mark_heard, mark_new,
    groups, no_groups, set_groups, set_groups_text, groups_elsewhere, client_settings, domains, bans, bans_made, bans_made_text, ban_who, ban_hours, ban, ends_in, no_bans, networks, network, failures, slowed, lift,
    elsewhere_served, no_rooms, no_room, in_chat, in_call, hidden, members_only, nobody, role, sound, mute, unmute, louder, quieter, kick, hears_speaks,
    hears_only, on_hold, callee, call_into, begin_recording, end_recording, is_recorded, trunks, no_trunks, plan, registration, registered, unregistered, no_registration, up, down, probe, probed,
    unprobed, answered, failed, where_to, dialled, caller, look_up, enum_first, by_enum, number, account_of, no_trunk_takes, cost, rules,
    not_allowed, leads_nowhere,
    happened, nothing_happened, time_utc, event, rest_of_it, about_whom, about_whom_hint, newest_alone, within, within_hint, with_text, search,
    group, none_found, new_room, new_room_text, owners, pin, moderated, persistent, temporary, public, has_password, who_is_what, kind, all, owner, admin, member, outcast, no_affiliation, moderator, participant, visitor, reason, end_room, end_room_ask, remove_device_ask, revoke_ask, remove_message_ask, sure_title, go_back, subject, banned_who,
    languages, seconds, minutes, hours, days_long, completed, cut_off, lost, cancelled, refused, no_answer, phone_unprotected, phone_unprotected_mend, chat_unprotected, chat_unprotected_mend, phone_older, phone_older_mend, chat_older, chat_older_mend, phone_md5, phone_md5_mend, chat_plain, chat_plain_mend, phone_keyless, phone_keyless_mend, chat_keyless, chat_keyless_mend, media_open, media_open_mend, no_phone, no_phone_mend, no_chat, no_chat_mend,
    doctor, doctor_text, look_now, is_well, is_unwell, check, to_do,
}

impl Words {
    /// The catalogue that was chosen on a page, or that the browser asks for.
    pub(crate) fn of(headers: &HeaderMap) -> &'static Self {
        let chosen = cookie_named(headers, COOKIE).and_then(Self::named);
        let wanted =
            headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        chosen.unwrap_or_else(|| Self::choose(wanted))
    }

    /// English, which programs read.
    pub(crate) fn english() -> &'static Self {
        LANGUAGES[0]
    }

    fn named(tag: &str) -> Option<&'static Self> {
        LANGUAGES.iter().find(|words| words.lang.eq_ignore_ascii_case(tag)).copied()
    }

    /// A sentence that the service says in English, in this language; as it is, where there is no other.
    pub(crate) fn say<'a>(&self, english: &'a str) -> Cow<'a, str> {
        self.known(english).map_or(Cow::Borrowed(english), Cow::Owned)
    }

    /// The same on a page, which says where a sentence is of another language than the rest.
    pub(crate) fn said(&self, english: &str) -> Markup {
        match self.known(english) {
            Some(said) => html! { (said) },
            None if self.lang == Self::english().lang || english.is_empty() => html! { (english) },
            None => html! { span lang=(Self::english().lang) { (english) } },
        }
    }

    /// The sentence of an event, which is told by the event first.
    pub(crate) fn of_event(&self, event: &str, english: &str) -> Markup {
        match self.known(&format!("{event}: {english}")) {
            Some(said) => html! { (said) },
            None => self.said(english),
        }
    }

    fn known(&self, english: &str) -> Option<String> {
        self.said.iter().copied().flatten().find_map(|(pattern, said)| {
            let values = values(pattern, english)?;
            let values = values.into_iter().map(|(value, is_said)| match is_said {
                true => self.say(value),
                false => Cow::Borrowed(value),
            });
            Some(put(said, values))
        })
    }

    fn choose(wanted: &str) -> &'static Self {
        let mut ranges: Vec<(&str, u16)> = wanted.split(',').take(16).filter_map(range).collect();
        // A stable sort, so that the first of equals is preferred.
        ranges.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        ranges.iter().find_map(|(tag, _)| Self::named(tag)).unwrap_or(Self::english())
    }
}

/// The text with its value in place.
pub(crate) fn fill(text: &str, value: &str) -> String {
    text.replacen("{}", value, 1)
}

/// The language of one range and its weight in thousandths.
fn range(text: &str) -> Option<(&str, u16)> {
    let (tag, parameters) = text.split_once(';').unwrap_or((text, ""));
    let weight = match parameters.trim().strip_prefix("q=") {
        Some(weight) => (weight.parse::<f32>().ok()?.clamp(0.0, 1.0) * 1000.0) as u16,
        None => 1000,
    };
    let language = tag.trim().split('-').next()?;
    (weight > 0).then_some((language, weight))
}

/// The values in a sentence that is made like a pattern, and whether each is a sentence itself.
fn values<'a>(pattern: &str, text: &'a str) -> Option<Vec<(&'a str, bool)>> {
    let (head, mut pattern) = match pattern.find('{') {
        Some(at) => pattern.split_at(at),
        None => return (pattern == text).then(Vec::new),
    };
    let (mut rest, mut found) = (text.strip_prefix(head)?, Vec::new());
    while !pattern.is_empty() {
        let (mark, behind) = pattern.split_once('}')?;
        let (between, next) = behind.split_at(behind.find('{').unwrap_or(behind.len()));
        // What stands last ends it; a value goes no further than what stands behind it.
        let at = if next.is_empty() { rest.len().checked_sub(between.len())? } else { rest.find(between)? };
        let value = rest.get(..at)?;
        rest = rest.get(at..)?.strip_prefix(between)?;
        found.push((value, mark == "{~"));
        pattern = next;
    }
    rest.is_empty().then_some(found)
}

/// A text with values in its places; none is looked at again.
fn put<'a>(text: &str, values: impl Iterator<Item = Cow<'a, str>>) -> String {
    let (mut out, mut rest) = (String::new(), text);
    for value in values {
        let Some((head, tail)) = rest.split_once('{') else { break };
        out.push_str(head);
        out.push_str(&value);
        rest = tail.split_once('}').map_or("", |(_, tail)| tail);
    }
    out + rest
}

/// Links to the page in the other languages.
pub(super) fn links(words: &Words) -> Markup {
    html! {
        nav aria-label=(words.languages) {
            @for other in LANGUAGES.iter().filter(|other| other.lang != words.lang) {
                a href=(format!("/language/{}", other.lang)) lang=(other.lang) hreflang=(other.lang) rel="nofollow" { (other.language) }
            }
        }
    }
}

/// Speaks this language from now on in this browser, and goes back to the page.
pub(super) async fn choose(Path(tag): Path<String>, headers: HeaderMap) -> Response {
    let from = headers.get(header::REFERER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let place = from.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    // A form's answer is at no address that can be asked for again; two slashes would lead elsewhere.
    let is_page =
        |place: &&str| !place.starts_with("/do/") && !place.starts_with("//") && !place.contains('\\');
    let mut response = go(place.filter(is_page).unwrap_or("/account"));
    if let Some(words) = Words::named(&tag) {
        let line =
            format!("{COOKIE}={}; Path=/; Max-Age=31536000; Secure; HttpOnly; SameSite=Lax", words.lang);
        response
            .headers_mut()
            .extend(HeaderValue::from_str(&line).ok().map(|line| (header::SET_COOKIE, line)));
    }
    response
}

/// What was chosen, for a year.
const COOKIE: &str = "__Host-cusax-language";
const LANGUAGES: &[&Words] = &[&en::WORDS, &de::WORDS];

#[cfg(test)]
mod tests {
    use shared_auth::{BanError, BookError};
    use shared_store::{StoreError, Taken};

    use super::*;
    use crate::api::problem::Problem;

    #[test]
    fn english_is_what_remains() {
        for wanted in ["", "en-GB", "xx, en;q=0.3", ";;;,q=", "fr;q=nan", "de;q=0.1, en"] {
            assert_eq!(Words::choose(wanted).lang, "en");
        }
        assert_eq!(Words::choose("fr, de-AT;q=0.5, en;q=0.3").lang, "de");
        assert_eq!(range("de-CH;q=0.5"), Some(("de", 500)));
        assert_eq!(range("de;q=0"), None);
    }

    #[test]
    fn every_text_has_the_places_that_the_english_one_has() {
        for words in LANGUAGES {
            for ((name, english), (_, text)) in en::WORDS.all().into_iter().zip(words.all()) {
                assert!(!text.is_empty(), "{}: {name} is empty", words.lang);
                assert_eq!(
                    text.matches("{}").count(),
                    english.matches("{}").count(),
                    "{}: {name}",
                    words.lang
                );
            }
            let mut known = std::collections::HashSet::new();
            for (english, said) in words.said.iter().copied().flatten() {
                let places = |text: &str| text.matches("{}").count() + text.matches("{~}").count();
                assert_eq!(places(english), places(said), "{}: {english}", words.lang);
                assert!(known.insert(english), "{}: {english} is there twice", words.lang);
            }
        }
    }

    /// What is said in English by the operations, found in their source where it is one literal, and by the errors of those below.
    #[test]
    fn every_rule_that_a_form_may_break_is_said_in_every_language() {
        let mut all: Vec<String> = vec![
            shared_auth::NameError::Empty.to_string(),
            shared_auth::NameError::TooLong.to_string(),
            shared_auth::NameError::Characters.to_string(),
            shared_auth::NameError::Reserved.to_string(),
            shared_auth::NameError::Unshowable.to_string(),
            shared_auth::WeakPassword::TooShort.to_string(),
            shared_auth::WeakPassword::Common.to_string(),
            shared_auth::WeakPassword::IsName.to_string(),
        ];
        for password in ["", "\u{0}", &"x".repeat(2000)] {
            all.extend(shared_auth::check_password(password, "bob").err().map(|error| error.to_string()));
        }
        for address in ["", "a", "@b", "a@", "a b@c", "a@b_c d", &format!("{}@b", "x".repeat(2000))] {
            let error = address.parse::<shared_model::Address>().err();
            all.extend(error.map(|error| error.to_string()));
        }
        all.extend(
            [Problem::from(StoreError::NoSuchAccount), Problem::from(StoreError::Conflict)]
                .map(|it| it.detail),
        );
        for fault in [
            BanError::Unreadable("x".to_owned()),
            BanError::TooWide,
            BanError::Loopback,
            BanError::Exempt,
            BanError::Ours,
            BanError::BadReason,
            BanError::BadTerm,
            BanError::TooMany,
        ] {
            all.push(Problem::from(fault).detail);
        }
        for taken in [Taken::Aor, Taken::Jid, Taken::Number("+331".to_owned())] {
            all.push(Problem::from(StoreError::Taken(taken)).detail);
        }
        for fault in [
            BookError::BadNumber("1".to_owned()),
            BookError::BadAppName,
            BookError::AppNameTaken,
            BookError::TooManyApps,
            BookError::BadName,
            BookError::TrialName,
            BookError::StillErased,
            BookError::Invited,
            BookError::KeptElsewhere(shared_auth::Source::Ldap),
        ] {
            all.push(Problem::from(fault).detail);
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api");
        for file in std::fs::read_dir(folder).unwrap() {
            let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for (call, of) in [
                ("Problem::nothing(\"", "there is no such "),
                ("Problem::field(\"", ""),
                ("Problem::new(StatusCode::CONFLICT, \"", ""),
            ] {
                for rest in source.split(call).skip(1) {
                    let mut literals = rest.split('"');
                    let (first, between, second) = (literals.next(), literals.next(), literals.next());
                    let said = match (call, between) {
                        ("Problem::field(\"", Some(", ")) => second,
                        ("Problem::field(\"", _) => None,
                        _ => first,
                    };
                    all.extend(said.filter(|said| !said.contains('{')).map(|said| format!("{of}{said}")));
                }
            }
        }
        for words in &LANGUAGES[1..] {
            let lacking: Vec<&String> = all.iter().filter(|said| words.known(said).is_none()).collect();
            assert_eq!(lacking, [""; 0], "{} does not say these", words.lang);
        }
    }

    /// The literals of a source that are sentences, or parts of them, with a value in each place.
    fn sentences(source: &str) -> Vec<String> {
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let lines: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let (mut found, source) = (Vec::new(), lines.join("\n").replace("\\\"", "\u{1}").replace("'\"'", ""));
        for literal in source.split('"').skip(1).step_by(2) {
            let mut parts = literal.split('{');
            let mut sentence = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                sentence.push('x');
                sentence.push_str(part.split_once('}').map_or("", |(_, behind)| behind));
            }
            let is_word = |word: &&str| word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase());
            let is_wire = ["\\r\\n", "xmlns", "</"].iter().any(|it| sentence.contains(it));
            if !is_wire && sentence.split(' ').filter(is_word).count() > 1 {
                // A line that goes on in the next one.
                let mut lines = sentence.split("\\\n");
                let first = lines.next().unwrap_or_default().to_owned();
                found.push(lines.fold(first, |all, line| all + line.trim_start()).replace('\u{1}', "\""));
            }
        }
        found
    }

    #[test]
    fn what_the_doctor_finds_is_said_in_every_language() {
        let mut all = Vec::new();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../operations/src/doctor");
        let mut folders = vec![std::path::PathBuf::from(folder)];
        while let Some(folder) = folders.pop() {
            for file in std::fs::read_dir(folder).unwrap() {
                let path = file.unwrap().path();
                // The plan of ports is no finding, nor is what the checks of the table are about.
                if path.ends_with("plan.rs") || path.ends_with("doctor/mod.rs") {
                    continue;
                }
                match path.is_dir() {
                    true => folders.push(path),
                    false => all.extend(sentences(&std::fs::read_to_string(path).unwrap())),
                }
            }
        }
        assert!(all.len() > 100, "{all:?}");
        // A line of the log, and the name of a command.
        let others = ["an account of a look that was killed stays", "cusax doctor"];
        all.retain(|said| !others.contains(&said.as_str()));
        for words in &LANGUAGES[1..] {
            let is_said =
                |said: &&String| words.known(said).or_else(|| words.known(&format!("x: {said}"))).is_some();
            let lacking: Vec<&String> = all.iter().filter(|said| !is_said(said)).collect();
            assert_eq!(lacking, [""; 0], "{} does not say these", words.lang);
        }
    }

    #[test]
    fn sentences_are_told_apart_and_values_stay_what_they_are() {
        let say = |english: &str| de::WORDS.say(english).into_owned();
        assert_eq!(say("`name` is missing"), "`name` fehlt");
        assert_eq!(say("there is no such room"), "diesen Raum gibt es nicht");
        assert_eq!(say("there is no such device"), "Ein solches Gerät gibt es nicht");
        assert_eq!(say("nobody said this before"), "nobody said this before");
        let told =
            de::WORDS.of_event("login_failed", "sip login from ::1 failed: wrong password").into_string();
        assert_eq!(told, "Anmeldung mit sip von ::1 gescheitert: falsches Passwort");
        let told = de::WORDS.of_event("room_left", "left left dev@x").into_string();
        assert_eq!(told, "left verließ dev@x", "a nick is no sentence");
        let told = de::WORDS.of_event("leg_sound", "<b>").into_string();
        assert_eq!(told, "<span lang=\"en\">&lt;b&gt;</span>");
        assert_eq!(en::WORDS.said("x").into_string(), "x");
        assert_eq!(
            say("not tried: sip.udp listens nowhere, and this call goes over UDP"),
            "nicht versucht: sip.udp lauscht nirgends, und dieser Anruf geht über UDP"
        );
        assert_eq!(
            say("example.org: REGISTER was answered with 503 x"),
            "example.org: REGISTER wurde mit 503 x beantwortet"
        );
    }

    #[test]
    fn a_value_is_not_looked_at_again() {
        assert_eq!(fill("hello {}", "{}<"), "hello {}<");
    }
}
