//! How often the database is asked who somebody is.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use service::access::{Credential, Role};
use tracing::{Event, Metadata, Subscriber, span};

use crate::world::{World, in_a_process_of_its_own, key};

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
fn requests_share_what_the_database_knows_of_credentials() {
    let name = "statements::requests_share_what_the_database_knows_of_credentials";
    in_a_process_of_its_own(name, many_requests());
}

/// What is remembered is read anew four times a second at most; a machine that is slow reads it more often a request.
async fn many_requests() {
    const REQUESTS: usize = 2_000;
    let world = World::new();
    let access = world.open().await;
    let (secret, _) = access.generate_key(key("laptop", Role::Operate)).await.unwrap();
    let statements = Statements::default();
    tracing::subscriber::set_global_default(statements.clone()).unwrap();
    for _ in 0..REQUESTS {
        access.authenticate(Credential::Key(secret.reveal())).await.unwrap();
        assert!(access.requires_credentials().await.unwrap());
        access.login_way().await.unwrap();
    }
    let asked = statements.0.load(Ordering::SeqCst);
    assert!((1..REQUESTS / 4).contains(&asked), "{asked} statements for {REQUESTS} requests");
}
