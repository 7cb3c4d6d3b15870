//! Whether those who signed in elsewhere still may, and what became of them — RFC 6749 §6: the lasting token that the provider gave is
//! renewed. RFC 7662, asked about it before, says where a renewal that fails ends nobody.
//!
//! In    links with a lasting token, each `auth.oidc.interval`.
//! Out   accounts that end, and so facts, by which both halves end; names and groups as they are there when a token is renewed.
//! State who was refused in the round before: nobody ends who was not refused in two in a row. Whether a renewal is under way, for its
//!       answer may be lost, and the old token with it: that ends nobody before a week, in which they sign in again.
//! Errors a provider that does not answer ends nobody, nor one that refuses more than half of ten or more at once.
//! Not here: sign-ins without `offline_access`: there nobody tells us. Whoever ended signs in again, if the provider lets them.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt;
use serde_json::Value;
use shared_model::AccountId;
use shared_runtime::{Shutdown, unix_millis};
use shared_store::StoreError;

use super::provider::Renewed;
use super::{Claims, JwtError, Oidc, OidcError};
use crate::Denied;
use crate::outside::{Link, Missing, Person, Policy, Registry, Source, is_too_many, pause};

/// What the provider says of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Holds,
    Refused,
    Silence,
}

/// Asks again and again until shutdown.
pub(crate) async fn follow(oidc: Arc<Oidc>, registry: Arc<Registry>, shutdown: Shutdown) {
    look(&oidc).await;
    let (mut was_silent, mut refused) = (false, HashSet::new());
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(pause(oidc.config.interval, refused.is_empty())) => {}
        }
        let before = std::mem::take(&mut refused);
        let links = match registry.linked(Source::Oidc).await {
            Ok(links) => links,
            Err(error) => {
                tracing::error!(%error, "nobody knows whose sign-ins to ask about");
                continue;
            }
        };
        let watched = links.into_iter().filter(|(_, link)| !link.ended && link.lasting.is_some());
        let asked = futures_util::stream::iter(watched).map(|(account, link)| {
            let (oidc, registry) = (&oidc, &registry);
            async move {
                let answer = ask(oidc, registry, account, &link).await;
                (account, link, answer)
            }
        });
        let answers: Vec<(AccountId, Link, Answer)> = asked.buffer_unordered(AT_ONCE).collect().await;
        let is_silent = answers.iter().any(|(.., answer)| *answer == Answer::Silence);
        if is_silent && !was_silent {
            tracing::error!("sign-ins hold until the provider answers");
        }
        was_silent = is_silent;
        refused = settle(&registry, answers, &before).await;
    }
}

/// Who is refused now, of whom those end who were so `before`.
async fn settle(
    registry: &Registry,
    answers: Vec<(AccountId, Link, Answer)>,
    before: &HashSet<AccountId>,
) -> HashSet<AccountId> {
    let all = answers.iter().filter(|(.., answer)| *answer != Answer::Silence).count();
    let (refused, others): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|(.., answer)| *answer == Answer::Refused);
    for (account, link, _) in others.iter().filter(|(_, link, it)| *it == Answer::Holds && link.ending) {
        // An end that was cut short, of somebody who is welcome after all.
        if let Err(error) = registry.admit(&link.person, Policy::Never).await {
            tracing::error!(%account, %error, "an account that was about to end is not given back");
        }
    }
    if is_too_many(refused.len(), all) {
        tracing::error!(
            refused = refused.len(),
            all,
            "the provider refuses so many sign-ins at once that nobody ends by it"
        );
        return HashSet::new();
    }
    for (account, link, _) in refused.iter().filter(|(account, ..)| before.contains(account)) {
        if let Err(error) = registry.end(*account, link, Missing::Disable).await {
            tracing::error!(%account, %error, "an account that ended elsewhere did not end here; it is tried again");
        }
    }
    refused.into_iter().map(|(account, ..)| account).collect()
}

/// Tells the operator at the start what will not work, and why.
async fn look(oidc: &Oidc) {
    match oidc.provider.known().await {
        Err(error) => tracing::error!(%error, "nobody can sign in by the provider"),
        Ok(_) if !oidc.asks_for_lasting() => {
            tracing::warn!(
                "auth.oidc.scopes lacks offline_access and auth.oidc.unwatched takes such sign-ins: whoever is ended there goes on here"
            );
        }
        Ok(_) => {}
    }
}

async fn ask(oidc: &Oidc, registry: &Registry, account: AccountId, link: &Link) -> Answer {
    match still_holds(oidc, registry, account, link).await {
        Ok(true) => {
            registry.metrics.outside(Source::Oidc, "read");
            Answer::Holds
        }
        Ok(false) => Answer::Refused,
        Err(error) => {
            registry.metrics.outside(Source::Oidc, "failed");
            tracing::debug!(%account, %error, "the provider does not say whether a sign-in holds");
            Answer::Silence
        }
    }
}

async fn still_holds(
    oidc: &Oidc,
    registry: &Registry,
    account: AccountId,
    link: &Link,
) -> Result<bool, OidcError> {
    if link.lost != 0 {
        return Ok(unix_millis().saturating_sub(link.lost) < LOST_BORNE);
    }
    let Some(token) = link.lasting.as_ref().and_then(|sealed| oidc.keys.open_sealed(account, sealed)) else {
        return Ok(true);
    };
    let Ok(token) = std::str::from_utf8(&token) else { return Ok(true) };
    let said = oidc.provider.introspect(token, "refresh_token").await?;
    let is_active = said.map(|said| said.get("active") != Some(&Value::Bool(false)));
    if is_active == Some(true) && link.renewing {
        change(registry, account, link, |link| link.renewing = false).await;
    }
    // Who signed in a moment ago is as they were then, and who is looked at a second time soon was asked about.
    let is_old = unix_millis().saturating_sub(link.renewed) >= oidc.config.interval.as_millis() as i64 / 2;
    if !is_old && is_active == Some(true) {
        return Ok(true);
    }
    // First, so that an answer that is lost with us is known to be.
    if !link.renewing {
        change(registry, account, link, |link| link.renewing = true).await;
    }
    match (oidc.provider.renew(token).await, is_active) {
        (Ok(renewed), _) => {
            keep(oidc, registry, account, link, renewed.refresh_token.as_deref().unwrap_or(token)).await;
            // It holds, whatever else is said or not said.
            if let Err(error) = follow_person(oidc, registry, link, &renewed).await {
                tracing::debug!(%account, %error, "what became of somebody is not known");
            }
        }
        // It is good, and cannot be renewed now.
        (Err(error), Some(true)) => {
            tracing::debug!(%account, %error, "a sign-in that holds is not renewed");
            keep(oidc, registry, account, link, token).await;
        }
        // RFC 6749 §6: what took its place went with the answer. Nobody ends by that; they are to sign in again.
        (Err(OidcError::Rejected(_)), _) if link.renewing && is_active != Some(true) => {
            tracing::warn!(%account, "the answer to a renewal was lost; the account goes on for a week, unless they sign in again");
            change(registry, account, link, |link| {
                (link.renewing, link.lost) = (false, unix_millis());
            })
            .await;
        }
        (Err(OidcError::Rejected(_)), _) => {
            change(registry, account, link, |link| link.renewing = false).await;
            return Ok(false);
        }
        // No word at all: it may have been heard there.
        (Err(error @ OidcError::Fetch(_)), _) => return Err(error),
        (Err(error), _) => {
            change(registry, account, link, |link| link.renewing = false).await;
            return Err(error);
        }
    }
    Ok(true)
}

/// Writes what became of somebody into the account, as it is at a sign-in; of what is not said now, what was said last holds.
async fn follow_person(
    oidc: &Oidc,
    registry: &Registry,
    link: &Link,
    renewed: &Renewed,
) -> Result<(), Denied> {
    let access_token = renewed.access_token.as_deref();
    let claims = match (&renewed.id_token, access_token) {
        (Some(token), _) => {
            let token = oidc.provider.verify(token).await?;
            token
                .check(&oidc.provider.issuer, &[&oidc.config.client_id], unix_millis() / 1000)
                .map_err(OidcError::from)?;
            Some(token.claims)
        }
        (None, Some(token)) => oidc.provider.userinfo(token).await?,
        (None, None) => None,
    };
    let Some(mut claims) = claims else { return Ok(()) };
    // OpenID Connect Core 1.0 §12.2, §5.3.2: it may be somebody else's.
    let is_theirs = |claims: &Claims| match oidc.subject(claims) == link.person.subject {
        true => Ok(()),
        false => Err(OidcError::from(JwtError::Claim("sub"))),
    };
    is_theirs(&claims)?;
    if let (false, Some(token)) = (claims.contains_key(&oidc.config.user), access_token)
        && let Some(more) = oidc.provider.userinfo(token).await?
    {
        is_theirs(&more)?;
        claims.extend(more);
    }
    let says = |name: &str| claims.contains_key(name);
    let (has_name, has_groups) = (says("name"), says(&oidc.config.groups));
    let has_number = says("phone_number");
    let mut person = oidc.person(claims, None).await?;
    if !has_name {
        person.name.clone_from(&link.person.name);
    }
    if !has_number {
        person.numbers.clone_from(&link.person.numbers);
    }
    if !has_groups {
        person.groups.clone_from(&link.person.groups);
        person.admin = link.person.admin;
    }
    let known = Person { domain: person.domain.clone(), ..link.person.clone() };
    if person != known {
        registry.admit(&person, Policy::Never).await?;
    }
    Ok(())
}

/// Keeps a token in the place of the one that was asked about, unless somebody signed in meanwhile.
async fn keep(oidc: &Oidc, registry: &Registry, account: AccountId, asked: &Link, token: &str) {
    let lasting = Some(oidc.keys.seal(account, token.as_bytes()));
    change(registry, account, asked, |link| {
        link.lasting.clone_from(&lasting);
        (link.renewed, link.renewing) = (unix_millis(), false);
    })
    .await;
}

/// Writes something about the token that was asked about, unless somebody signed in meanwhile.
async fn change(registry: &Registry, account: AccountId, asked: &Link, change: impl Fn(&mut Link)) {
    for _ in 0..TRIES {
        let put = match registry.links.read(account, Source::Oidc).await {
            Ok(Some((mut link, expected))) if link.lasting == asked.lasting => {
                change(&mut link);
                registry.links.put(account, &link, expected).await
            }
            Ok(_) => return,
            Err(error) => Err(error),
        };
        match put {
            Ok(()) => return,
            Err(StoreError::Conflict) => {}
            Err(error) => tracing::error!(%account, %error, "what became of a sign-in is not kept"),
        }
    }
}

/// How long somebody goes on whose renewal was lost with its answer, in milliseconds: nobody can be asked about them.
const LOST_BORNE: i64 = 7 * 86_400_000;
/// Questions at once.
const AT_ONCE: usize = 8;
/// How often what was renewed is written.
const TRIES: usize = 3;

#[cfg(test)]
mod tests {
    use shared_runtime::tls::{self, TlsPolicy};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::OidcConfig;
    use crate::outside::registry::tests::{person, registry};

    /// A provider that takes no token but what is renewed, and renews `old` alone, as `alice` and as often as it is asked if it has no
    /// introspection.
    async fn provider(has_introspection: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let named = issuer.clone();
        tokio::spawn(async move {
            let (mut was_cut, mut renewals) = (false, 0);
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut asked, mut part) = (String::new(), [0; 4096]);
                // All are sent whole, and those with a body end with a token.
                while !(asked.starts_with("GET") && asked.ends_with("\r\n\r\n") || asked.contains("token=")) {
                    match stream.read(&mut part).await.unwrap() {
                        0 => break,
                        read => asked.push_str(std::str::from_utf8(&part[..read]).unwrap()),
                    }
                }
                let (status, body) = match asked.split(' ').nth(1).unwrap_or_default() {
                    "/keys" => (200, r#"{"keys":[]}"#.to_owned()),
                    "/introspect" if asked.contains("token=next") => (200, r#"{"active":true}"#.to_owned()),
                    "/introspect" => (200, r#"{"active":false}"#.to_owned()),
                    "/token" if asked.contains("=alice") => {
                        renewals += 1;
                        (200, format!(r#"{{"access_token":"{renewals}","refresh_token":"alice{renewals}"}}"#))
                    }
                    "/userinfo" => {
                        let groups = if renewals > 1 { "" } else { r#","groups":["sales"]"# };
                        let (sub, name) = ("alice", format!("Alice {renewals}"));
                        (
                            200,
                            format!(
                                r#"{{"sub":"{sub}","preferred_username":"{sub}","name":"{name}"{groups}}}"#
                            ),
                        )
                    }
                    "/token" if asked.ends_with("=old&client_id=us") => {
                        (200, r#"{"access_token":"a","refresh_token":"next"}"#.to_owned())
                    }
                    "/token" if asked.contains("=broken") => (503, String::new()),
                    "/token" if asked.contains("=cut") && !std::mem::replace(&mut was_cut, true) => continue,
                    "/token" => (400, r#"{"error":"invalid_grant"}"#.to_owned()),
                    _ => {
                        let mut document = serde_json::json!({
                            "issuer": named, "authorization_endpoint": named, "token_endpoint": format!("{named}/token"),
                            "jwks_uri": format!("{named}/keys"), "userinfo_endpoint": format!("{named}/userinfo"),
                        });
                        if has_introspection {
                            document["introspection_endpoint"] = format!("{named}/introspect").into();
                        }
                        (200, document.to_string())
                    }
                };
                let head = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all((head + &body).as_bytes()).await.unwrap();
            }
        });
        issuer
    }

    #[tokio::test]
    async fn an_old_token_is_renewed_and_only_a_refused_one_counts() {
        let (auth, registry, _changes) = registry();
        let oidc = oidc_of(&auth, true).await;
        for (user, token, answer) in [
            ("alice", "old", Answer::Holds),
            ("bob", "revoked", Answer::Refused),
            ("carol", "broken", Answer::Silence),
            ("dave", "next", Answer::Holds),
        ] {
            let brought = |account| Some(auth.keys.seal(account, token.as_bytes()));
            let who = person(Source::Oidc, user, user);
            let id = registry.admit_with(&who, Policy::Create, Some(&brought)).await.unwrap();
            let link = registry.links.of(id, Source::Oidc).await.unwrap().unwrap();
            assert_eq!(ask(&oidc, &registry, id, &link).await, answer, "{user}");
            let now = registry.links.of(id, Source::Oidc).await.unwrap().unwrap();
            let kept = auth.keys.open_sealed(id, now.lasting.as_ref().unwrap()).unwrap();
            assert_eq!(kept.as_slice(), if token == "old" { "next" } else { token }.as_bytes());
        }
    }

    #[tokio::test]
    async fn without_introspection_a_renewal_in_each_round_says_who_left_and_what_became_of_others() {
        let (auth, registry, _changes) = registry();
        let oidc = oidc_of(&auth, false).await;
        let admit = async |token: &str| {
            let brought = |account| Some(auth.keys.seal(account, token.as_bytes()));
            let who = person(Source::Oidc, &format!("{} {token}", oidc.provider.issuer), token);
            registry.admit_with(&who, Policy::Create, Some(&brought)).await.unwrap()
        };
        let round = async |id: AccountId| {
            let link = registry.links.of(id, Source::Oidc).await.unwrap().unwrap();
            ask(&oidc, &registry, id, &link).await
        };
        let alice = admit("alice").await;
        for at in 1..=2 {
            assert_eq!(round(alice).await, Answer::Holds);
            let link = registry.links.of(alice, Source::Oidc).await.unwrap().unwrap();
            let kept = auth.keys.open_sealed(alice, link.lasting.as_ref().unwrap()).unwrap();
            assert_eq!(
                kept.as_slice(),
                format!("alice{at}").as_bytes(),
                "the newest token is asked about next"
            );
            let card = auth.directory.by_id(alice).await.unwrap().unwrap();
            assert_eq!(card.name, format!("Alice {at}"));
            assert_eq!(link.person.groups, ["sales"], "what is not said any more holds");
        }
        let bob = admit("revoked").await;
        assert_eq!(round(bob).await, Answer::Refused, "in the first round already");
    }

    #[tokio::test]
    async fn an_answer_that_is_lost_ends_nobody_for_a_week_and_a_refusal_that_is_heard_does() {
        let (auth, registry, _changes) = registry();
        let oidc = oidc_of(&auth, true).await;
        let brought = |account| Some(auth.keys.seal(account, b"cut"));
        let id = registry
            .admit_with(&person(Source::Oidc, "erin", "erin"), Policy::Create, Some(&brought))
            .await
            .unwrap();
        let read = async || registry.links.of(id, Source::Oidc).await.unwrap().unwrap();
        // The provider hears of the renewal, and its answer is cut off; from then on the token is none.
        assert_eq!(ask(&oidc, &registry, id, &read().await).await, Answer::Silence);
        assert!(read().await.renewing);
        assert_eq!(ask(&oidc, &registry, id, &read().await).await, Answer::Holds);
        let link = read().await;
        assert!(link.lost != 0 && !link.renewing);
        assert_eq!(ask(&oidc, &registry, id, &link).await, Answer::Holds);
        let long_ago = Link { lost: unix_millis() - LOST_BORNE, ..link.clone() };
        assert_eq!(ask(&oidc, &registry, id, &long_ago).await, Answer::Refused);
        // Whoever signs in again has a token that can be asked about.
        let brought = |account| Some(auth.keys.seal(account, b"revoked"));
        registry.admit_with(&link.person, Policy::Never, Some(&brought)).await.unwrap();
        assert_eq!(read().await.lost, 0);
        for _ in 0..2 {
            assert_eq!(ask(&oidc, &registry, id, &read().await).await, Answer::Refused);
        }
    }

    async fn oidc_of(auth: &crate::Auth, has_introspection: bool) -> Oidc {
        let folder = std::env::temp_dir().join(format!("cusax-watch-{:016x}", shared_runtime::random()));
        let tls = TlsPolicy::open(&tls::Config::default(), &folder, &["localhost".to_owned()]).unwrap();
        // It is read; a folder that stays behind in a temporary place harms nobody.
        let _ = std::fs::remove_dir_all(&folder);
        let config = OidcConfig {
            issuer: Some(provider(has_introspection).await),
            client_id: "us".to_owned(),
            ..OidcConfig::default()
        };
        Oidc::open(&config, "example.org", Arc::clone(&auth.keys), &tls).unwrap().unwrap()
    }

    #[tokio::test]
    async fn who_is_refused_twice_ends_and_nobody_where_most_are() {
        let (auth, registry, _changes) = registry();
        let mut all = Vec::new();
        for at in 0..12 {
            let who = person(Source::Oidc, &format!("i {at}"), &format!("u{at}"));
            let id = registry.admit_with(&who, Policy::Create, Some(&|_| Some(vec![1]))).await.unwrap();
            all.push((id, registry.links.of(id, Source::Oidc).await.unwrap().unwrap()));
        }
        let answers = |refused: usize| {
            let judge = |(at, (id, link)): (usize, &(AccountId, Link))| {
                (*id, link.clone(), if at < refused { Answer::Refused } else { Answer::Holds })
            };
            all.iter().enumerate().map(judge).collect::<Vec<_>>()
        };
        let everybody = all.iter().map(|(id, _)| *id).collect();
        assert!(settle(&registry, answers(12), &everybody).await.is_empty());
        let is_enabled = async |at: usize| auth.directory.by_id(all[at].0).await.unwrap().unwrap().enabled;
        assert!(is_enabled(0).await, "all at once: the provider is at fault");
        let once = settle(&registry, answers(1), &HashSet::new()).await;
        assert!(once.len() == 1 && is_enabled(0).await, "refused once");
        settle(&registry, answers(1), &once).await;
        assert!(!is_enabled(0).await && is_enabled(1).await);
    }
}
