//! Voice messages as chat: who wants them gets them, and what was fetched was heard.

use std::time::Duration;

use crate::common::http::{self, ask};
use crate::common::{Client, DOMAIN, Served, attribute, serve, serve_with};
use shared_model::{BareJid, Event, MailboxEvent, VoiceMessage, Waiting};
use shared_runtime::bus::{Heard, Subscription};
use shared_store::Store;
use xmpp_server::{Config, UploadConfig};

const NODE: &str = "urn:cusax:voicemail:0";

fn bob() -> BareJid {
    "bob@example.org".parse().unwrap()
}

fn message(from: Option<&str>, caller: &str) -> VoiceMessage {
    let from = from.map(|name| format!("{name}@example.org").parse().unwrap());
    let duration = Duration::from_millis(12_340);
    VoiceMessage { from, caller: caller.to_owned(), duration, sound: b"OggS and so on".to_vec() }
}

async fn set(client: &mut Client, value: &str) -> String {
    let form = format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='wanted'><value>{value}</value></field></x>"
    );
    let command = format!("<command xmlns='http://jabber.org/protocol/commands' node='{NODE}'");
    let asked = client.ask("set", DOMAIN, &format!("{command}/>")).await;
    let session = attribute(&asked, "command", "sessionid");
    client.ask("set", DOMAIN, &format!("{command} sessionid='{session}'>{form}</command>")).await
}

async fn changed(facts: &mut Subscription<shared_model::Fact>) -> Waiting {
    loop {
        if let Some(Heard::Fact(fact)) = facts.next().await
            && let Event::Mailbox(MailboxEvent::Changed { owner, waiting }) = fact.event
        {
            assert_eq!(owner, bob());
            return waiting;
        }
    }
}

async fn open(served: &Served) -> std::net::SocketAddr {
    http::serve(served, |base| served.server.open_uploads(base)).await
}

#[tokio::test]
async fn each_account_says_whether_it_wants_messages() {
    let served = serve().await;
    open(&served).await;
    let messages = served.server.voice_messages();
    assert!(!messages.wants(&bob()).await, "nobody is recorded for who did not ask for it");
    let mut client = Client::online(&served, "bob", "b").await;
    let command = format!("<command xmlns='http://jabber.org/protocol/commands' node='{NODE}'/>");
    let form = client.ask("set", DOMAIN, &command).await;
    assert!(form.contains("status='executing'") && form.contains("<value>0</value>"), "{form}");
    assert!(set(&mut client, "1").await.contains("status='completed'"));
    assert!(messages.wants(&bob()).await && !messages.wants(&"alice@example.org".parse().unwrap()).await);
    assert!(client.ask("set", DOMAIN, &command).await.contains("<value>1</value>"));
    assert!(set(&mut client, "perhaps").await.contains("<bad-payload"));
    assert!(set(&mut client, "false").await.contains("status='completed'"));
    assert!(!messages.wants(&bob()).await);
}

#[tokio::test]
async fn a_message_is_a_file_in_the_conversation_and_heard_when_it_is_fetched() {
    let served = serve().await;
    let to = open(&served).await;
    let mut facts = served.bus.subscribe();
    let messages = served.server.voice_messages();
    let mut client = Client::online(&served, "bob", "b").await;
    messages.keep(&bob(), message(Some("alice"), "Alice")).await.unwrap();
    let got = client.expect(&["<message", "from='alice@example.org'"]).await;
    let url = attribute(&got, "url-data", "target");
    for part in [
        format!("<body>{url}</body>"),
        format!("<url>{url}</url>"),
        "<media-type>audio/ogg</media-type>".to_owned(),
        "<length>12340</length>".to_owned(),
        "<desc>Voice message from Alice, 12 s</desc>".to_owned(),
        "<stanza-id".to_owned(),
    ] {
        assert!(got.contains(&part), "{part}: {got}");
    }
    assert_eq!(changed(&mut facts).await, Waiting { new: 1, old: 0 });
    let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
    assert_eq!(ask(to, "HEAD", &path, &[], b"").await.status, 200);
    messages.keep(&bob(), message(None, "+33123456789")).await.unwrap();
    let got = client.expect(&["<message", "Voice message from +33123456789"]).await;
    assert!(got.contains("from='example.org'"), "{got}");
    assert_eq!(changed(&mut facts).await, Waiting { new: 2, old: 0 }, "to look is not to hear");
    let fetched = ask(to, "GET", &path, &[], b"").await;
    assert_eq!((fetched.status, fetched.header("content-type")), (200, Some("audio/ogg")));
    assert_eq!(fetched.text(), "OggS and so on");
    assert_eq!(changed(&mut facts).await, Waiting { new: 1, old: 1 });
    assert_eq!(messages.waiting(&bob()).await, Ok(Waiting { new: 1, old: 1 }));
}

#[tokio::test]
async fn who_called_is_said_when_there_is_no_room_for_what_they_said() {
    let served = serve().await;
    let messages = served.server.voice_messages();
    let mut client = Client::online(&served, "bob", "b").await;
    assert!(messages.keep(&bob(), message(Some("alice"), "Alice")).await.is_err(), "there is no HTTP");
    let said = client.expect(&["<message", "Voice message from Alice, 12 s. It is lost"]).await;
    assert!(said.contains("from='example.org'"), "she did not say that: {said}");
    assert!(set(&mut client, "1").await.contains("status='completed'"));
    assert!(!messages.wants(&bob()).await, "there is nowhere to keep them");
    assert_eq!(messages.waiting(&bob()).await, Ok(Waiting::default()));
}

#[tokio::test]
async fn a_mailbox_takes_fifty_messages_that_wait() {
    let served = serve().await;
    open(&served).await;
    let messages = served.server.voice_messages();
    for _ in 0..50 {
        messages.keep(&bob(), message(None, "+33123456789")).await.unwrap();
    }
    assert!(messages.keep(&bob(), message(Some("alice"), "Alice")).await.is_err());
    assert_eq!(messages.waiting(&bob()).await, Ok(Waiting { new: 50, old: 0 }));
    let mut client = Client::online(&served, "bob", "b").await;
    let said = client.expect(&["<message", "Voice message from Alice, 12 s. It is lost"]).await;
    assert!(said.contains("from='example.org'"), "{said}");
}

#[tokio::test]
async fn what_strangers_say_takes_a_quarter_of_the_room_for_files() {
    let upload = UploadConfig { quota: 4 * 14 * 2, ..UploadConfig::default() }; // of a message, 14 bytes
    let served = serve_with(Config { upload, ..Config::default() }, Store::in_memory()).await;
    open(&served).await;
    let messages = served.server.voice_messages();
    for _ in 0..2 {
        messages.keep(&bob(), message(None, "+33123456789")).await.unwrap();
    }
    assert!(messages.keep(&bob(), message(None, "+33123456789")).await.is_err());
    let mut client = Client::online(&served, "bob", "b").await;
    let request = "<request xmlns='urn:xmpp:http:upload:0' filename='a.txt' size='84'/>";
    let slot = client.ask("get", "upload.example.org", request).await;
    assert!(slot.contains("<slot"), "his own files have the rest: {slot}");
}
