//! Voice messages as chat: who wants them gets them, and what was displayed was heard.

use std::time::Duration;

use crate::common::counted::counted;
use crate::common::http::{self, ask};
use crate::common::{Client, DOMAIN, Served, attribute, serve, serve_over, serve_with};
use shared_model::{BareJid, Event, MailboxEvent, OwnChatError, Said, Unrecorded, VoiceMessage, Waiting};
use shared_runtime::bus::{Heard, Subscription};
use shared_store::Store;
use xmpp_server::{Config, UploadConfig};

const NODE: &str = "urn:cusax:voicemail:0";

fn bob() -> BareJid {
    "bob@example.org".parse().unwrap()
}

fn message(from: Option<&str>, caller: &str) -> VoiceMessage {
    let from = from.map(|name| format!("{name}@example.org").parse().unwrap());
    let said = Said { duration: Duration::from_millis(12_340), sound: b"OggS and so on".to_vec() };
    VoiceMessage { from, caller: caller.to_owned(), said: Ok(said) }
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
async fn a_message_is_a_file_in_the_conversation_and_a_fetch_counts_where_no_client_says_more() {
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
        "<markable xmlns='urn:xmpp:chat-markers:0'/>".to_owned(),
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

/// The path of the sound, and the ids by which its sender and the archive know the message.
fn known(got: &str) -> (String, String, String) {
    let url = attribute(got, "url-data", "target");
    let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
    (path, attribute(got, "message", "id"), attribute(got, "stanza-id", "id"))
}

async fn mark(client: &mut Client, to: &str, id: &str) {
    let displayed = format!("<displayed xmlns='urn:xmpp:chat-markers:0' id='{id}'/>");
    client.send(&format!("<message type='chat' to='{to}'>{displayed}</message>")).await;
}

#[tokio::test]
async fn a_marker_says_what_was_heard_up_to_there_and_a_fetch_says_nothing_any_more() {
    let served = serve().await;
    let to = open(&served).await;
    let mut facts = served.bus.subscribe();
    let messages = served.server.voice_messages();
    let mut client = Client::online(&served, "bob", "b").await;
    for new in 1..=2 {
        messages.keep(&bob(), message(Some("alice"), "Alice")).await.unwrap();
        assert_eq!(changed(&mut facts).await, Waiting { new, old: 0 });
    }
    messages.keep(&bob(), message(None, "+33123456789")).await.unwrap();
    assert_eq!(changed(&mut facts).await, Waiting { new: 3, old: 0 });
    client.expect(&["<message", "from='alice@example.org'"]).await;
    let second = known(&client.expect(&["<message", "from='alice@example.org'"]).await);
    let unknown = known(&client.expect(&["<message", "from='example.org'"]).await);
    // What another conversation has, or nobody said, is displayed in no mailbox.
    mark(&mut client, "carol@example.org", &second.1).await;
    mark(&mut client, "alice@example.org", "nothing").await;
    mark(&mut client, "example.org", &unknown.1).await;
    assert_eq!(changed(&mut facts).await, Waiting { new: 2, old: 1 });
    mark(&mut client, "alice@example.org", &second.1).await;
    assert_eq!(changed(&mut facts).await, Waiting { new: 1, old: 2 }, "up to there, one by one");
    assert_eq!(changed(&mut facts).await, Waiting { new: 0, old: 3 });
    // The domain took its marker, and complained of nothing.
    client.send("<message type='chat' to='alice@example.org/none'><body>on</body></message>").await;
    messages.keep(&bob(), message(Some("alice"), "Alice")).await.unwrap();
    let got = client.expect(&["<message", "url-data"]).await;
    assert!(!got.contains("type='error'"), "{got}");
    assert_eq!(changed(&mut facts).await, Waiting { new: 1, old: 3 });
    assert_eq!(ask(to, "GET", &known(&got).0, &[], b"").await.status, 200);
    // What was said after it was displayed, and so it was.
    let mut alice = Client::online(&served, "alice", "a").await;
    alice
        .send("<message type='chat' id='later' to='bob@example.org'><body>did you hear?</body></message>")
        .await;
    client.expect(&["<message", "did you hear?"]).await;
    assert_eq!(messages.waiting(&bob()).await, Ok(Waiting { new: 1, old: 3 }), "a client fetched by itself");
    mark(&mut client, "alice@example.org", "later").await;
    assert_eq!(changed(&mut facts).await, Waiting { new: 0, old: 4 });
}

#[tokio::test]
async fn a_mailbox_is_read_for_markers_of_its_own_conversations() {
    let before = serve().await;
    let (store, asked) = counted(&before.store);
    let served = serve_over(&before, Config::default(), store).await;
    open(&served).await;
    let mut facts = served.bus.subscribe();
    let mut client = Client::online(&served, "bob", "b").await;
    served.server.voice_messages().keep(&bob(), message(Some("alice"), "Alice")).await.unwrap();
    assert_eq!(changed(&mut facts).await, Waiting { new: 1, old: 0 });
    let got = known(&client.expect(&["<message", "from='alice@example.org'"]).await);
    asked.take();
    for _ in 0..20 {
        mark(&mut client, "carol@example.org", "hers").await;
    }
    mark(&mut client, "alice@example.org", &got.1).await;
    assert_eq!(changed(&mut facts).await, Waiting { new: 0, old: 1 });
    let asked = asked.take();
    let looks = asked.iter().filter(|what| *what == "list bob@example.org voicemail");
    assert_eq!(looks.count(), 3, "for the first marker, for alice's, and to say what waits: {asked:?}");
}

#[tokio::test]
async fn what_is_published_as_displayed_was_heard() {
    let served = serve().await;
    let to = open(&served).await;
    let mut facts = served.bus.subscribe();
    let messages = served.server.voice_messages();
    let mut client = Client::online(&served, "bob", "b").await;
    messages.keep(&bob(), message(Some("alice"), "Alice")).await.unwrap();
    let got = known(&client.expect(&["<message", "from='alice@example.org'"]).await);
    assert_eq!(changed(&mut facts).await, Waiting { new: 1, old: 0 });
    let publish = |chat: &str, id: &str| {
        format!(
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:mds:displayed:0'><item id='{chat}'>\
             <displayed xmlns='urn:xmpp:mds:displayed:0'><stanza-id xmlns='urn:xmpp:sid:0' by='bob@example.org' \
             id='{id}'/></displayed></item></publish></pubsub>"
        )
    };
    for (chat, id) in [("carol@example.org", got.2.as_str()), ("alice@example.org", "nothing")] {
        let answer = client.ask("set", "", &publish(chat, id)).await;
        assert!(answer.contains("type='result'"), "{answer}");
    }
    assert_eq!(ask(to, "GET", &got.0, &[], b"").await.status, 200);
    messages.keep(&bob(), message(None, "+33123456789")).await.unwrap();
    assert_eq!(changed(&mut facts).await, Waiting { new: 2, old: 0 }, "none of these said that it was heard");
    let answer = client.ask("set", "", &publish("alice@example.org", &got.2)).await;
    assert!(answer.contains("type='result'"), "{answer}");
    assert_eq!(changed(&mut facts).await, Waiting { new: 1, old: 1 });
}

#[tokio::test]
async fn a_message_is_played_waits_again_and_is_removed_by_its_owner_alone() {
    let served = serve().await;
    let to = open(&served).await;
    let mut facts = served.bus.subscribe();
    let (messages, own) = (served.server.voice_messages(), served.server.own_chat());
    let mut client = Client::online(&served, "bob", "b").await;
    messages.keep(&bob(), message(Some("alice"), "Alice")).await.unwrap();
    let path = known(&client.expect(&["<message", "url-data"]).await).0;
    changed(&mut facts).await;
    let listed = own.voice_messages(&bob()).await.unwrap();
    let [one] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((one.caller.as_str(), one.duration.as_millis(), one.is_heard), ("Alice", 12_340, false));
    assert!(one.at > 0 && one.until > one.at);
    assert_eq!(own.voice_sound(&bob(), &one.id).await.unwrap(), b"OggS and so on");
    let alice: BareJid = "alice@example.org".parse().unwrap();
    assert_eq!(own.voice_sound(&alice, &one.id).await, Err(OwnChatError::Nothing), "not hers");
    assert_eq!(own.remove_voice_message(&alice, &one.id).await, Err(OwnChatError::Nothing));
    assert_eq!(own.voice_sound(&bob(), "../x").await, Err(OwnChatError::Nothing));
    for (is_heard, waiting) in [(true, Waiting { new: 0, old: 1 }), (false, Waiting { new: 1, old: 0 })] {
        own.set_heard(&bob(), &one.id, is_heard).await.unwrap();
        assert_eq!(changed(&mut facts).await, waiting);
    }
    own.remove_voice_message(&bob(), &one.id).await.unwrap();
    assert_eq!(changed(&mut facts).await, Waiting::default());
    assert_eq!(ask(to, "GET", &path, &[], b"").await.status, 404, "its file went with it");
    assert_eq!(own.set_heard(&bob(), &one.id, true).await, Err(OwnChatError::Nothing));
}

#[tokio::test]
async fn who_called_is_said_when_there_is_no_room_for_what_they_said() {
    let served = serve().await;
    let messages = served.server.voice_messages();
    let mut client = Client::online(&served, "bob", "b").await;
    assert!(messages.keep(&bob(), message(Some("alice"), "Alice")).await.is_err(), "there is no HTTP");
    let said = client
        .expect(&["<message", "Alice called and could not leave a message: no files are kept here."])
        .await;
    assert!(said.contains("from='example.org'"), "she did not say that: {said}");
    assert!(set(&mut client, "1").await.contains("status='completed'"));
    assert!(!messages.wants(&bob()).await, "there is nowhere to keep them");
    assert_eq!(messages.waiting(&bob()).await, Ok(Waiting::default()));
}

#[tokio::test]
async fn who_called_is_said_when_the_disk_refuses_what_they_said() {
    let served = serve().await;
    open(&served).await;
    let messages = served.server.voice_messages();
    let mut client = Client::online(&served, "bob", "b").await;
    messages.keep(&bob(), message(Some("alice"), "Alice")).await.unwrap();
    client.expect(&["<message", "urn:xmpp:sfs:0"]).await;
    let files = served.folder.join("upload");
    std::fs::remove_dir_all(&files).unwrap();
    std::fs::write(&files, b"no folder").unwrap();
    assert!(messages.keep(&bob(), message(Some("alice"), "Alice")).await.is_err());
    let said = client
        .expect(&["<message", "Alice called and could not leave a message: the disk refused it."])
        .await;
    assert!(said.contains("from='example.org'"), "{said}");
    let nothing = VoiceMessage { said: Err(Unrecorded), ..message(None, "+33123456789") };
    assert!(messages.keep(&bob(), nothing).await.is_err());
    client
        .expect(&["<message", "+33123456789 called and could not leave a message: it could not be recorded."])
        .await;
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
    let said = client
        .expect(&["<message", "Alice called and could not leave a message: the mailbox is full."])
        .await;
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
