//! Files of users of other domains — XEP-0363: none, unless the operator names their domain.

use xmpp_server::{Config, UploadConfig};

use super::world::{OURS, THEIRS, World, config, verified};
use crate::common::{Client, http};

#[tokio::test]
async fn users_of_domains_that_are_named_leave_files_and_others_learn_that_they_may_not() {
    let world = World::new().await;
    let foreign_domains = vec![THEIRS.to_owned()];
    let upload = UploadConfig { foreign_domains, foreign_quota: 9, ..UploadConfig::default() };
    let ours = Config { upload, ..config(verified()) };
    let ours = world.serve_with(OURS, world.certified(OURS), ours).await;
    http::serve(&ours, |base| ours.server.open_uploads(base)).await;
    let theirs = world.serve(THEIRS, verified()).await;
    let others = world.serve("example.com", verified()).await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    let mut alice = Client::online(&theirs, "alice", "a").await;
    let mut carol = Client::online(&others, "carol", "c").await;
    let asked = "<request xmlns='urn:xmpp:http:upload:0' filename='a.jpg' size='5'/>";
    let upload = format!("upload.{OURS}");
    let slot = bob.ask("get", &upload, asked).await;
    assert!(slot.contains("<put url=") && slot.contains("Authorization"), "{slot}");
    // Together they have room for one such file, whoever of them asks.
    let full = alice.ask("get", &upload, asked).await;
    assert!(full.contains("resource-constraint") && full.contains("<retry"), "{full}");
    let small = asked.replace("size='5'", "size='4'");
    assert!(alice.ask("get", &upload, &small).await.contains("<put url="));
    let refused = carol.ask("get", &upload, asked).await;
    assert!(refused.contains("forbidden") && refused.contains("only accounts of this service"), "{refused}");
}
