//! Bindings in memory, by AOR.

use std::collections::HashMap;
use std::sync::Mutex;

use shared_model::Aor;

use super::lock;
use crate::binding::{apply, order};
use crate::{Binding, BindingUpdate, Committed, StoreError};

#[derive(Default)]
pub(super) struct Bindings(Mutex<HashMap<Aor, Vec<Binding>>>);

#[async_trait::async_trait]
impl crate::Bindings for Bindings {
    async fn commit(&self, aor: &Aor, update: &BindingUpdate, now: i64) -> Result<Committed, StoreError> {
        let mut all = lock(&self.0);
        let committed = apply(all.get(aor).cloned().unwrap_or_default(), update, now)?;
        match committed.bindings.is_empty() {
            true => all.remove(aor),
            false => all.insert(aor.clone(), committed.bindings.clone()),
        };
        Ok(committed)
    }

    async fn by_aor(&self, aor: &Aor, now: i64) -> Result<Vec<Binding>, StoreError> {
        let mut live = lock(&self.0).get(aor).cloned().unwrap_or_default();
        live.retain(|binding| binding.expires > now);
        order(&mut live);
        Ok(live)
    }

    async fn ending(&self, after: i64, until: i64, max: usize) -> Result<Vec<Binding>, StoreError> {
        let all = lock(&self.0);
        let ends = |binding: &&Binding| binding.expires > after && binding.expires <= until;
        let mut ending: Vec<Binding> = all.values().flatten().filter(ends).cloned().collect();
        ending.sort_by_key(|binding| binding.expires);
        ending.truncate(max);
        Ok(ending)
    }

    async fn expire(&self, now: i64, max: usize) -> Result<Vec<Binding>, StoreError> {
        let mut expired = Vec::new();
        let mut all = lock(&self.0);
        for bindings in all.values_mut() {
            bindings.retain(|binding| {
                let goes = binding.expires <= now && expired.len() < max;
                if goes {
                    expired.push(binding.clone());
                }
                !goes
            });
        }
        all.retain(|_, bindings| !bindings.is_empty());
        Ok(expired)
    }
}
