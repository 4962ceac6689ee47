//! The trail of what was done.

use service::{
    access::{AccessSettings, Actor, AuditClass, AuditQuotas, Credential, NewAuditRecord, Outcome, Role},
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
    access.record(&line(Some(&identity), "/api/presets/A", Outcome::Done), AuditClass::Change).await.unwrap();
    access.revoke_key(&made.id).await.unwrap();
    let refused = line(None, "/api/presets/\r\n'); --", Outcome::Refused);
    access.record(&refused, AuditClass::Refusal).await.unwrap();

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
        access.record(&line, AuditClass::Login).await.unwrap();
    }
    let page = access.list_audit(PageRequest { page: 2, per_page: 2 }).await.unwrap();
    let targets: Vec<char> = page.items.iter().filter_map(|line| line.entry.target.chars().next()).collect();
    assert_eq!((targets.as_slice(), page.total), (&['2', '1'][..], 5));
    assert_eq!(page.items[0].entry.target.chars().count(), 300);
    assert!(access.list_audit(PageRequest { page: 9, per_page: 2 }).await.unwrap().items.is_empty());
}

/// Each class has a quota of its own: what anybody can cause pushes out nothing else, and nothing grows without bound.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_push_no_change_out_of_the_trail() {
    let world = World::new();
    let audit_quotas = AuditQuotas { changes: 3, logins: 2, failures: 2, refusals: 4 };
    let access = AccessSettings { audit_quotas, ..AccessSettings::default() };
    let (dashboard, supervisor) = world.start(service::Settings { access, ..world.settings() }).await;
    let record = async |target: &str, class, outcome| {
        let line = NewAuditRecord::new(None, address("192.0.2.7"), "operation", target, outcome);
        dashboard.access.record(&line, class).await.unwrap();
    };
    record("change", AuditClass::Change, Outcome::Done).await;
    record("login", AuditClass::Login, Outcome::Refused).await;
    record("failure", AuditClass::Failure, Outcome::Failed).await;
    for number in 0..20 {
        record(&format!("refusal {number}"), AuditClass::Refusal, Outcome::Refused).await;
    }
    let page = dashboard.access.list_audit(PageRequest::default()).await.unwrap();
    let targets: Vec<&str> = page.items.iter().map(|line| line.entry.target.as_str()).collect();
    let refusals = ["refusal 19", "refusal 18", "refusal 17", "refusal 16"];
    assert_eq!(targets, [&refusals[..], &["failure", "login", "change"]].concat());
    for number in 0..20 {
        record(&format!("change {number}"), AuditClass::Change, Outcome::Done).await;
    }
    let page = dashboard.access.list_audit(PageRequest::default()).await.unwrap();
    assert_eq!((page.total, page.items[2].entry.target.as_str()), (9, "change 17"));
    supervisor.shutdown().await;
}
