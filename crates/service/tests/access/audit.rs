//! The trail of what was done.

use service::{
    access::{Actor, Credential, NewAuditRecord, Outcome, Role},
    page::PageRequest,
};

use crate::world::{START, World, address, key};

#[tokio::test]
async fn a_line_says_who_did_what_from_where_and_outlives_the_key() {
    let world = World::new();
    let access = world.open().await;
    let (secret, made) = access.generate_key(key("ci", Role::Admin)).await.unwrap();
    let identity = access.authenticate(Credential::Key(secret.reveal())).await.unwrap();
    let line = |identity, target: &str, outcome| {
        NewAuditRecord::new(identity, address("::ffff:192.0.2.7"), "uninstall_preset", target, outcome)
    };
    access.record(&line(Some(&identity), "/api/presets/A", Outcome::Done)).await.unwrap();
    access.revoke_key(&made.id).await.unwrap();
    access.record(&line(None, "/api/presets/\r\n'); --", Outcome::Refused)).await.unwrap();

    let page = access.list_audit(PageRequest::default()).await.unwrap();
    assert_eq!((page.total, page.items.len()), (2, 2));
    let (latest, first) = (&page.items[0].entry, &page.items[1].entry);
    assert_eq!((first.actor, first.actor_id.as_str(), first.actor_name.as_str()), (Actor::Key, made.id.as_str(), "ci"));
    assert_eq!((first.address.as_str(), first.outcome), ("192.0.2.7", Outcome::Done));
    assert_eq!((latest.actor, latest.outcome), (Actor::Nobody, Outcome::Refused));
    assert_eq!(latest.target, "/api/presets/\r\n'); --");
    assert_eq!(page.items[0].at.as_millisecond(), START);
}

#[tokio::test]
async fn the_trail_is_read_in_pages_and_a_target_is_cut() {
    let world = World::new();
    let access = world.open().await;
    for number in 0..5 {
        let target = format!("{number}{}", "é".repeat(1000));
        let line = NewAuditRecord::new(None, address("192.0.2.7"), "log_in", &target, Outcome::Refused);
        access.record(&line).await.unwrap();
    }
    let page = access.list_audit(PageRequest { page: 2, per_page: 2 }).await.unwrap();
    let targets: Vec<char> = page.items.iter().filter_map(|line| line.entry.target.chars().next()).collect();
    assert_eq!((targets.as_slice(), page.total), (&['2', '1'][..], 5));
    assert_eq!(page.items[0].entry.target.chars().count(), 300);
    assert!(access.list_audit(PageRequest { page: 9, per_page: 2 }).await.unwrap().items.is_empty());
}
