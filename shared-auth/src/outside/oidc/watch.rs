//! Whether those who signed in elsewhere still may — RFC 7662, asked about the lasting token that the provider gave.
//!
//! In    links with a lasting token, each `auth.oidc.interval`. Out accounts that end, and so facts, by which both halves end.
//! State none. Errors a provider that does not answer ends nobody.
//! Not here: providers without introspection, and sign-ins without `offline_access`: there nobody tells us. Whoever ended signs in
//! again, if the provider lets them.

use std::sync::Arc;

use futures_util::StreamExt;
use serde_json::Value;
use shared_model::AccountId;
use shared_runtime::Shutdown;

use super::{Oidc, OidcError};
use crate::outside::{Link, Missing, Registry, Source};

/// Asks again and again until shutdown.
pub(crate) async fn follow(oidc: Arc<Oidc>, registry: Arc<Registry>, shutdown: Shutdown) {
    look(&oidc).await;
    let mut was_silent = false;
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(oidc.config.interval) => {}
        }
        let links = match registry.links.all(Source::Oidc).await {
            Ok(links) => links,
            Err(error) => {
                tracing::error!(%error, "nobody knows whose sign-ins to ask about");
                continue;
            }
        };
        let watched = links.into_iter().filter(|(_, link)| !link.ended && link.lasting.is_some());
        let asked =
            futures_util::stream::iter(watched).map(|(account, link)| ask(&oidc, &registry, account, link));
        let answers: Vec<bool> = asked.buffer_unordered(AT_ONCE).collect().await;
        let is_silent = answers.contains(&false);
        if is_silent && !was_silent {
            tracing::error!("sign-ins hold until the provider answers");
        }
        was_silent = is_silent;
    }
}

/// Tells the operator at the start what will not work, and why.
async fn look(oidc: &Oidc) {
    match oidc.provider.known().await {
        Err(error) => tracing::error!(%error, "nobody can sign in by the provider"),
        Ok(known) if known.document.introspection_endpoint.is_none() => {
            tracing::warn!("the provider has no introspection: whoever is ended there goes on here");
        }
        Ok(_) if !oidc.asks_for_lasting() => {
            tracing::warn!("auth.oidc.scopes lacks offline_access: whoever is ended there goes on here");
        }
        Ok(_) => {}
    }
}

/// Whether there was an answer.
async fn ask(oidc: &Oidc, registry: &Registry, account: AccountId, link: Link) -> bool {
    match still_holds(oidc, account, &link).await {
        Ok(true) => registry.metrics.outside(Source::Oidc, "read"),
        Ok(false) => {
            if let Err(error) = registry.end(account, &link, Missing::Disable).await {
                tracing::error!(%account, %error, "an account that ended elsewhere did not end here");
            }
        }
        Err(error) => {
            registry.metrics.outside(Source::Oidc, "failed");
            tracing::debug!(%account, %error, "the provider does not say whether a sign-in holds");
            return false;
        }
    }
    true
}

async fn still_holds(oidc: &Oidc, account: AccountId, link: &Link) -> Result<bool, OidcError> {
    let Some(token) = link.lasting.as_ref().and_then(|sealed| oidc.keys.open_sealed(account, sealed)) else {
        return Ok(true);
    };
    let Ok(token) = std::str::from_utf8(&token) else { return Ok(true) };
    let said = oidc.provider.introspect(token, "refresh_token").await?;
    Ok(said.is_none_or(|said| said.get("active") != Some(&Value::Bool(false))))
}

/// Questions at once.
const AT_ONCE: usize = 8;
