//! Which clients have access, and how one loses it — XEP-0494 0.1.0, section 3.1 (list), 3.2 (revoke).
//!
//! In    requests of the account's own user.
//! Out   installations, app passwords, and sessions of clients that do not say which installation they are. What is revoked
//!       loses its token and its app password, and its sessions end.
//! State `shared-auth`'s notes, for as long as `xmpp.clients_for` says (section 6); sessions.
//! Errors `service-unavailable` with `password-reset-required` for a client that knows the password, `item-not-found` for one that
//!        is not there, `forbidden` to a client that is in by an app password and wants another out.

use shared_auth::{Client, RevokeError};
use shared_model::{BareJid, Spec};
use shared_runtime::unix_millis;
use xmpp_core::payload::delay::date_time;
use xmpp_core::stream::{StreamCondition, StreamError};
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::{Answer, Answered, Feature, Request, store_failed};
use crate::router::Session;
use crate::server::Server;

pub(super) const FEATURE: Feature = Feature {
    specs: &[Spec::xep(494, "0.1.0").complete()],
    takes: &[("list", ns::CLIENT_ACCESS), ("revoke", ns::CLIENT_ACCESS)],
    server: &[],
    account: &[ns::CLIENT_ACCESS],
    answer: |server, request| Box::pin(answer(server, request)),
};

async fn answer(server: &Server, request: &Request) -> Answered {
    let user = request.own_account().ok_or(ErrorKind::Forbidden)?;
    let jid: BareJid = user.as_str().parse().map_err(|_| ErrorKind::JidMalformed)?;
    match (request.payload.name.as_str(), request.is_set) {
        ("list", false) => {
            let clients = list(server, &jid).await?;
            let clients = clients.iter().map(|(client, is_connected)| print(client, *is_connected));
            Ok(Element::new("clients", ns::CLIENT_ACCESS).children_from(clients).into())
        }
        ("revoke", true) => {
            let id = request.payload.attribute("id").filter(|id| !id.is_empty());
            revoke(server, request, &jid, id.ok_or(ErrorKind::BadRequest)?).await
        }
        _ => Err(ErrorKind::BadRequest.into()),
    }
}

/// §3.1: who has access, and whether they are connected.
pub(crate) async fn list(server: &Server, jid: &BareJid) -> Result<Vec<(Client, bool)>, StanzaError> {
    let sessions = server.router.sessions(jid.as_str());
    let clients = server.auth.clients.list(jid, server.config.clients_for, unix_millis()).await;
    let clients = clients.map_err(|error| store_failed(&error))?;
    let mut all: Vec<_> = clients
        .into_iter()
        .map(|client| {
            let is_connected = sessions.iter().any(|session| is_of(session, &client));
            (client, is_connected)
        })
        .collect();
    let others = sessions.iter().filter(|session| session.access.client.is_none());
    all.extend(others.map(|session| (as_client(session), true)));
    Ok(all)
}

async fn revoke(server: &Server, request: &Request, jid: &BareJid, id: &str) -> Answered {
    let sessions = server.router.sessions(jid.as_str());
    let asker = sessions.iter().find(|session| session.jid == request.from);
    let is_itself = |asker: &Session| asker.access.client.as_deref() == Some(id) || id_of(&asker.jid) == id;
    if asker.is_none_or(|asker| asker.access.app.is_some() && !is_itself(asker)) {
        return Err(StanzaError::because(
            ErrorKind::Forbidden,
            "an app password may not end the access of others",
        ));
    }
    take(server, jid, id, Some(&request.from)).await?;
    Ok(Answer::default())
}

/// §3.2: takes a client's access, and ends its sessions but the one that asks; a device's password that is taken ends that one, too.
pub(crate) async fn take(
    server: &Server,
    jid: &BareJid,
    id: &str,
    asks: Option<&Jid>,
) -> Result<(), StanzaError> {
    let sessions = server.router.sessions(jid.as_str());
    // A client that did not say which it is has what it proved.
    let nameless =
        sessions.iter().find(|session| session.access.client.is_none() && id_of(&session.jid) == id);
    let id = match nameless.map(|session| &session.access) {
        None => id.to_owned(),
        Some(access) if access.is_certified => return Err(refusal(&RevokeError::Certified)),
        // All that there is to take is the session; its provider has the rest.
        Some(access) if access.is_by_provider => {
            end(nameless, asks);
            return Ok(());
        }
        Some(access) => match &access.app {
            Some(app) => shared_auth::Clients::id_of_app(app),
            None => return Err(refusal(&RevokeError::PasswordKnown)),
        },
    };
    let gone = server.auth.clients.revoke(jid, &id, unix_millis()).await.map_err(|error| refusal(&error))?;
    tracing::info!(
        account = sessions.first().map(|session| tracing::field::display(session.account)),
        "a client lost its access"
    );
    let is_out = |session: &&Session| {
        let access = &session.access;
        (gone.client.is_some() && access.client == gone.client)
            || (gone.app.is_some() && access.app == gone.app)
    };
    end(sessions.iter().filter(is_out), asks);
    Ok(())
}

/// Ends sessions, but for the one that asks.
fn end<'a>(sessions: impl IntoIterator<Item = &'a Session>, asks: Option<&Jid>) {
    let why = StreamError::because(StreamCondition::NotAuthorized, REVOKED);
    for session in sessions.into_iter().filter(|session| asks != Some(&session.jid)) {
        session.door.end(why.clone());
    }
}

/// What a session is told that ends with what let it in.
pub(crate) const REVOKED: &str = "the access of this client was revoked";

fn refusal(error: &RevokeError) -> StanzaError {
    let kind = match error {
        RevokeError::PasswordKnown => {
            let needed = Element::new("password-reset-required", ns::CLIENT_ACCESS);
            return StanzaError::because(ErrorKind::ServiceUnavailable, error.to_string()).with(needed);
        }
        RevokeError::Unknown => ErrorKind::ItemNotFound,
        RevokeError::Certified => ErrorKind::ServiceUnavailable,
        RevokeError::Book(shared_auth::BookError::Store(error)) => return store_failed(error),
        RevokeError::Book(_) => ErrorKind::NotAcceptable,
    };
    StanzaError::because(kind, error.to_string())
}

fn is_of(session: &Session, client: &Client) -> bool {
    session.access.client.as_deref() == Some(&client.id)
}

/// A session of a client that does not say which installation it is.
fn as_client(session: &Session) -> Client {
    let access = &session.access;
    Client {
        id: id_of(&session.jid),
        device: session.jid.resource().unwrap_or_default().to_owned(),
        first_seen: Some(access.since),
        last_seen: Some(access.since),
        has_password: access.app.is_none() && !access.is_certified && !access.is_by_provider,
        is_by_provider: access.is_by_provider,
        app: access.app.clone(),
        has_certificate: access.is_certified,
        ..Client::default()
    }
}

fn id_of(session: &Jid) -> String {
    format!("session:{}", session.resource().unwrap_or_default())
}

fn print(client: &Client, is_connected: bool) -> Element {
    let element = |name: &str| Element::new(name, ns::CLIENT_ACCESS);
    let text = |name: &str, text: &str| (!text.is_empty()).then(|| element(name).text_node(text));
    let when = |name: &str, at: Option<i64>| at.map(|at| element(name).text_node(date_time(at)));
    // An app password nobody has used yet.
    let is_known = is_connected || client.last_seen.is_some();
    let auth = [
        (client.has_password, "password"),
        (client.app.is_some() || client.is_by_provider, "grant"),
        (client.has_token, "fast"),
        (client.has_certificate, "certificate"),
    ];
    let auth = auth.iter().filter(|(is_there, _)| *is_there).map(|(_, name)| element(name));
    let status = if client.app.is_some() { "normal" } else { "unrestricted" };
    let agent = [text("software", &client.software), text("device", &client.device)];
    element("client")
        .with("connected", is_connected)
        .with("id", &client.id)
        .with("type", if is_known { "session" } else { "access" })
        .children_from(when("first-seen", client.first_seen))
        .children_from(when("last-seen", client.last_seen))
        .child(element("auth").children_from(auth))
        .child(element("permission").with("status", status))
        .child(element("user-agent").children_from(agent.into_iter().flatten()))
}
