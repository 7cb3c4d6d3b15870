//! What pages say: one catalogue a language, and the compiler says which word a catalogue lacks.
//!
//! A language is added as a file like `en.rs` and a line in [`LANGUAGES`]. Which one is spoken follows `Accept-Language`
//! (RFC 9110 §12.5.4); English is what remains. A `{}` in a text is the place of one value.

mod en;

use axum::http::{HeaderMap, header};

macro_rules! words {
    ($($name:ident),* $(,)?) => {
        /// The texts of one language.
        pub(crate) struct Words {
            $(pub(crate) $name: &'static str,)*
        }
    };
}

words! {
    lang, title, copy, optional,
    not_found_title, not_found_text,
    invite_title, invite_text, invite_by, invite_user, invite_user_hint, invite_name, invite_password, invite_password_hint,
    invite_submit, invite_app_title, invite_app_text, invite_app_open, invite_app_code, contact_title, contact_text,
    reset_title, reset_text, reset_submit, reset_done, taken, throttled, trouble,
    ready_title, ready_text, ready_next,
    chat_title, chat_text, chat_open, calls_title, linphone_title, linphone_text, linphone_code,
    fetch_title, fetch_text, fetch, by_hand_title, address, user_name, domain, password, password_yours, server, port_starttls, port_tls, proxy, transport,
    rooms, files_title, files_text,
    setup_title, account, accounts, invites, service, sign_in, sign_in_title, sign_in_wrong, sign_in_device,
    sign_in_again, sign_out, forgotten_title, forgotten_ask, forgotten_operator, forgotten_chat, forgotten_submit,
    forgotten_told, forgotten_message, web_client, calling_number, use_number, before, after, done, shown_once, token, link, chat_uri, halves_title, numbers, no_phones, no_chats,
    encrypted, unencrypted, devices_title, devices_text, device, device_name, add_device, since, deed, remove, end,
    sessions_title, name, this_one, save, invite_contact_title, invite_contact_text, make_link, change_password,
    current_password, new_password, history_title, no_calls, time, with, result, data_title, download_data,
    remove_text, kept_days, kept_many, remove_ask, remove_account, not_admin, administrator, disabled, disable, enable, reset_link, more,
    new_account, new_account_text, video, no_invites, left, days, conferences, no_conferences, changes, who, what,
    on, yes, no, calls_as, chats_as, kept_password, kept_devices, elsewhere, elsewhere_refused,
    picture, picture_alt, new_picture, picture_rule, undisturbed_title, is_undisturbed, is_disturbed, do_not_disturb, disturb,
    found_title, found_by, found_nobody, found_contacts, found_domain, found_hint,
    archive_title, archive_text, archive_always, archive_contacts, archive_never, archive_yes, archive_no, blocked_title,
    blocked_text, block_address, block, unblock, end_hint,
    clients_title, no_clients, last_seen, connected, revoke, by_provider, knows_password,
    voicemail_title, voicemail_on, voicemail_off, voicemail_open, voicemail_close, voicemail_new, voicemail_old,
    somebody, is_new, mark_heard, mark_new,
    groups, no_groups, set_groups, set_groups_text, groups_elsewhere, client_settings, domains, bans, no_bans, networks, network, failures, slowed, lift,
    elsewhere_served, no_rooms, no_room, in_chat, in_call, hidden, members_only, nobody, role, sound, mute, unmute, kick, hears_speaks,
    hears_only, on_hold, callee, call_into, begin_recording, end_recording, is_recorded, trunks, no_trunks, plan, registration, registered, unregistered, no_registration, up, down, probe, probed,
    unprobed, answered, failed, where_to, dialled, caller, look_up, enum_first, by_enum, number, account_of, no_trunk_takes, cost, rules,
    not_allowed, leads_nowhere,
    happened, nothing_happened, time_utc, event, rest_of_it, within, within_hint, with_text, search,
    group, none_found, new_room, new_room_text, owners, pin, moderated, persistent, temporary, public, has_password, who_is_what, kind, all, owner, admin, member, outcast, no_affiliation, moderator, participant, visitor, reason, end_room, end_room_ask, subject, banned_who,
    doctor, doctor_text, look_now, is_well, is_unwell, check, to_do,
}

impl Words {
    /// The catalogue that the browser asks for.
    pub(crate) fn of(headers: &HeaderMap) -> &'static Self {
        let wanted =
            headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self::choose(wanted)
    }

    fn choose(wanted: &str) -> &'static Self {
        let mut ranges: Vec<(&str, u16)> = wanted.split(',').take(16).filter_map(range).collect();
        // A stable sort, so that the first of equals is preferred.
        ranges.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        let find = |tag: &str| LANGUAGES.iter().find(|words| words.lang.eq_ignore_ascii_case(tag));
        ranges.iter().find_map(|(tag, _)| find(tag)).unwrap_or(&LANGUAGES[0])
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

const LANGUAGES: &[&Words] = &[&en::WORDS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_is_what_remains() {
        for wanted in ["", "en-GB", "xx, en;q=0.3", ";;;,q=", "fr;q=nan"] {
            assert_eq!(Words::choose(wanted).lang, "en");
        }
        assert_eq!(range("de-CH;q=0.5"), Some(("de", 500)));
        assert_eq!(range("de;q=0"), None);
    }

    #[test]
    fn a_value_is_not_looked_at_again() {
        assert_eq!(fill("hello {}", "{}<"), "hello {}<");
    }
}
