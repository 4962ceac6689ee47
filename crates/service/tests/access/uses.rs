//! The use of a key or a session is noted where it can be: a database that takes no writes shuts nobody out.

use service::access::Role;

use crate::world::{HOUR, World, address, is_open, key, owner};

#[tokio::test(flavor = "multi_thread")]
async fn who_has_come_in_stays_in_while_the_database_takes_no_writes() {
    let world = World::new();
    let access = world.open().await;
    access.set_password("a good password").await.unwrap();
    let (cookie, _) = access.log_in("a good password", address("192.0.2.1"), None).await.unwrap();
    let (secret, _) = access.generate_key(key("laptop", Role::Admin)).await.unwrap();
    let database = sqlx::SqlitePool::connect(&world.data("dashboard.db").display().to_string()).await.unwrap();
    for table in ["sessions", "access_keys"] {
        let trigger =
            format!("CREATE TRIGGER full_{table} BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'full'); END");
        sqlx::query(sqlx::AssertSqlSafe(trigger)).execute(&database).await.unwrap();
    }
    world.clock.advance(HOUR);
    assert!(is_open(&access, cookie.reveal()).await, "the session");
    assert!(owner(&access, secret.reveal()).await.is_some(), "the key");
    world.clock.advance(24 * HOUR);
    assert!(!is_open(&access, cookie.reveal()).await, "what was not noted does not lengthen its life");
}
