//! What the log says about a call; alone in its process, whose log it catches.
#[allow(dead_code, reason = "each test file uses its part")]
use crate::house::{House, ROOM};
use shared_model::{Audio, Correlation};

/// What is logged, line by line.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_about_a_leg_name_its_room_its_call_and_its_account() {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    tracing::subscriber::set_global_default(lines).unwrap();
    let house = House::start().await;
    let alice = house.call("alice", 440.0).await;
    house.until_audio("alice", Audio::SendReceive).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = text.lines().find(|line| line.contains("participant joined")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let (conference, leg) = (&line["spans"][0], &line["spans"][1]);
    let room: shared_model::RoomAddress = ROOM.parse().unwrap();
    assert_eq!(conference["correlation"], Correlation::of_room(&room).to_string(), "{line}");
    assert_eq!(leg["correlation"], Correlation::of_call(&alice.call_id).to_string());
    let account = house.auth.directory.by_jid(&crate::house::jid("alice")).await.unwrap().unwrap().account;
    assert_eq!(leg["account"], account.to_string());
    house.stop().await;
}
