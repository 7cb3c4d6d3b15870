//! Limits on spend while calls are up: each ends before it costs more than its caller has left.
//!
//! In    the time, once a second; charged calls that are up; what their callers spent.
//! Out   a word by chat a minute before; then a BYE to both sides ([`crate::hang_up`]), a row that says `cut_off`, a word by chat.
//! Errors where it is not known who spent what, calls go on until it is: whoever pays may need the call.
//! The callee is told first: a carrier that refuses a BYE goes on charging, so that the call is kept in the books, and ended again soon.
//! Calls that an earlier process left count, and are not ended: their numbers (CSeq) are not known.
//! Of calls that share what is left, the older go on for as long as it pays for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_model::{AccountId, BareJid, CallEvent, CallOutcome};
use shared_runtime::unix_millis;

use super::config::Rules;
use super::limits::Spent;
use crate::hang_up;
use crate::numbers::Money;
use crate::server::Server;

/// Watches until shutdown, if there is a limit to watch.
pub(crate) async fn watch(server: Arc<Server>) {
    if !server.config.cost.has_limits() {
        return;
    }
    loop {
        tokio::select! {
            () = server.begun_shutdown() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        for account in server.calls.charges.accounts() {
            look(&server, account).await;
        }
    }
}

async fn look(server: &Arc<Server>, account: AccountId) {
    // Who is gone meanwhile had rules that are not known any more: their calls end by themselves.
    let Ok(Some(card)) = server.auth.directory.by_id(account).await else { return };
    let rules = server.config.cost.of(&card.aor);
    if rules.per_day.is_none() && rules.per_month.is_none() {
        return;
    }
    let spent = match server.calls.spend.of(account, unix_millis()).await {
        Ok(spent) => spent,
        Err(error) => {
            tracing::warn!(%error, "what an account spent cannot be read; its calls go on");
            return;
        }
    };
    let Some((left, limit)) = left(&rules, spent, &server.config.cost.currency) else { return };
    let now = Instant::now();
    for call in server.calls.charges.beyond(account, left, now, TICK) {
        let (server, jid, limit) = (Arc::clone(server), card.jid.clone(), limit.clone());
        // A side that does not answer keeps no other call waiting.
        server.shutdown.clone().spawn(async move { end(&server, (account, &call), &jid, &limit).await });
    }
    if let Some(notices) = &server.notices
        && !server.calls.charges.soon_beyond(account, left, now, WARNED).is_empty()
    {
        notices.tell(&card.jid, &format!("Your call ends within a minute: {limit} are used up then.")).await;
    }
}

async fn end(server: &Server, (account, call): (AccountId, &str), jid: &BareJid, limit: &str) {
    let (at, Some(cut)) = (Instant::now(), server.calls.to_cut(call)) else { return };
    // What somebody may spend is not for whom they called.
    if !hang_up::tell_callee(server, &cut.ends, "SIP;cause=403;text=\"Limit on spend\"").await {
        // It goes on, and so does what it costs.
        tokio::time::sleep(AGAIN).await;
        return server.calls.charges.goes_on(account, call);
    }
    let name = server.dialogs.name(&cut.call_id, &cut.tag);
    let reason = format!("SIP;cause=403;text=\"{limit} are used up\"");
    let told = async {
        if !server.calls.cut_off(call, at).await {
            return;
        }
        tracing::info!(%account, "a call was ended, since its caller's limit is reached");
        let ended = CallEvent::Ended {
            call_id: name.clone(),
            outcome: CallOutcome::Completed,
            reason: Some(format!("{limit} are used up")),
        };
        server.facts.call(&name, ended);
        if let Some(notices) = &server.notices {
            notices.tell(jid, &format!("Your call was ended: {limit} are used up.")).await;
        }
        if let Some(relay) = server.relay.as_ref().filter(|relay| relay.has(&name)) {
            relay.delete(&name).await;
        }
    };
    tokio::join!(hang_up::tell_caller(server, &cut.ends, &reason), told);
}

/// What calls that are up may cost in all, and by which limit.
fn left(rules: &Rules<'_>, spent: Spent, currency: &str) -> Option<(Money, String)> {
    let of = |limit: Option<Money>, spent: Money, of: &str| {
        limit.map(|limit| (limit.less(spent), format!("your {limit} {currency} of {of}")))
    };
    let day = of(rules.per_day, spent.day, "today");
    let month = of(rules.per_month, spent.month, "this month");
    day.into_iter().chain(month).min_by_key(|(left, _)| *left)
}

/// How often calls are looked at, which is how much earlier than its last second a call may end.
const TICK: Duration = Duration::from_secs(1);
/// When a call that its callee did not let us end is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// How long before its end a call's caller is told.
const WARNED: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::CostConfig;

    #[test]
    fn what_is_left_is_the_less_of_both_limits() {
        let (five, nine) = (Some(Money(5_000_000)), Some(Money(9_000_000)));
        let config = CostConfig { per_day: five, per_month: nine, ..CostConfig::default() };
        let rules = config.of(&shared_model::Aor::new("a", "x").unwrap());
        let of = |day, month| left(&rules, Spent { day: Money(day), month: Money(month) }, "EUR").unwrap();
        assert_eq!(of(1_000_000, 1_000_000), (Money(4_000_000), "your 5.00 EUR of today".to_owned()));
        assert_eq!(of(0, 8_000_000), (Money(1_000_000), "your 9.00 EUR of this month".to_owned()));
        assert_eq!(of(6_000_000, 0).0, Money::ZERO);
    }
}
