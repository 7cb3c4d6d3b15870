//! Trunks and the number plan for the operator's pages: a [`shared_model::Telephony`].
//!
//! In    what somebody dials. Out what the plan makes of it, whom it rings, which trunks take it and in which order, what it costs, and
//!       whether the caller's rules let it be (`cost`).
//! State none of its own. Errors a store that does not answer.
//! ENUM is asked as a call would ask it, for [`PATIENCE`] at most; later it counts as silent, as a call finds it then.
//! Not here: limits on money, of which the caller's record tells.

use std::sync::Arc;
use std::time::Duration;

use shared_model::{Aor, Meaning, NumberRoute, Pending, Plan, Price, Telephony, TrunkState, Unavailable};
use sip_core::Uri;

use crate::destination::{account_of, by_enum};
use crate::numbers::{Class, Dialled};
use crate::server::Server;
use crate::trunks::Trunk;

/// The numbers of one server.
pub(crate) struct Numbers(pub(crate) Arc<Server>);

impl Telephony for Numbers {
    fn trunks(&self) -> Vec<TrunkState> {
        self.0.trunks.iter().map(|trunk| state(trunk)).collect()
    }

    fn plan(&self) -> Plan {
        let config = &self.0.config.numbers;
        let pairs = |map: &std::collections::BTreeMap<String, String>| {
            map.iter().map(|(code, target)| format!("{code} → {target}")).collect()
        };
        let currency = &self.0.config.cost.currency;
        let tariff = |tariff: &crate::numbers::TariffConfig| {
            let class = tariff.class.map(|class| format!(" ({})", class.as_str())).unwrap_or_default();
            format!(
                "{}{class}: {} {currency}, {} {currency} a minute",
                tariff.prefix, tariff.setup, tariff.minute
            )
        };
        let one = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
        vec![
            ("country", one(&config.country)),
            ("area", one(&config.area)),
            ("national", config.national.clone()),
            ("international", config.international.clone()),
            ("outside", one(&config.outside)),
            ("emergency", config.emergency.clone()),
            ("services", pairs(&config.services)),
            ("extensions", pairs(&config.extensions)),
            ("short_codes", pairs(&config.short_codes)),
            ("direct", pairs(&config.direct)),
            ("enum_zones", config.enum_zones.clone()),
            ("tariffs", config.tariffs.iter().map(tariff).collect()),
        ]
    }

    fn look_up<'a>(
        &'a self,
        dialled: &'a str,
        caller: Option<&'a Aor>,
    ) -> Pending<'a, Result<NumberRoute, Unavailable>> {
        Box::pin(async move {
            let server = &self.0;
            let text = dialled.trim();
            // A name or a number is dialled at our domain; a URI says itself where.
            let uri = match Uri::parse(text).filter(|uri| uri.is_sip() || uri.is_tel() || is_sos(uri)) {
                Some(_) => text.to_owned(),
                None => {
                    let is_number = server.plan.normalise(text) != Dialled::Name;
                    let name: String =
                        text.chars().filter(|c| !is_number || "0123456789+*#".contains(*c)).collect();
                    let domain = caller.map_or(server.domains.main(), |caller| caller.domain());
                    Aor::new(&name, domain).map_or(String::new(), |aor| aor.to_sip_uri())
                }
            };
            let Some(uri) = Uri::parse(&uri) else { return Ok(nothing()) };
            if uri.is_sip() && !server.is_our_host(&uri) {
                return Ok(nothing());
            }
            let dialled = server.plan.read(&uri);
            let is_emergency = matches!(dialled, Dialled::Emergency(_));
            let account = match is_emergency {
                true => None,
                false => account_of(server, &uri).await.map_err(|error| {
                    tracing::error!(%error, "whose a number is cannot be read");
                    Unavailable
                })?,
            };
            let is_outside =
                account.is_none() && matches!(dialled, Dialled::Number(_) | Dialled::Emergency(_));
            let elsewhere = match &dialled {
                Dialled::Number(number) if is_outside => {
                    let asked = tokio::time::timeout(PATIENCE, by_enum(server, number)).await;
                    asked.ok().flatten().map(|(address, _)| address)
                }
                _ => None,
            };
            let is_outside = is_outside && elsewhere.is_none();
            let rate = server.plan.rate(&dialled);
            let trunks = match is_outside {
                true => server.trunks.for_number(&dialled, server.endpoint()),
                false => Vec::new(),
            };
            let is_allowed = |caller: &Aor| {
                rate.class == Class::Emergency || server.config.cost.of(caller).allow.contains(&rate.class)
            };
            Ok(NumberRoute {
                trunks: trunks.iter().map(|trunk| trunk.name().to_owned()).collect(),
                is_allowed: !is_outside || caller.is_none_or(is_allowed),
                price: is_outside.then(|| Price {
                    class: rate.class.as_str().to_owned(),
                    setup: rate.tariff.setup.to_string(),
                    minute: rate.tariff.minute.to_string(),
                    step: rate.tariff.step,
                    currency: server.config.cost.currency.clone(),
                }),
                account: account.map(|card| card.aor),
                elsewhere,
                meaning: match dialled {
                    Dialled::Number(number) => Meaning::Number(number),
                    Dialled::Emergency(number) => Meaning::Emergency(number),
                    Dialled::Ours(address) => Meaning::Ours(address),
                    Dialled::Name => Meaning::Name,
                },
            })
        })
    }
}

fn is_sos(uri: &Uri<'_>) -> bool {
    crate::numbers::sos(uri).is_some()
}

fn nothing() -> NumberRoute {
    NumberRoute {
        meaning: Meaning::Name,
        account: None,
        elsewhere: None,
        trunks: Vec::new(),
        price: None,
        is_allowed: true,
    }
}

fn state(trunk: &Trunk) -> TrunkState {
    let config = trunk.config();
    let (answered, failed) = trunk.heard();
    TrunkState {
        name: config.name.clone(),
        server: config.server.clone(),
        addresses: trunk.targets().iter().map(|target| target.address.to_string()).collect(),
        prefixes: config.prefixes.clone(),
        takes_emergency: config.emergency,
        priority: config.priority,
        weight: config.weight,
        is_up: trunk.is_up(),
        is_registered: config.register.then(|| trunk.metrics.registered.get() == 1),
        is_probed: !config.probe.is_zero(),
        answered,
        failed,
        calls: (trunk.metrics.calls_out.get(), trunk.metrics.calls_in.get()),
    }
}

/// How long zones of ENUM are asked for one lookup.
const PATIENCE: Duration = Duration::from_secs(5);
