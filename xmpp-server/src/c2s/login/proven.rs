//! What follows the proof — XEP-0388 §2.6 (the success), XEP-0386 (binding with it), XEP-0480 (tasks before it), XEP-0484 (tokens).
//!
//! In    who somebody is, and what they asked for beside the proof. Out the success, or the next task; a resource, or the session that
//!       is resumed.
//! Errors as those of the login; a token that cannot be handed out is left out.

use aws_lc_rs::digest;
use shared_auth::{How, Ht, Identity};
use shared_model::AccountId;
use xmpp_core::payload::delay::date_time;
use xmpp_core::stream::inline::{Inline, UserAgent};
use xmpp_core::stream::management;
use xmpp_core::stream::{SaslFailure, StreamCondition, StreamError};
use xmpp_core::xml::Limits;
use xmpp_core::{Element, ErrorKind, Jid, ns};

use super::{Connection, Wish};
use crate::access::Access;
use crate::c2s::upgrade::{Left, Upgrades};
use crate::server::Server;
use crate::session::{Begin, Success};

impl Connection<'_> {
    /// Somebody proved who they are.
    pub(super) async fn proven(
        &mut self,
        identity: Identity,
        additional: Option<String>,
        due: Option<Ht>,
    ) -> Option<Wish> {
        let asked = self.negotiation.inline().map(|inline| inline.upgrades.clone());
        let upgrades =
            Upgrades::wanted(self.server, &identity, asked.as_deref(), &self.offer().upgrades).await;
        let own = self.binding.as_ref().and_then(|binding| binding.own.clone());
        let own = own.filter(|_| identity.how == How::Certificate);
        self.access = Access::of(&identity).certified(own);
        self.access.is_protected = self.binding.is_some();
        self.access.protection = self.binding.as_ref().and_then(|binding| binding.protection);
        self.access.from = Some(self.peer.ip().to_canonical());
        self.identity = Some(identity);
        if let Some(upgrades) = upgrades {
            self.negotiation.go_on(upgrades.task(), additional.as_deref(), &mut self.out);
            self.upgrades = Some(upgrades);
            return None;
        }
        if let Some(inline) = self.negotiation.take_inline() {
            return self.succeed(inline, additional, due).await;
        }
        self.negotiation.proven(additional.as_deref(), &mut self.out);
        self.framer.restart();
        self.framer.set_limits(self.limits());
        None
    }

    /// What a stanza of who proved who they are may have. Guests proved nothing.
    fn limits(&self) -> Limits {
        let config = &self.server.config;
        let bytes = if self.access.is_guest { config.unproven_bytes } else { config.stanza_bytes };
        Limits { bytes, ..Limits::default() }
    }

    /// A task of XEP-0480 that is done next.
    pub(super) fn task(&mut self, name: &str) -> Result<(), StreamError> {
        match self.upgrades.as_mut().and_then(|upgrades| upgrades.begin(self.server, name)) {
            Some(data) => self.negotiation.task_data(data, &mut self.out),
            None => self.negotiation.refuse(SaslFailure::MalformedRequest, &mut self.out)?,
        }
        Ok(())
    }

    pub(super) async fn task_data(&mut self, data: &[Element]) -> Result<Option<Wish>, StreamError> {
        let Some(upgrades) = self.upgrades.take() else {
            return Err(StreamCondition::NotAuthorized.into());
        };
        match upgrades.finish(self.server, data).await {
            Some(Left::More(upgrades)) => {
                self.negotiation.go_on(upgrades.task(), None, &mut self.out);
                self.upgrades = Some(*upgrades);
            }
            Some(Left::Nothing) => {
                let Some(inline) = self.negotiation.take_inline() else {
                    return Err(StreamCondition::NotAuthorized.into());
                };
                return Ok(self.succeed(inline, None, None).await);
            }
            None => self.negotiation.refuse(SaslFailure::MalformedRequest, &mut self.out)?,
        }
        Ok(None)
    }

    /// Somebody proved who they are, and what comes before the success is done.
    async fn succeed(&mut self, inline: Inline, additional: Option<String>, due: Option<Ht>) -> Option<Wish> {
        self.framer.set_limits(self.limits());
        let identity = self.identity.as_ref()?;
        let account = identity.account;
        let asked = inline.request_token.as_deref().filter(|name| self.negotiation.offers_fast(name));
        // A token would outlive the certificate.
        let asked = asked.filter(|_| !self.access.is_certified);
        let mechanism = asked.and_then(Ht::parse).or(due);
        if let Some(agent) = &inline.user_agent {
            self.access.note(self.server, identity, agent).await;
        }
        let wanted = inline.user_agent.as_ref().map(|agent| agent.id.as_str()).zip(mechanism);
        let token = hand_out_token(self.server, identity, wanted).await;
        self.begin(inline, account, additional, token)
    }

    /// XEP-0388 §2.6: what was asked for beside the proof. Resumption comes before binding (XEP-0386 §3.2).
    fn begin(
        &mut self,
        inline: Inline,
        account: AccountId,
        additional: Option<String>,
        token: Option<Element>,
    ) -> Option<Wish> {
        let mut failed = None;
        let jid = self.choose(None).ok()?;
        if let Some((previd, h)) = inline.resume {
            if let Some(session) = self.server.resumables.find(&previd, account) {
                return Some(Wish::Resume {
                    session,
                    h,
                    success: Some(Success { additional, failed: None, token }),
                });
            }
            let handled = self.server.resumables.handled(&previd, account);
            failed = Some(management::failed(ErrorKind::ItemNotFound, handled));
        }
        let success = Success { additional, failed, token };
        if let Some(bind) = inline.bind {
            let resource =
                resource_of(bind.tag.as_deref(), inline.user_agent.as_ref(), &self.server.new_id());
            let resource = self.only.as_ref().unwrap_or(&resource);
            let jid = jid.to_bare().with_resource(resource).unwrap_or(jid);
            return Some(Wish::Bind { how: Begin::Inline(Box::new(bind), Box::new(success)), jid });
        }
        let text = success.print(jid.bare_str(), "");
        self.negotiation.succeeded(&text, &mut self.out);
        None
    }

    /// §7.6, §7.7: the resource that was asked for, or one of ours; the one that a certificate allows (XEP-0257 §3).
    pub(super) fn choose(&self, resource: Option<String>) -> Result<Jid, ErrorKind> {
        let identity = self.identity.as_ref().ok_or(ErrorKind::BadRequest)?;
        let bare: Jid = identity.jid.as_str().parse().map_err(|_| ErrorKind::BadRequest)?;
        if self.only.is_some() && resource.is_some() && resource != self.only {
            return Err(ErrorKind::NotAllowed); // RFC 6120 §7.7.2.3
        }
        let resource = self.only.clone().or(resource).unwrap_or_else(|| self.server.new_id());
        bare.with_resource(&resource).map_err(|_| ErrorKind::BadRequest)
    }
}

/// XEP-0484 §3.3, §3.5: a token for an installation that wants one, or whose token is due. A login does not fail for want
/// of it.
async fn hand_out_token(server: &Server, who: &Identity, wanted: Option<(&str, Ht)>) -> Option<Element> {
    let (client, mechanism) = wanted?;
    match server.auth.authenticator.issue_fast(who.account, client, mechanism, who.app.as_deref()).await {
        Ok(token) => {
            let element = Element::new("token", ns::FAST).with("expiry", date_time(token.expires));
            Some(element.with("token", token.text))
        }
        Err(error) => {
            tracing::error!(%error, "a token could not be handed out");
            None
        }
    }
}

/// XEP-0386 §3.2.1: the software's name and an id of ours; the same for the same installation, so that it takes the place
/// of its earlier session, and without telling others how the installation is named.
fn resource_of(tag: Option<&str>, user_agent: Option<&UserAgent>, random: &str) -> String {
    let id = match user_agent {
        Some(agent) => {
            let text = format!("{}\0{}", agent.id, tag.unwrap_or_default());
            let hash = digest::digest(&digest::SHA256, text.as_bytes());
            shared_runtime::hex(&hash.as_ref()[..8])
        }
        None => random.to_owned(),
    };
    let tag: String = tag.unwrap_or_default().chars().take(LONGEST_TAG).collect();
    if tag.is_empty() { id } else { format!("{tag}/{id}") }
}

/// Characters of a client's name in its resource.
const LONGEST_TAG: usize = 64;
