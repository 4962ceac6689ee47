//! How often the database is asked who somebody is.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use service::access::{Credential, Role};
use tracing::{Event, Metadata, Subscriber, span};

use crate::world::{World, address, in_a_process_of_its_own, key};

/// Counts the statements that SQLite runs.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicUsize>);

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Statements run on threads of their own, so that only a whole process can count them.
#[test]
fn requests_are_judged_without_a_statement() {
    let name = "statements::requests_are_judged_without_a_statement";
    in_a_process_of_its_own(name, many_requests());
}

async fn many_requests() {
    let world = World::new();
    let access = world.open().await;
    access.set_password("a good password").await.unwrap();
    let (secret, _) = access.generate_key(key("laptop", Role::Operate)).await.unwrap();
    let (cookie, _) = access.log_in("a good password", address("192.0.2.1"), None).await.unwrap();
    let statements = Statements::default();
    tracing::subscriber::set_global_default(statements.clone()).unwrap();
    for _ in 0..1_000 {
        let identity = access.authenticate(Credential::Key(secret.reveal())).await.unwrap();
        assert!(access.still_holds(&identity).await.unwrap());
        assert!(access.authenticate(Credential::Key("cdk_wrong")).await.is_err());
        assert!(access.authenticate(Credential::Loopback { cookie: None }).await.is_err());
        access.authenticate(Credential::Session(cookie.reveal())).await.unwrap();
        access.login_way().await.unwrap();
    }
    assert_eq!(statements.0.load(Ordering::SeqCst), 0);
    access.revoke_all_sessions().await.unwrap();
    assert!(statements.0.load(Ordering::SeqCst) > 0, "statements are counted");
}
