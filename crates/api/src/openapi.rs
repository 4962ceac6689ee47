//! The OpenAPI document: what the registered routes say, and what holds for all of them. It must not know any one route.

mod answers;

use actix_web::App;
use serde_json::json;
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
    schema::{ObjectBuilder, Type},
    tag::TagBuilder,
};
use utoipa_actix_web::AppExt;

use crate::middleware::api_version;
use crate::routes;

mod security;

const DESCRIPTION: &str = "\
Model files for ComfyUI, whole and verified, and the machine that they are for.

Every answer carries `X-Request-Id` and `X-API-Version`. Whatever fails has the same body: `error` with a `code` to match, a \
`message` to read, `details` to act on. A fact that does not exist is `null`. Sizes as text and in GB have an exact twin in bytes. \
`?envelope=true` is for clients that want one shape everywhere and is left out of the operations, whose answers it changes: a \
success is then `{\"status\": \"success\", \"data\": …, \"message\": null, \"timestamp\": …}`.";

const TAGS: [(&str, &str); 13] = [
    ("health", "Whether the server is well"),
    ("system", "The machine, its services, its disk and its log"),
    ("presets", "Sets of model files that belong together"),
    ("downloads", "What arrives and what arrived"),
    ("models", "The files below the models folder"),
    ("comfyui", "What runs on ComfyUI, what waits, and what became of it"),
    ("workflows", "Graphs to run, and what each needs"),
    ("outputs", "The files that ComfyUI made, and those that it works on"),
    ("jobs", "Work that outlasts a request"),
    ("access", "Who may come in, and who did what"),
    ("settings", "What is set"),
    ("socket", "What happens, as it happens"),
    ("docs", "This document"),
];

/// What can go wrong with any request.
const EVERYWHERE: [(&str, &str); 5] = [
    ("400", "`INVALID_REQUEST`: a parameter, header or body cannot be used; the message says what it takes"),
    ("401", "`UNAUTHORIZED`: credentials are needed, or those given are wrong"),
    ("403", "`FORBIDDEN`: the credentials do not reach this far, or the page that asks is a foreign one"),
    ("429", "`RATE_LIMIT_EXCEEDED`: too many requests in a minute; `Retry-After` says when to come again"),
    ("500", "`INTERNAL_ERROR`: a fault of ours; the log has its cause under the request id"),
];

/// The document, written once.
#[derive(Debug, Clone)]
pub struct Document(std::sync::Arc<str>);

impl Document {
    /// The document as it is served and committed.
    pub fn json(&self) -> String {
        self.0.to_string()
    }
}

impl From<&OpenApi> for Document {
    fn from(document: &OpenApi) -> Self {
        let mut text = document.to_pretty_json().unwrap_or_else(|_| "{}".to_owned());
        text.push('\n');
        Self(text.into())
    }
}

/// The document of every registered route.
pub fn document() -> OpenApi {
    let (_, mut document) = App::new().into_utoipa_app().configure(routes::register).split_for_parts();
    document.info = InfoBuilder::new()
        .title("comfyui-dashboard")
        .version(api_version::CURRENT)
        .description(Some(DESCRIPTION))
        .license(Some(LicenseBuilder::new().name("MIT").identifier(Some("MIT")).build()))
        .build();
    let tags = TAGS.map(|(name, words)| TagBuilder::new().name(name).description(Some(words)).build());
    document.tags = Some(tags.into());
    answers::require_every_key(&mut document);
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten() {
            add_error(operation, "507", "`INSUFFICIENT_STORAGE`: the disk is full; nothing was changed");
        }
        for operation in operations_of(item) {
            complete(operation);
            security::complete(operation);
        }
    }
    security::describe(&mut document);
    document
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

/// Adds what every operation takes and what each may answer.
fn complete(operation: &mut Operation) {
    for (status, words) in EVERYWHERE {
        add_error(operation, status, words);
    }
    if takes_json(operation) {
        add_error(operation, "413", "`PAYLOAD_TOO_LARGE`: the body has more than 1 MiB");
        add_error(operation, "415", "`UNSUPPORTED_MEDIA_TYPE`: the body is no JSON");
    }
    let parameters = operation.parameters.get_or_insert_default();
    parameters.push(RefOr::T(version_parameter()));
}

fn takes_json(operation: &Operation) -> bool {
    match &operation.request_body {
        Some(RefOr::T(body)) => body.content.contains_key("application/json"),
        Some(RefOr::Ref(_)) | None => false,
    }
}

fn add_error(operation: &mut Operation, status: &str, words: &str) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorEnvelope"))).build();
    let response = ResponseBuilder::new().description(words).content("application/json", content).build();
    operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response));
}

fn version_parameter() -> Parameter {
    let versions = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(api_version::SUPPORTED.map(|(asked, _)| asked)))
        .build();
    ParameterBuilder::new()
        .name("X-API-Version")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("The version of the interface that the client was written for"))
        .schema(Some(versions))
        .example(Some(json!(api_version::CURRENT)))
        .build()
}
