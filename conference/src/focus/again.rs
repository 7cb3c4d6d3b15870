//! Offers of ours within a call — RFC 3264 §8 (what changes, and what does not), RFC 6337 §5.3 (an offer that was asked for says all
//! that we can), RFC 9143 §7.5 (a browser's bundle), RFC 8853 §5.3 (layers go on).
//!
//! In    the media as they were described last, what was agreed on for them. Out an offer with the same media in their order,
//!       perhaps with more behind them. State none. Errors what has no use keeps its place with port 0.

use super::answer::{LEVEL, Origin, Ours, beside_sound, head, ways};
use super::dtls;
use super::lines::{Line, Lines, What};
use super::offer::{Offered, payload_type};
use super::sdes;
use super::video;
use super::xr;
use crate::media::codec::Format;
use crate::media::leg::Negotiated;

/// A call as it is.
pub(super) struct Now<'a> {
    pub(super) origin: Origin,
    pub(super) sound: &'a Negotiated,
    /// What we say of ourselves to a browser.
    pub(super) browser: Option<&'a Ours>,
    pub(super) pictures: Option<&'a video::Agreed>,
}

/// The offer of these lines and keys.
pub(super) fn offer(now: &Now<'_>, offered: &Offered) -> String {
    let mut text = head(now.origin);
    if let Some(browser) = now.browser {
        let members = offered.lines.0.iter().filter(|line| line.what != What::Nothing);
        let mids: String = members.filter_map(|line| Some(format!(" {}", line.mid.as_ref()?))).collect();
        let group = if mids.is_empty() { mids } else { format!("a=group:BUNDLE{mids}\r\n") };
        text.push_str(&(group + &browser.lines()));
    }
    // A number that one medium takes is no other's.
    let mut lines = offered.lines.clone();
    for (at, line) in offered.lines.0.iter().enumerate() {
        let said = match (line.what, &offered.pictures) {
            (What::Sound, _) => Some(sound(now, offered, line, &mut lines)),
            (What::Pictures, Some(pictures)) => Some(video::offer::medium_again(
                (line, &mut lines),
                at,
                pictures,
                now.pictures,
                now.browser.is_some(),
            )),
            _ => None,
        };
        match said {
            Some(said) => {
                text.push_str(&said);
                text.push_str(&line.name());
                let ways = now.browser.map(|browser| ways(browser, now.origin.local, "actpass"));
                text.push_str(&ways.unwrap_or_default());
            }
            None => text.push_str(&line.refused()),
        }
    }
    text
}

/// The format of now first, with its number, and then all others.
fn sound(now: &Now<'_>, offered: &Offered, line: &Line, lines: &mut Lines) -> String {
    let Negotiated { encoding, payload_type: number, events, noise, level, .. } = *now.sound;
    let mut types = vec![(encoding.format, number.to_string())];
    let mut maps = String::new();
    for format in Format::ALL.into_iter().filter(|format| *format != encoding.format) {
        if now.browser.is_some() && !OF_BROWSERS.contains(&format) {
            continue;
        }
        let usual = payload_type(format);
        let number = match line.format(format.rtpmap()) {
            Some(known) => known.number.clone(),
            None if usual < 96 => usual.to_string(),
            None => lines.take_number(usual),
        };
        types.push((format, number));
    }
    let keys = events.map(|number| number.to_string());
    let meaning = keys.as_ref().and_then(|number| line.meaning(number)).unwrap_or("telephone-event/8000");
    let known = line.format("telephone-event/8000").map(|known| known.number.clone());
    let keys = keys.or(known).unwrap_or_else(|| lines.take_number(101));
    let noise = noise.filter(|_| now.browser.is_none()).map_or(String::new(), |number| format!(" {number}"));
    for (format, number) in &types {
        maps.push_str(&format!("a=rtpmap:{number} {}\r\n", format.rtpmap()));
        if *format == Format::Opus {
            maps.push_str(&format!("a=fmtp:{number} useinbandfec=1\r\n"));
        }
    }
    let numbers: Vec<&str> = types.iter().map(|(_, number)| &**number).collect();
    let mut text = format!(
        "m=audio {} {} {} {keys}{noise}\r\n",
        now.origin.local.port(),
        line.protocol,
        numbers.join(" ")
    );
    for (n, (suite, key)) in offered.sound.iter().enumerate() {
        text.push_str(&sdes::print(&(n + 1).to_string(), *suite, key));
    }
    if let Some(ours) = &offered.dtls {
        text.push_str(&dtls::offer(ours));
    }
    text.push_str(&maps);
    text.push_str(&format!("a=rtpmap:{keys} {meaning}\r\na=fmtp:{keys} 0-16\r\n"));
    if let Some(level) = level.or_else(|| now.browser.is_none().then_some(1)) {
        text.push_str(&format!("a=extmap:{level}/recvonly {LEVEL}\r\n"));
    }
    text.extend(xr::print(if now.browser.is_some() { xr::OF_BROWSERS } else { xr::OF_PHONES }));
    text.push_str("a=ptime:20\r\na=rtcp-mux\r\na=sendrecv\r\n");
    if now.browser.is_some() {
        text.push_str(&beside_sound(now.origin));
    }
    text
}

/// What browsers have.
const OF_BROWSERS: [Format; 4] = [Format::Opus, Format::G722, Format::Pcmu, Format::Pcma];
