//! How many statements of SQL it takes to answer: none where everything that is asked for is in memory, three at most for rows.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use serde_json::json;
use service::access::Role;
use test_support::fake_comfy::FakeComfy;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

use crate::access::{key, shell};
use crate::operations::{address_of, client_with_key, prepare};
use crate::samples::samples;
use crate::world::World;

/// Operations that read, and how many statements each may take. What is not named here changes something, or is no question: a
/// socket, a file.
const MOST: &[(&str, usize)] = &[
    ("health", 0),
    ("api_health", 0),
    ("livez", 0),
    ("readyz", 0),
    ("me", 0),
    ("openapi", 0),
    ("metrics", 1),
    ("system_status", 0),
    ("storage", 0),
    ("resources", 0),
    ("logs", 0),
    ("list_presets", 0),
    ("preset_detail", 0),
    ("preset_status", 0),
    ("recommendations", 0),
    ("updates", 0),
    ("registry_status", 0),
    ("list_models", 0),
    ("list_model_types", 0),
    ("model_detail", 0),
    ("comfyui_health", 0),
    ("list_workflows", 0),
    ("get_workflow", 0),
    ("workflow_requirements", 0),
    ("list_downloads", 3),
    ("get_download", 3),
    ("download_history", 3),
    ("list_jobs", 3),
    ("get_job", 3),
    ("queue", 3),
    ("list_prompts", 3),
    ("prompt_history", 3),
    ("list_audit", 3),
    ("list_keys", 0),
    ("list_sessions", 0),
    ("get_settings", 0),
    ("list_outputs", 3),
];

/// The operations that read and are not counted.
const UNCOUNTED: [&str; 5] =
    ["open_socket", "open_api_socket", "view_output", "validate_models", "sync_registry_by_get"];

/// Statements by the id of the request that they were made for.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<HashMap<String, Vec<String>>>>);

/// The id of a request, in the extensions of its span.
struct RequestId(String);

/// A field of a span or an event as text.
struct Text<'a>(&'a str, Option<String>);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == self.0 {
            self.1 = Some(format!("{value:?}"));
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Statements {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut found = Text("id", None);
        attributes.record(&mut found);
        if let (Some(span), Some(request)) = (context.span(id), found.1)
            && span.name() == "request"
        {
            span.extensions_mut().insert(RequestId(request));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != "sqlx::query" {
            return;
        }
        let mut statement = Text("summary", None);
        event.record(&mut statement);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(RequestId(id)) = span.extensions().get() {
                let mut all = self.0.lock().unwrap();
                all.entry(id.clone()).or_default().push(statement.1.clone().unwrap_or_default());
            }
        }
    }
}

impl Statements {
    fn of(&self, request: &str) -> Vec<String> {
        self.0.lock().unwrap().get(request).cloned().unwrap_or_default()
    }
}

#[test]
fn what_reads_is_in_the_table() {
    let reads = samples().into_iter().filter(|sample| sample.method == "GET");
    for sample in reads.filter(|sample| !UNCOUNTED.contains(&sample.operation)) {
        assert!(MOST.iter().any(|(operation, _)| *operation == sample.operation), "{}", sample.operation);
    }
}

/// The subscriber is the process's, so this test has a process of its own.
#[test]
fn answers_take_so_many_statements_and_no_more() {
    const ALONE: &str = "COMFYUI_DASHBOARD_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(count());
    }
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    alone.args(["--exact", "statements::answers_take_so_many_statements_and_no_more", "--nocapture"]);
    let ended = alone.env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&ended.stderr));
}

async fn count() {
    let statements = Statements::default();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(statements.clone())).unwrap();
    let comfy = FakeComfy::start();
    let mut world = World::new().beside(&comfy);
    let _gate = world.hold_a_preset();
    let mut server = world.serve().await;
    let access = shell(&world).await;
    server.client = client_with_key(&key(&access, Role::Admin).await);
    let held = prepare(&server).await;
    let samples = samples();
    for (operation, most) in MOST {
        let sample = samples.iter().find(|sample| sample.operation == *operation).unwrap();
        let request = server.client.get(server.url(&address_of(sample, &held))).header("x-request-id", *operation);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), sample.status, "{operation}");
        answer.bytes().await.unwrap();
        let made = statements.of(operation);
        assert!(made.len() <= *most, "{operation} takes {} statements, not {most}: {made:#?}", made.len());
    }
    let change = server.client.patch(server.url(&format!("/api/downloads/{held}"))).json(&json!({"priority": "low"}));
    change.header("x-request-id", "a-change").send().await.unwrap().error_for_status().unwrap();
    assert!(!statements.of("a-change").is_empty(), "statements are counted");
}
