use shared_runtime::bus::Bus;
use shared_store::Store;

use super::*;
use crate::{Auth, metrics};

/// A registry over a store of its own, and what it tells.
pub(in crate::outside) fn registry() -> (Auth, Registry, mpsc::Receiver<OutsideChange>) {
    registry_over(&Store::in_memory())
}

fn registry_over(store: &Store) -> (Auth, Registry, mpsc::Receiver<OutsideChange>) {
    let folder = std::env::temp_dir().join(format!("cusax-outside-{:016x}", shared_runtime::random()));
    let config = crate::Config { iterations: 4096, ..Default::default() };
    let counted = prometheus::Registry::new();
    let auth = Auth::open(&config, store, &folder, &Bus::new(), &counted).unwrap();
    // The keys are read; a folder that stays behind in a temporary place harms nobody.
    let _ = std::fs::remove_dir_all(&folder);
    let (record, changes) = mpsc::channel(64);
    let registry = Registry {
        domain: "example.org".to_owned(),
        mark: String::new(),
        cache: Arc::clone(&auth.cache),
        book: Arc::clone(&auth.book),
        links: auth.links.clone(),
        metrics: Arc::new(metrics::Metrics::register(&counted)),
        record,
    };
    (auth, registry, changes)
}

pub(in crate::outside) fn person(source: Source, subject: &str, user: &str) -> Person {
    let (subject, user) = (subject.to_owned(), user.to_owned());
    let (numbers, admin, groups, domain) = (None, None, Vec::new(), String::new());
    Person { source, subject, name: user.clone(), user, numbers, admin, groups, domain }
}

async fn local(auth: &Auth, name: &str, number: &str) -> AccountId {
    let address = format!("{name}@example.org");
    let profile = Profile { numbers: vec![number.to_owned()], ..Profile::default() };
    let new = NewAccount { aor: address.parse().unwrap(), jid: address.parse().unwrap(), profile };
    auth.book.create(new, "pencil").await.unwrap().account
}

#[tokio::test]
async fn an_account_is_made_changed_ended_and_given_back_and_each_is_told() {
    let (auth, registry, mut changes) = registry();
    let alice = Person { admin: Some(true), ..person(Source::Ldap, "1", "alice") };
    let id = registry.admit(&alice, Policy::Create).await.unwrap();
    assert_eq!(registry.admit(&alice, Policy::Create).await, Ok(id));
    assert_eq!(auth.book.set_password(id, "own").await, Err(BookError::KeptElsewhere(Source::Ldap)));
    let renamed = Person { name: "Alice".to_owned(), admin: Some(false), ..alice };
    registry.admit(&renamed, Policy::Create).await.unwrap();
    let card = auth.directory.by_id(id).await.unwrap().unwrap();
    assert!(card.name == "Alice" && !card.admin && card.enabled);
    let link = registry.links.of(id, Source::Ldap).await.unwrap().unwrap();
    registry.end(id, &link, Missing::Disable).await.unwrap();
    assert!(!auth.directory.by_id(id).await.unwrap().unwrap().enabled);
    registry.admit(&renamed, Policy::Create).await.unwrap();
    assert!(auth.directory.by_id(id).await.unwrap().unwrap().enabled);
    registry.end(id, &link, Missing::Remove).await.unwrap();
    assert_eq!(auth.directory.by_id(id).await, Ok(None));
    assert_eq!(registry.links.of(id, Source::Ldap).await, Ok(None));
    let told = std::iter::from_fn(|| changes.try_recv().ok()).map(|change| change.what);
    assert_eq!(told.collect::<Vec<_>>(), ["created", "changed", "ended", "returned", "ended"]);
}

#[tokio::test]
async fn who_is_found_and_signs_in_at_once_has_one_account() {
    for source in Source::ALL {
        let file = std::env::temp_dir().join(format!("cusax-outside-{:016x}.db", shared_runtime::random()));
        let store = Store::open(&format!("sqlite://{}", file.display())).await.unwrap();
        let (auth, registry, _changes) = registry_over(&store);
        let alice = person(source, "1", "alice");
        let admit = || registry.admit(&alice, Policy::Create);
        let (found, signed_in, again) = tokio::join!(admit(), admit(), admit());
        assert!(found.is_ok() && found == signed_in && found == again, "{found:?}, {signed_in:?}, {again:?}");
        assert_eq!(auth.directory.list(None, 9).await.unwrap().0.len(), 1);
        assert_eq!(registry.linked(source).await.unwrap().len(), 1, "and nobody else's link is left");
        // It goes with its last handle; a file that stays behind in a temporary place harms nobody.
        let _ = std::fs::remove_file(&file);
    }
}

#[test]
fn the_same_numbers_stay_in_the_order_that_the_account_chose() {
    let numbers = |all: &[&str]| all.iter().map(|number| (*number).to_owned()).collect::<Vec<_>>();
    let person = |all| Person { numbers: Some(numbers(all)), ..person(Source::Ldap, "1", "alice") };
    let before = Profile { numbers: numbers(&["+332", "+331"]), ..Profile::default() };
    assert_eq!(person(&["+331", "+332"]).profile(&before).numbers, before.numbers);
    assert_eq!(person(&["+331", "+333"]).profile(&before).numbers, numbers(&["+331", "+333"]));
    assert!(person(&[]).profile(&before).numbers.is_empty());
}

#[tokio::test]
async fn a_number_is_whose_it_is_elsewhere_as_soon_as_nobody_here_has_it() {
    let (auth, registry, _changes) = registry();
    let (one, two) = ("+33123456781", "+33123456782");
    let with = |subject: &str, user: &str, numbers: &[&str]| Person {
        numbers: Some(numbers.iter().map(|number| (*number).to_owned()).collect()),
        ..person(Source::Ldap, subject, user)
    };
    let admit = async |person: &Person| registry.admit(person, Policy::Create).await.unwrap();
    let numbers = async |id| auth.directory.by_id(id).await.unwrap().unwrap().numbers;
    let dora = admit(&with("1", "dora", &[one, "no number"])).await;
    let cleo = admit(&with("2", "cleo", &[two, "+33 1 23 45 67 81"])).await;
    assert_eq!((numbers(dora).await, numbers(cleo).await), (vec![one.to_owned()], vec![two.to_owned()]));
    // Read before who loses it: it is cleo's at the next reading.
    admit(&with("2", "cleo", &[one])).await;
    admit(&with("1", "dora", &[])).await;
    assert_eq!(numbers(cleo).await, [""; 0]);
    let link = registry.links.of(cleo, Source::Ldap).await.unwrap().unwrap();
    assert_ne!(link.person, with("2", "cleo", &[one]), "it is read again");
    admit(&with("2", "cleo", &[one])).await;
    assert_eq!(numbers(cleo).await, [one]);
    // Who is gone keeps it until somebody there has it.
    let link = registry.links.of(cleo, Source::Ldap).await.unwrap().unwrap();
    registry.end(cleo, &link, Missing::Disable).await.unwrap();
    assert_eq!(numbers(cleo).await, [one]);
    let heir = admit(&with("3", "heir", &[one])).await;
    assert_eq!((numbers(heir).await, numbers(cleo).await), (vec![one.to_owned()], Vec::new()));
    admit(&with("2", "cleo", &[one])).await;
    assert_eq!(numbers(cleo).await, [""; 0], "back, and it is another's");
    // Whoever was disabled here, and not there, keeps it.
    auth.book.set_enabled(heir, false).await.unwrap();
    admit(&with("2", "cleo", &[one])).await;
    assert_eq!(numbers(heir).await, [one]);
}

#[tokio::test]
async fn nobody_gets_what_is_somebody_elses() {
    let (auth, registry, _changes) = registry();
    let root = local(&auth, "root", "+33123456789").await;
    let impostor = person(Source::Ldap, "1", "root");
    assert_eq!(registry.admit(&impostor, Policy::Create).await, Err(RegistryError::NotTheirs));
    let taken = Person { numbers: Some(vec!["+33123456789".to_owned()]), ..person(Source::Ldap, "2", "bob") };
    let bob = registry.admit(&taken, Policy::Create).await.unwrap();
    assert!(auth.directory.by_id(bob).await.unwrap().unwrap().numbers.is_empty(), "the number is root's");
    let heir = person(Source::Ldap, "3", "bob");
    assert_eq!(registry.admit(&heir, Policy::Both).await, Err(RegistryError::NotTheirs), "another bob");
    let stranger = person(Source::Oidc, "i 1", "eve");
    assert_eq!(registry.admit(&stranger, Policy::Never).await, Err(RegistryError::Uninvited));
    assert_eq!(registry.admit(&stranger, Policy::Link).await, Err(RegistryError::Uninvited));
    let linked = person(Source::Oidc, "i 2", "root");
    assert_eq!(registry.admit(&linked, Policy::Link).await, Ok(root));
    let webmaster = person(Source::Oidc, "i 3", "webmaster");
    let reserved = Err(RegistryError::Name(NameError::Reserved));
    assert_eq!(registry.admit(&webmaster, Policy::Create).await, reserved);
    let renamed = person(Source::Oidc, "i 2", "eve");
    assert_eq!(registry.admit(&renamed, Policy::Create).await, Ok(root), "the subject says whose it is");
    assert_eq!(auth.book.keeper(root).await, Ok(None), "a password that is ours stays ours");
}

#[tokio::test]
async fn an_end_is_whole_after_it_was_cut_short_and_none_after_a_new_sign_in() {
    let (auth, registry, _changes) = registry();
    let alice = person(Source::Ldap, "1", "alice");
    let id = registry.admit(&alice, Policy::Create).await.unwrap();
    let is_enabled = async || auth.directory.by_id(id).await.unwrap().unwrap().enabled;
    let link = async || registry.links.read(id, Source::Ldap).await.unwrap().unwrap();
    for was_disabled in [false, true] {
        let (before, expected) = link().await;
        let cut = Link { ending: true, ..before };
        registry.links.put(id, &cut, expected).await.unwrap();
        auth.book.set_enabled(id, !was_disabled).await.unwrap();
        registry.end(id, &cut, Missing::Disable).await.unwrap();
        let (ended, _) = link().await;
        assert!(ended.ended && !ended.ending && !is_enabled().await);
        registry.admit(&alice, Policy::Create).await.unwrap();
        assert!(is_enabled().await && link().await.0 == Link::to(&alice));
    }
    let judged = Link { lasting: Some(vec![1]), ..Link::to(&alice) };
    registry.end(id, &judged, Missing::Disable).await.unwrap();
    assert!(is_enabled().await, "they signed in after it was judged");
    let stale = registry.links.put(id, &judged, Expected::Version(1)).await;
    assert_eq!(stale, Err(StoreError::Conflict));
}

#[tokio::test]
async fn nothing_that_lets_in_outlives_an_end() {
    let (auth, registry, _changes) = registry();
    let alice = person(Source::Oidc, "i 1", "alice");
    let id = registry.admit_with(&alice, Policy::Create, Some(&|_| Some(vec![1]))).await.unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let (text, _) = auth.bearers.issue((id, crate::Holder::Person), "", &[], hour, 0).await.unwrap();
    let (records, jid) = (&registry.links.records, "alice@example.org");
    records.put(jid, "fast", "x", b"{}", Expected::Absent).await.unwrap();
    let link = registry.links.of(id, Source::Oidc).await.unwrap().unwrap();
    assert_eq!(link.lasting, Some(vec![1]));
    registry.end(id, &link, Missing::Disable).await.unwrap();
    registry.admit_with(&alice, Policy::Create, Some(&|_| None)).await.unwrap();
    assert!(auth.directory.by_id(id).await.unwrap().unwrap().enabled);
    assert!(auth.bearers.find(&text, 1).await.unwrap().is_none());
    assert_eq!(records.get(jid, "fast", "x").await, Ok(None));
    let now = registry.links.of(id, Source::Oidc).await.unwrap().unwrap();
    assert_eq!(now.lasting, None, "what an older sign-in brought is not asked about");
}

#[tokio::test]
async fn whom_the_operator_disabled_nobody_else_enables() {
    let (auth, registry, _changes) = registry();
    let alice = person(Source::Ldap, "1", "alice");
    let id = registry.admit(&alice, Policy::Create).await.unwrap();
    auth.book.set_enabled(id, false).await.unwrap();
    let link = registry.links.of(id, Source::Ldap).await.unwrap().unwrap();
    registry.end(id, &link, Missing::Disable).await.unwrap();
    registry.admit(&alice, Policy::Create).await.unwrap();
    assert!(!auth.directory.by_id(id).await.unwrap().unwrap().enabled);
}
