//! What is acknowledged is on the disk, what cannot be written is not there, and older files are read.

use super::super::tests::Folder;
use crate::contract::binding;
use crate::{Binding, BindingUpdate, Store};

fn update(binding: &Binding) -> BindingUpdate {
    BindingUpdate {
        call_id: binding.call_id.clone(),
        cseq: binding.cseq,
        set: vec![binding.clone()],
        limit: 10,
        ..BindingUpdate::default()
    }
}

async fn opened(folder: &Folder) -> Store {
    Store::open(&folder.url()).await.unwrap()
}

#[tokio::test]
async fn bindings_are_there_after_opening_again() {
    let folder = Folder::new("bindings-again");
    let aor = "alice@example.org".parse().unwrap();
    let phone =
        Binding { path: vec!["<sip:edge;lr>".to_owned()], reg_id: Some(1), ..binding(&aor, "phone", 100) };
    opened(&folder).await.bindings.commit(&aor, &update(&phone), 0).await.unwrap();
    assert_eq!(opened(&folder).await.bindings.by_aor(&aor, 0).await, Ok(vec![phone]));
}

#[tokio::test]
async fn a_file_of_json_bodies_is_read() {
    let folder = Folder::new("bindings-json");
    let aor = "alice@example.org".parse().unwrap();
    let phone = binding(&aor, "phone", 100);
    drop(opened(&folder).await);
    let mut conn = folder.connect().await;
    sqlx::query("INSERT INTO binding (aor, binding_key, expires, body) VALUES ($1, $2, 100, $3)")
        .bind(aor.as_str())
        .bind(&phone.key)
        .bind(serde_json::to_vec(&phone).unwrap())
        .execute(&mut conn)
        .await
        .unwrap();
    let store = opened(&folder).await;
    assert_eq!(store.bindings.by_aor(&aor, 0).await, Ok(vec![phone.clone()]));
    assert_eq!(store.bindings.expire(100, 9).await, Ok(vec![phone]));
}

#[tokio::test]
async fn what_cannot_be_written_is_not_there() {
    let folder = Folder::new("bindings-refused");
    let aor = "alice@example.org".parse().unwrap();
    let (phone, desk) = (binding(&aor, "phone", 100), binding(&aor, "desk", 100));
    let store = opened(&folder).await;
    store.bindings.commit(&aor, &update(&phone), 0).await.unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON binding BEGIN SELECT RAISE(ABORT, 'full'); END";
    let mut conn = folder.connect().await;
    sqlx::query(refuse).execute(&mut conn).await.unwrap();
    assert!(store.bindings.commit(&aor, &update(&desk), 0).await.is_err());
    assert_eq!(store.bindings.by_aor(&aor, 0).await, Ok(vec![phone.clone()]));
    sqlx::query("DROP TRIGGER refuse").execute(&mut conn).await.unwrap();
    assert_eq!(store.bindings.commit(&aor, &update(&desk), 0).await.unwrap().bindings.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_registers_at_once_are_all_kept() {
    let folder = Folder::new("bindings-many");
    let store = opened(&folder).await;
    let commits = (0..500).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let aor = format!("user{}@example.org", n % 50).parse().unwrap();
            let phone = Binding { call_id: format!("call-{n}"), ..binding(&aor, &format!("phone-{n}"), 100) };
            store.bindings.commit(&aor, &update(&phone), 0).await.unwrap();
        })
    });
    for commit in commits.collect::<Vec<_>>() {
        commit.await.unwrap();
    }
    drop(store);
    let again = opened(&folder).await;
    for n in 0..50 {
        let aor = format!("user{n}@example.org").parse().unwrap();
        assert_eq!(again.bindings.by_aor(&aor, 0).await.unwrap().len(), 10);
    }
    assert_eq!(again.bindings.expire(100, 1_000).await.unwrap().len(), 500);
    assert_eq!(again.bindings.expire(100, 1_000).await.unwrap().len(), 0);
}
