//! Every binding, by AOR, packed: about 400 bytes each.
//!
//! In    REGISTERs; rows of the file. Out bindings; the rows that a change writes, handed over while the AOR is locked, so
//! that the journal has changes to one AOR in their order.

use std::sync::atomic::{AtomicI64, Ordering};

use dashmap::DashMap;
use shared_model::Aor;

use super::journal::{Row, Written};
use crate::binding::{apply, order};
use crate::sqlite::packed;
use crate::{Binding, BindingUpdate, Committed, StoreError};

/// Bindings by AOR. A packed binding holds all but its AOR.
#[derive(Default)]
pub(super) struct Index {
    by_aor: DashMap<Box<str>, Vec<Box<[u8]>>>,
    /// Nothing expires before.
    first_expiry: AtomicI64,
}

impl Index {
    /// Takes in a row of the file.
    pub(super) fn insert(&self, aor: &str, body: &[u8]) {
        let mut packed = self.by_aor.entry(aor.into()).or_insert_with(|| Vec::with_capacity(1));
        packed.push(body.into());
    }

    /// Puts what the file says of an AOR in place of what is here.
    pub(super) fn replace(&self, aor: &str, bodies: Vec<Box<[u8]>>) {
        match bodies.is_empty() {
            true => drop(self.by_aor.remove(aor)),
            false => drop(self.by_aor.insert(aor.into(), bodies)),
        }
        self.first_expiry.store(0, Ordering::Relaxed);
    }

    /// The bindings of an AOR that are alive.
    pub(super) fn live(&self, aor: &Aor, now: i64) -> Result<Vec<Binding>, StoreError> {
        let mut live = match self.by_aor.get(aor.as_str()) {
            Some(packed) => unpack_all(aor, &packed)?,
            None => Vec::new(),
        };
        live.retain(|binding| binding.expires > now);
        order(&mut live);
        Ok(live)
    }

    /// Bindings that end soon. Looks at each, but unpacks those alone.
    pub(super) fn ending(&self, after: i64, until: i64, max: usize) -> Result<Vec<Binding>, StoreError> {
        let mut ending = Vec::new();
        for entry in &self.by_aor {
            let ends = |body: &&[u8]| (after + 1..=until).contains(&packed::expires(body));
            for body in entry.value().iter().map(AsRef::as_ref).filter(ends) {
                let Ok(aor) = entry.key().parse::<Aor>() else { continue };
                ending.push(packed::unpack(&aor, body)?);
            }
        }
        ending.sort_by_key(|binding| binding.expires);
        ending.truncate(max);
        Ok(ending)
    }

    /// Applies one REGISTER, and hands its rows over.
    pub(super) fn apply(
        &self,
        aor: &Aor,
        update: &BindingUpdate,
        now: i64,
        push: impl FnOnce(Vec<Row>) -> Result<Written, StoreError>,
    ) -> Result<(Committed, Written), StoreError> {
        let mut entry = self.by_aor.entry(aor.as_str().into()).or_default();
        let outcome = (|| {
            let committed = apply(unpack_all(aor, &entry)?, update, now)?;
            let bodies = committed.bindings.iter().map(packed::pack).collect::<Result<Vec<_>, _>>()?;
            let is_set = |binding: &Binding| update.set.iter().any(|set| set.key == binding.key);
            let set = committed.bindings.iter().zip(&bodies).filter(|(binding, _)| is_set(binding));
            let set = set.map(|(binding, body)| Row::set(aor, &binding.key, body.clone()));
            let gone = committed.removed.iter().map(|binding| Row::gone(aor, &binding.key));
            let written = push(set.chain(gone).collect())?;
            Ok((committed, bodies, written))
        })();
        let outcome = outcome.map(|(committed, bodies, written)| {
            let earliest = committed.bindings.iter().map(|binding| binding.expires).min().unwrap_or(i64::MAX);
            self.first_expiry.fetch_min(earliest, Ordering::Relaxed);
            *entry = bodies;
            (committed, written)
        });
        let is_empty = entry.is_empty();
        drop(entry);
        if is_empty {
            self.by_aor.remove_if(aor.as_str(), |_, packed| packed.is_empty());
        }
        outcome
    }

    /// Takes out at most `max` bindings whose time is over, and hands their rows over.
    pub(super) fn expire(
        &self,
        now: i64,
        max: usize,
        push: impl Fn(Vec<Row>) -> Result<Written, StoreError>,
    ) -> Result<(Vec<Binding>, Option<Written>), StoreError> {
        let mut expired = Vec::new();
        if self.first_expiry.load(Ordering::Relaxed) > now {
            return Ok((expired, None));
        }
        // What is added meanwhile lowers this again.
        self.first_expiry.store(i64::MAX, Ordering::Relaxed);
        let (mut earliest, mut written) = (i64::MAX, None);
        let stale: Vec<Box<str>> = self
            .by_aor
            .iter()
            .filter(|entry| {
                let first = entry.value().iter().map(|body| packed::expires(body)).min().unwrap_or(0);
                if first > now {
                    earliest = earliest.min(first);
                }
                first <= now
            })
            .map(|entry| entry.key().clone())
            .collect();
        for name in stale {
            let Ok(aor) = name.parse::<Aor>() else { continue };
            let Some(mut entry) = self.by_aor.get_mut(&name) else { continue };
            let mut kept = Vec::with_capacity(entry.len());
            let mut gone = Vec::new();
            for body in entry.iter() {
                if packed::expires(body) <= now && expired.len() + gone.len() < max {
                    gone.push(packed::unpack(&aor, body)?);
                } else {
                    earliest = earliest.min(packed::expires(body));
                    kept.push(body.clone());
                }
            }
            if !gone.is_empty() {
                written = Some(push(gone.iter().map(|binding| Row::gone(&aor, &binding.key)).collect())?);
                *entry = kept;
                expired.append(&mut gone);
            }
            drop(entry);
            self.by_aor.remove_if(&name, |_, packed| packed.is_empty());
        }
        self.first_expiry.fetch_min(earliest, Ordering::Relaxed);
        // The rows are written in order: who waits for the last has waited for all.
        Ok((expired, written))
    }
}

fn unpack_all(aor: &Aor, bodies: &[Box<[u8]>]) -> Result<Vec<Binding>, StoreError> {
    bodies.iter().map(|body| packed::unpack(aor, body)).collect()
}
