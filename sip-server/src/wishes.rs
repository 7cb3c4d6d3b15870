//! Caller preferences — RFC 3841 §7.1 (Request-Disposition), §7.2.4 (which devices, in which order).
//!
//! In    what a caller wants, and the devices of the callee that a request would ring. Out the same without those that the caller does
//!       not want; of equal q, those that suit best first.
//! Errors none are left: the caller hears 480, and a mailbox that suits may take the call.
//! Not here: `redirect`, for where devices are is their owner's to tell; `queue`, for nobody is called back; other domains' contacts,
//! which are theirs to sort. What is merely implied (§7.2.2) rings all that are left at once, as without it.

use shared_model::Spec;
use sip_core::header::Params;
use sip_core::preferences::{Fit, Search, Wishes};

use crate::location::Branch;
use crate::push::Sleeper;

/// RFC 3841.
pub(crate) const SPEC: Spec = Spec::rfc(3841)
    .note("devices of our accounts and their mailboxes; redirect is not done, and nobody is queued");

/// Groups as a caller wants them, and whom to wake.
pub(crate) fn arrange(
    wishes: &Wishes,
    groups: Vec<Vec<Branch>>,
    asleep: Vec<Sleeper>,
) -> (Vec<Vec<Branch>>, Vec<Sleeper>) {
    let is_wanted = |branch: &Branch| branch.callee.is_none() || suits(wishes, &branch.features);
    let has_wanted = groups.iter().flatten().any(is_wanted)
        || asleep.iter().any(|sleeper| suits(wishes, &sleeper.features));
    if !has_wanted && !wishes.is_explicit() {
        // §7.2.4: the devices themselves say that they cannot.
        return in_order(wishes, groups, asleep);
    }
    let groups: Vec<_> = groups.into_iter().flat_map(|group| by_fit(wishes, group)).collect();
    let asleep = asleep.into_iter().filter(|sleeper| suits(wishes, &sleeper.features)).collect();
    in_order(wishes, groups, asleep)
}

/// Whether a contact with these parameters is not dropped.
pub(crate) fn suits(wishes: &Wishes, features: &str) -> bool {
    wishes.fit(Params(features)) != Fit::Dropped
}

/// Those of one q: without those that are dropped, and best first.
fn by_fit(wishes: &Wishes, group: Vec<Branch>) -> Vec<Vec<Branch>> {
    let fit = |branch: &Branch| match &branch.callee {
        // What is nobody's device has nothing that is known of it.
        None => Fit::Suits(1.0),
        Some(_) => wishes.fit(Params(&branch.features)),
    };
    let mut scored: Vec<(f32, Branch)> = Vec::with_capacity(group.len());
    for branch in group {
        if let Fit::Suits(score) = fit(&branch) {
            scored.push((score, branch));
        }
    }
    scored.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let mut groups: Vec<(f32, Vec<Branch>)> = Vec::new();
    for (score, branch) in scored {
        match groups.last_mut() {
            Some((last, group)) if *last == score => group.push(branch),
            _ => groups.push((score, vec![branch])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Tried as the caller wants it: all at once, one by one, or one alone.
fn in_order(
    wishes: &Wishes,
    mut groups: Vec<Vec<Branch>>,
    mut asleep: Vec<Sleeper>,
) -> (Vec<Vec<Branch>>, Vec<Sleeper>) {
    match wishes.disposition.search {
        Some(Search::Parallel) if groups.len() > 1 => groups = vec![groups.into_iter().flatten().collect()],
        Some(Search::Sequential) => {
            groups = groups.into_iter().flatten().map(|branch| vec![branch]).collect()
        }
        Some(Search::Parallel) | None => {}
    }
    if wishes.disposition.one_only {
        let first = groups.into_iter().flatten().next();
        asleep.truncate(usize::from(first.is_none()));
        groups = first.map(|first| vec![first]).into_iter().collect();
    }
    (groups, asleep)
}
