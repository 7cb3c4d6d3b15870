//! `[sip.numbers]`.

use std::collections::BTreeMap;

use serde::Deserialize;
use shared_runtime::config::Key;

use super::{Class, Money};

/// `[sip.numbers]`: how people here dial, and what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NumberConfig {
    /// Country code, such as `33`; without one only numbers with a plus are numbers. Default none.
    pub country: String,
    /// Area code of numbers that are dialled without one. Default none.
    pub area: String,
    /// What comes before numbers of this country; an empty one means that they may be dialled without. Default `0`.
    pub national: Vec<String>,
    /// What comes before numbers of other countries. Default `00`.
    pub international: Vec<String>,
    /// What is dialled to get a line; it is taken off. Default none.
    pub outside: String,
    /// Emergency numbers; the first stands for `urn:service:sos` too. Default `112`, `911`.
    pub emergency: Vec<String>,
    /// Emergency numbers of services (RFC 5031 §4.2), such as `police = "17"`. Default none.
    pub services: BTreeMap<String, String>,
    /// Numbers within the house: an account or a room for each. Default none.
    pub extensions: BTreeMap<String, String>,
    /// What is dialled for something longer: a number, an account or a room. Default none.
    pub short_codes: BTreeMap<String, String>,
    /// Numbers that are not an account's: an account or a room for each. Default none.
    pub direct: BTreeMap<String, String>,
    /// What accounts dial to hear the messages in their own mailbox; empty: nothing. A code of the lists above goes before it.
    /// Default `*97`.
    pub voicemail: String,
    /// Zones in which SIP addresses of numbers are looked up before trunks are asked (RFC 6116), such as `e164.arpa`.
    /// Default none.
    pub enum_zones: Vec<String>,
    /// What calls cost; the longest prefix counts. Default none.
    pub tariffs: Vec<TariffConfig>,
}

/// One of `[[sip.numbers.tariffs]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TariffConfig {
    /// Numbers that begin so, with their plus, such as `+33899`.
    pub prefix: String,
    /// What they are. Default: what they are without a tariff.
    pub class: Option<Class>,
    /// For being answered. Default 0.
    pub setup: Money,
    /// For each minute. Default 0.
    pub minute: Money,
    /// Seconds that are charged at once. Default 60.
    pub step: Option<u32>,
}

/// Every key of `[sip.numbers]`.
pub(crate) const KEYS: &[Key] = &[
    Key::new("sip.numbers.country", "\"\"", "country code, such as \"33\"; none: only +… is a number"),
    Key::new("sip.numbers.area", "\"\"", "area code of numbers that are dialled without one"),
    Key::new(
        "sip.numbers.national",
        "[\"0\"]",
        "what comes before numbers of this country; \"\" in it: they may be dialled without",
    ),
    Key::new("sip.numbers.international", "[\"00\"]", "what comes before numbers of other countries"),
    Key::new("sip.numbers.outside", "\"\"", "what is dialled to get a line"),
    Key::new(
        "sip.numbers.emergency",
        "[\"112\", \"911\"]",
        "emergency numbers; the first stands for urn:service:sos (RFC 5031) too",
    ),
    Key::new("sip.numbers.services", "{}", "emergency numbers of services, such as { police = \"17\" }"),
    Key::new(
        "sip.numbers.extensions",
        "{}",
        "numbers within the house, such as { 100 = \"alice\", 200 = \"dev@conference.example.org\" }",
    ),
    Key::new(
        "sip.numbers.short_codes",
        "{}",
        "what is dialled for something longer, such as { 3246 = \"+33140000000\" }",
    ),
    Key::new(
        "sip.numbers.direct",
        "{}",
        "numbers that lead to an account or a room, such as { \"+33140000001\" = \"dev@conference.example.org\" }",
    ),
    Key::new(
        "sip.numbers.voicemail",
        "\"*97\"",
        "what accounts dial to hear the messages in their own mailbox; empty: nothing",
    ),
    Key::new(
        "sip.numbers.enum_zones",
        "[]",
        "zones with SIP addresses of numbers (RFC 6116), such as \"e164.arpa\"; looked up before trunks are asked, which take the number where that fails; an account of ours rings",
    ),
    Key::new(
        "sip.numbers.tariffs",
        "[]",
        "what calls cost: { prefix = \"+33899\", class = \"premium\", setup = \"0.10\", minute = \"0.80\", step = 60 }; the longest \
         prefix counts; classes are free, pstn, foreign, premium, emergency",
    ),
];

impl Default for NumberConfig {
    fn default() -> Self {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            country: String::new(),
            area: String::new(),
            national: list(&["0"]),
            international: list(&["00"]),
            outside: String::new(),
            emergency: list(&["112", "911"]),
            services: BTreeMap::new(),
            extensions: BTreeMap::new(),
            short_codes: BTreeMap::new(),
            direct: BTreeMap::new(),
            voicemail: "*97".to_owned(),
            enum_zones: Vec::new(),
            tariffs: Vec::new(),
        }
    }
}
