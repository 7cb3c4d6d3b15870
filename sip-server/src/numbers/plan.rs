//! The number plan — E.164, RFC 3966 §3, §5.1 (global and local numbers), RFC 3261 §19.1.6, RFC 5031 §4.2 (`sos`).
//!
//! In    what somebody dialled: digits with or without visual separators, a tel or SIP URI, a service URN.
//! Out   [`Dialled`]: a number with its plus, an emergency number, or an address of ours; and the [`Rate`] of it.
//! State none but the plan itself, which is made once.
//! Errors what is no number is [`Dialled::Name`]; faults of the configuration are told by [`Plan::new`].
//! Not here: portability, ENUM (`enum_record`), numbers that are complete only when enough digits came (RFC 3578).

use std::collections::HashMap;

use shared_model::{Domains, idn};
use sip_core::Uri;

use super::{Class, NumberConfig, Rate, Tariff};

/// What was dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialled {
    /// A number of the telephone network, E.164 with its plus.
    Number(String),
    /// Emergency services, by the number that is dialled here.
    Emergency(String),
    /// An account or room of ours, as a SIP URI.
    Ours(String),
    /// No number: a name, or digits that the plan does not know.
    Name,
}

/// How people here dial.
#[derive(Debug, Clone)]
pub struct Plan {
    domains: Domains,
    country: String,
    area: String,
    /// Longest first.
    national: Vec<String>,
    international: Vec<String>,
    outside: String,
    emergency: Vec<String>,
    services: HashMap<String, String>,
    /// Extensions, short codes and direct numbers by what is dialled.
    codes: HashMap<String, Dialled>,
    /// What is dialled for one's own mailbox.
    voicemail: Option<String>,
    tariffs: HashMap<String, Rate>,
    longest_tariff: usize,
}

impl Plan {
    /// The plan of a configuration, for accounts of `domains`; or everything that is wrong with it.
    pub fn new(config: &NumberConfig, domains: &Domains) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        for (key, text) in
            [("country", &config.country), ("area", &config.area), ("outside", &config.outside)]
        {
            if !is_digits(text) {
                faults.push(format!("`sip.numbers.{key}`: `{text}` is not digits"));
            }
        }
        if config.country.len() > 3 || config.country.starts_with('0') {
            faults.push(format!("`sip.numbers.country`: `{}` is not a country code", config.country));
        }
        for (key, list) in [("national", &config.national), ("international", &config.international)] {
            if let Some(wrong) = list.iter().find(|prefix| !is_digits(prefix)) {
                faults.push(format!("`sip.numbers.{key}`: `{wrong}` is not digits"));
            }
        }
        if config.international.iter().any(String::is_empty) {
            faults.push(
                "`sip.numbers.international`: an empty prefix would make every number foreign".to_owned(),
            );
        }
        let emergency = config.emergency.iter().chain(config.services.values());
        for wrong in emergency.filter(|number| number.is_empty() || !is_digits(number)) {
            faults.push(format!("`sip.numbers.emergency`: `{wrong}` is not digits"));
        }
        let longest_first = |list: &[String]| {
            let mut list = list.to_vec();
            list.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
            list
        };
        let mut plan = Self {
            domains: domains.clone(),
            country: config.country.clone(),
            area: config.area.clone(),
            national: longest_first(&config.national),
            international: longest_first(&config.international),
            outside: config.outside.clone(),
            emergency: config.emergency.clone(),
            services: config
                .services
                .iter()
                .map(|(service, number)| (service.to_lowercase(), number.clone()))
                .collect(),
            codes: HashMap::new(),
            voicemail: digits_of(&config.voicemail),
            tariffs: HashMap::new(),
            longest_tariff: 0,
        };
        plan.add_codes(config, &mut faults);
        let voicemail = config.voicemail.as_str();
        if plan.voicemail.is_none() && !voicemail.is_empty() {
            faults.push(format!("`sip.numbers.voicemail`: `{voicemail}` is not a number"));
        }
        if plan.voicemail.as_ref().is_some_and(|code| plan.emergency_number(code).is_some()) {
            faults.push(format!("`sip.numbers.voicemail`: `{voicemail}` is an emergency number"));
        }
        plan.add_tariffs(config, &mut faults);
        if faults.is_empty() { Ok(plan) } else { Err(faults) }
    }

    fn add_codes(&mut self, config: &NumberConfig, faults: &mut Vec<String>) {
        let mut codes = HashMap::new();
        let lists = [
            ("extensions", &config.extensions),
            ("short_codes", &config.short_codes),
            ("direct", &config.direct),
        ];
        for (key, list) in lists {
            for (code, target) in list {
                let dialled = digits_of(code).map(|code| match self.normalise(&code) {
                    Dialled::Number(number) if key == "direct" => number,
                    _ => code,
                });
                let Some(code) = dialled.filter(|code| key != "direct" || code.starts_with('+')) else {
                    faults.push(format!("`sip.numbers.{key}`: `{code}` is not a number"));
                    continue;
                };
                let leads_to = match (key, self.normalise(target)) {
                    (_, Dialled::Name) => self.address(target),
                    ("short_codes", number) => Some(number),
                    _ => None,
                };
                match leads_to {
                    None => {
                        faults.push(format!("`sip.numbers.{key}`: `{target}` is neither account nor room"))
                    }
                    Some(_) if self.emergency.contains(&code) => {
                        faults.push(format!("`sip.numbers.{key}`: `{code}` is an emergency number"));
                    }
                    Some(leads_to) => {
                        if codes.insert(code.clone(), leads_to).is_some() {
                            faults.push(format!("`sip.numbers.{key}`: `{code}` has two meanings"));
                        }
                    }
                }
            }
        }
        self.codes = codes;
    }

    fn add_tariffs(&mut self, config: &NumberConfig, faults: &mut Vec<String>) {
        for tariff in &config.tariffs {
            let is_prefix = tariff.prefix.strip_prefix('+').is_some_and(|rest| {
                rest.len() <= MOST_DIGITS && rest.bytes().all(|byte| byte.is_ascii_digit())
            });
            if !is_prefix {
                faults.push(format!(
                    "`sip.numbers.tariffs`: `{}` is not a prefix such as \"+33\"",
                    tariff.prefix
                ));
                continue;
            }
            let class = tariff.class.unwrap_or_else(|| self.class_by_country(&tariff.prefix));
            let step = tariff.step.unwrap_or(60).max(1);
            let rate = Rate { class, tariff: Tariff { setup: tariff.setup, minute: tariff.minute, step } };
            self.longest_tariff = self.longest_tariff.max(tariff.prefix.len());
            if self.tariffs.insert(tariff.prefix.clone(), rate).is_some() {
                faults.push(format!("`sip.numbers.tariffs`: `{}` has two tariffs", tariff.prefix));
            }
        }
    }

    /// `alice`, `alice@example.org`, `sip:dev@conference.example.org` as a SIP URI.
    fn address(&self, text: &str) -> Option<Dialled> {
        let text = text.strip_prefix("sip:").unwrap_or(text);
        let uri = if text.contains('@') {
            format!("sip:{text}")
        } else {
            format!("sip:{text}@{}", idn::to_ascii(self.domains.main()))
        };
        let is_address = Uri::parse(&uri).is_some_and(|uri| !uri.user.is_empty() && uri.headers.is_empty());
        is_address.then_some(Dialled::Ours(uri))
    }

    /// What a URI names: its number if it has one, an emergency service if it is a URN of one (RFC 5031 §4.2).
    pub fn read(&self, uri: &Uri<'_>) -> Dialled {
        if let Some(service) = sos(uri) {
            let number = self.services.get(&service).or(self.emergency.first());
            return number.map_or(Dialled::Name, |number| Dialled::Emergency(number.clone()));
        }
        if uri.is_tel() && !self.is_context_ours(uri) {
            return Dialled::Name;
        }
        if uri.is_tel() || uri.is_sip() { self.normalise(&uri.user_unescaped()) } else { Dialled::Name }
    }

    /// Whether a URI asks for one's own mailbox, and no code means something else by it.
    pub fn is_voicemail(&self, uri: &Uri<'_>) -> bool {
        let Some(code) = self.voicemail.as_ref().filter(|code| !self.codes.contains_key(*code)) else {
            return false;
        };
        let is_here = uri.is_sip() || (uri.is_tel() && self.is_context_ours(uri));
        is_here && digits_of(&uri.user_unescaped()).as_ref() == Some(code)
    }

    /// RFC 3966 §5.1.5: a local number means something in its context alone.
    fn is_context_ours(&self, uri: &Uri<'_>) -> bool {
        uri.user.starts_with('+')
            || uri.params.value("phone-context").is_none_or(|context| {
                self.domains.has(context) || context.strip_prefix('+') == Some(&self.country)
            })
    }

    /// What a text means to whoever dials it here.
    pub fn normalise(&self, dialled: &str) -> Dialled {
        let Some(digits) = digits_of(dialled) else { return Dialled::Name };
        let outside = Some(self.outside.as_str()).filter(|prefix| !prefix.is_empty());
        let within = outside.and_then(|prefix| digits.strip_prefix(prefix)).filter(|rest| !rest.is_empty());
        // Nobody in need thinks of the prefix for a line, or forgets it.
        if let Some(number) = self.emergency_number(&digits).or_else(|| self.emergency_number(within?)) {
            return Dialled::Emergency(number);
        }
        if let Some(known) = self.codes.get(&digits) {
            return known.clone();
        }
        let Some(number) = self
            .number(&digits)
            .filter(|_| outside.is_none() || digits.starts_with('+'))
            .or_else(|| self.number(within?))
        else {
            return Dialled::Name;
        };
        self.codes.get(&number).cloned().unwrap_or(Dialled::Number(number))
    }

    fn emergency_number(&self, digits: &str) -> Option<String> {
        self.emergency.iter().chain(self.services.values()).find(|number| *number == digits).cloned()
    }

    /// E.164 with its plus.
    fn number(&self, digits: &str) -> Option<String> {
        if let Some(global) = digits.strip_prefix('+') {
            return e164(global);
        }
        if let Some(rest) = self.international.iter().find_map(|prefix| digits.strip_prefix(prefix.as_str()))
        {
            return e164(rest);
        }
        if self.country.is_empty() {
            return None;
        }
        if let Some(rest) = self.national.iter().find_map(|prefix| digits.strip_prefix(prefix.as_str())) {
            return e164(&format!("{}{rest}", self.country));
        }
        if self.area.is_empty() { None } else { e164(&format!("{}{}{digits}", self.country, self.area)) }
    }

    /// What a destination is, and costs. The longest prefix counts.
    pub fn rate(&self, dialled: &Dialled) -> Rate {
        let number = match dialled {
            Dialled::Number(number) => number,
            Dialled::Emergency(_) => return Rate::of_class(Class::Emergency),
            Dialled::Ours(_) | Dialled::Name => return Rate::of_class(Class::Free),
        };
        let longest = self.longest_tariff.min(number.len());
        (1..=longest)
            .rev()
            .find_map(|length| self.tariffs.get(&number[..length]).copied())
            .unwrap_or_else(|| Rate::of_class(self.class_by_country(number)))
    }

    /// A number as it is written here for the network: national numbers with their prefix, others with the international.
    pub fn written_nationally(&self, number: &str) -> String {
        let digits = number.trim_start_matches('+');
        let first = |list: &[String]| list.first().map_or("", String::as_str).to_owned();
        match digits.strip_prefix(self.country.as_str()).filter(|_| !self.country.is_empty()) {
            Some(rest) => first(&self.national) + rest,
            None => first(&self.international) + digits,
        }
    }

    fn class_by_country(&self, number: &str) -> Class {
        let is_here = self.country.is_empty() || number[1..].starts_with(&self.country);
        if is_here { Class::Pstn } else { Class::Foreign }
    }
}

/// Whether a URI asks for emergency services (RFC 5031 §4.2); which, in lower case, or nothing for all of them.
pub fn sos(uri: &Uri<'_>) -> Option<String> {
    if !uri.scheme.eq_ignore_ascii_case("urn") {
        return None;
    }
    let service = uri.opaque.to_ascii_lowercase();
    let rest = service.strip_prefix("service:sos")?;
    if rest.is_empty() { Some(String::new()) } else { rest.strip_prefix('.').map(str::to_owned) }
}

/// The digits of a number: an optional plus, digits, `*` and `#`. Visual separators (RFC 3966 §5.1.1) and parameters
/// go; with anything else it is no number.
fn digits_of(text: &str) -> Option<String> {
    let text = text.split(';').next().unwrap_or_default().trim();
    let mut digits = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '0'..='9' | '*' | '#' => digits.push(character),
            '+' if digits.is_empty() => digits.push('+'),
            '-' | '.' | '(' | ')' | ' ' => {}
            _ => return None,
        }
    }
    let has_digit = digits.bytes().any(|byte| byte.is_ascii_digit());
    (has_digit && digits.len() <= MOST_DIALLED).then_some(digits)
}

fn e164(digits: &str) -> Option<String> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    (is_number && (FEWEST_DIGITS..=MOST_DIGITS).contains(&digits.len())).then(|| format!("+{digits}"))
}

/// E.164 §6.2: digits of a number, its country code included.
const MOST_DIGITS: usize = 15;
/// The shortest numbers that there are, with their country code.
const FEWEST_DIGITS: usize = 7;
/// Digits of anything that is dialled.
const MOST_DIALLED: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::{Money, TariffConfig};
    use super::*;

    fn home() -> Domains {
        Domains::new("example.org", [])
    }

    fn france() -> NumberConfig {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(code, target)| ((*code).to_owned(), (*target).to_owned())).collect()
        };
        let tariff = |prefix: &str, class, minute| TariffConfig {
            prefix: prefix.to_owned(),
            class,
            minute: Money(minute),
            ..TariffConfig::default()
        };
        NumberConfig {
            country: "33".to_owned(),
            services: map(&[("police", "17")]),
            extensions: map(&[("100", "alice"), ("200", "dev@conference.example.org")]),
            short_codes: map(&[("*97", "sip:mail@example.org"), ("3246", "01 40 00 00 00")]),
            direct: map(&[("0140000001", "dev@conference.example.org")]),
            tariffs: vec![
                tariff("+33", None, 10),
                tariff("+33899", Some(Class::Premium), 800),
                tariff("+338991", Some(Class::Free), 0),
                tariff("+49", None, 30),
            ],
            ..NumberConfig::default()
        }
    }

    fn plan(config: &NumberConfig) -> Plan {
        Plan::new(config, &home()).unwrap()
    }

    fn number(text: &str) -> Dialled {
        Dialled::Number(text.to_owned())
    }

    fn ours(text: &str) -> Dialled {
        Dialled::Ours(text.to_owned())
    }

    #[test]
    fn every_way_of_dialling_a_number_is_one_number() {
        let plan = plan(&france());
        for dialled in
            ["+33155501980", "0155501980", "0033155501980", "01 55.50-19(80)", "+33-1-5550-1980;ext=1"]
        {
            assert_eq!(plan.normalise(dialled), number("+33155501980"), "{dialled}");
        }
        for uri in [
            "tel:+33-1-5550-1980",
            "sip:+33155501980@example.org;user=phone",
            "sip:%2B33155501980@example.org",
            "tel:0155501980;phone-context=+33",
            "tel:0155501980;phone-context=example.org",
            "sip:0155501980;phone-context=+33@example.org;user=phone",
        ] {
            assert_eq!(plan.read(&Uri::parse(uri).unwrap()), number("+33155501980"), "{uri}");
        }
        for name in [
            "alice",
            "",
            "+",
            "155501980",
            "+0155501980",
            "+331",
            "+3315550198012345",
            "00*1",
            "+33*155501",
            "12345",
        ] {
            assert_eq!(plan.normalise(name), Dialled::Name, "{name}");
        }
        let elsewhere = Uri::parse("tel:0155501980;phone-context=elsewhere.example").unwrap();
        assert_eq!(plan.read(&elsewhere), Dialled::Name, "RFC 3966 §5.1.5");
        assert_eq!(plan.normalise(&"1".repeat(1_000)), Dialled::Name);
    }

    #[test]
    fn plans_differ_by_country() {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let america = NumberConfig {
            country: "1".to_owned(),
            national: list(&["", "1"]),
            international: list(&["011"]),
            ..NumberConfig::default()
        };
        for dialled in ["12125550100", "2125550100", "+12125550100", "01112125550100"] {
            assert_eq!(plan(&america).normalise(dialled), number("+12125550100"), "{dialled}");
        }
        let office = NumberConfig {
            outside: "0".to_owned(),
            area: "30".to_owned(),
            country: "49".to_owned(),
            ..france()
        };
        let office = Plan { codes: HashMap::new(), ..plan(&office) };
        assert_eq!(office.normalise("0030123456"), number("+4930123456"));
        assert_eq!(office.normalise("0123456"), number("+4930123456"));
        assert_eq!(office.normalise("000331555019"), number("+331555019"));
        assert_eq!(
            (office.normalise("0112"), office.normalise("112")),
            (Dialled::Emergency("112".into()), Dialled::Emergency("112".into()))
        );
        assert_eq!(office.normalise("123456"), Dialled::Name, "no line was asked for");
        assert_eq!(plan(&NumberConfig::default()).normalise("0155501980"), Dialled::Name);
        assert_eq!(plan(&NumberConfig::default()).normalise("+33155501980"), number("+33155501980"));
    }

    #[test]
    fn codes_lead_to_accounts_rooms_and_numbers() {
        let plan = plan(&france());
        assert_eq!(plan.normalise("100"), ours("sip:alice@example.org"));
        assert_eq!(plan.normalise("*97"), ours("sip:mail@example.org"));
        assert_eq!(plan.normalise("3246"), number("+33140000000"));
        for direct in ["0140000001", "+33140000001", "0033140000001"] {
            assert_eq!(plan.normalise(direct), ours("sip:dev@conference.example.org"), "{direct}");
        }
        assert_eq!(plan.written_nationally("+33140000001"), "0140000001");
        assert_eq!(plan.written_nationally("+4930123456"), "004930123456");
    }

    #[test]
    fn a_code_is_for_ones_own_mailbox_unless_the_operator_means_something_else_by_it() {
        let is_voicemail = |plan: &Plan, uri: &str| plan.is_voicemail(&Uri::parse(uri).unwrap());
        let own = plan(&NumberConfig::default());
        assert!(is_voicemail(&own, "sip:*97@example.org") && is_voicemail(&own, "sip:%2a97@example.org"));
        assert!(is_voicemail(&own, "tel:*97;phone-context=example.org"));
        assert!(
            !is_voicemail(&own, "sip:97@example.org")
                && !is_voicemail(&own, "tel:*97;phone-context=x.example")
        );
        assert!(!is_voicemail(&plan(&france()), "sip:*97@example.org"), "a short code of theirs");
        let none = NumberConfig { voicemail: String::new(), ..NumberConfig::default() };
        assert!(!is_voicemail(&plan(&none), "sip:*97@example.org"));
    }

    /// RFC 5031 §4.2.
    #[test]
    fn emergency_services_have_numbers_and_names() {
        let plan = plan(&france());
        let read = |uri: &str| plan.read(&Uri::parse(uri).unwrap());
        let emergency = |number: &str| Dialled::Emergency(number.to_owned());
        assert_eq!(read("sip:112@example.org"), emergency("112"));
        assert_eq!(read("tel:911;phone-context=example.org"), emergency("911"));
        assert_eq!(read("urn:service:sos"), emergency("112"));
        assert_eq!(read("URN:service:SOS.Police"), emergency("17"));
        assert_eq!(read("urn:service:sos.mountain"), emergency("112"));
        assert_eq!(read("sip:17@example.org"), emergency("17"));
        assert_eq!(read("urn:service:sosx"), Dialled::Name);
        assert_eq!(read("urn:service:counseling"), Dialled::Name);
    }

    #[test]
    fn the_longest_prefix_says_what_a_number_is() {
        let plan = plan(&france());
        let rate = |text: &str| plan.rate(&plan.normalise(text));
        assert_eq!((rate("0155501980").class, rate("0155501980").tariff.minute), (Class::Pstn, Money(10)));
        assert_eq!(
            (rate("0899223456").class, rate("0899223456").tariff.minute),
            (Class::Premium, Money(800))
        );
        assert_eq!((rate("0899199999").class, rate("0899199999").is_charged()), (Class::Free, false));
        assert_eq!(
            (rate("004930123456").class, rate("004930123456").tariff.minute),
            (Class::Foreign, Money(30))
        );
        assert_eq!((rate("+4412345678").class, rate("+4412345678").is_charged()), (Class::Foreign, false));
        assert_eq!((rate("112").class, rate("100").class), (Class::Emergency, Class::Free));
    }

    #[test]
    fn a_plan_that_cannot_be_meant_is_refused() {
        let fault = |change: fn(&mut NumberConfig)| {
            let mut config = france();
            change(&mut config);
            Plan::new(&config, &home()).unwrap_err().join("; ")
        };
        let put = |map: &mut std::collections::BTreeMap<String, String>, code: &str, target: &str| {
            map.insert(code.to_owned(), target.to_owned());
        };
        assert!(fault(|plan| plan.country = "+33".into()).contains("`sip.numbers.country`"));
        assert!(fault(|plan| plan.country = "033".into()).contains("not a country code"));
        assert!(fault(|plan| plan.international.push(String::new())).contains("sip.numbers.international"));
        assert!(fault(|plan| plan.emergency.push("help".into())).contains("`help` is not digits"));
        assert!(fault(|plan| plan.tariffs.push(TariffConfig::default())).contains("is not a prefix"));
        assert!(fault(|plan| plan.tariffs.push(plan.tariffs[0].clone())).contains("two tariffs"));
        let mut config = france();
        put(&mut config.extensions, "112", "alice");
        put(&mut config.extensions, "desk", "alice");
        put(&mut config.extensions, "300", "01 40 00 00 00");
        put(&mut config.direct, "301", "alice");
        put(&mut config.short_codes, "100", "alice");
        let faults = Plan::new(&config, &home()).unwrap_err();
        assert_eq!(faults.len(), 5, "{faults:?}");
    }
}
