//! What the document says of credentials: the ways to prove who asks, and the role that each operation needs, as the table
//! of roles has it.

use utoipa::openapi::{
    Components, OpenApi,
    path::Operation,
    security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

use crate::operations::{Role, role_of};

const KEY: &str = "key";
const SESSION: &str = "session";

/// Says which role an operation needs.
pub(super) fn complete(operation: &mut Operation) {
    let role = role_of(operation.operation_id.as_deref().unwrap_or_default());
    if role == Role::Open {
        operation.security = Some(vec![SecurityRequirement::default()]);
        return;
    }
    let no_scopes: [&str; 0] = [];
    operation.security = Some([KEY, SESSION].map(|scheme| SecurityRequirement::new(scheme, no_scopes)).into());
    let needs = format!("Needs the role `{}`.", role.as_str());
    operation.description = Some(match operation.description.take() {
        Some(words) if !words.is_empty() => format!("{words}\n\n{needs}"),
        _ => needs,
    });
}

/// Says how credentials are sent.
pub(super) fn describe(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(KEY, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let cookie = ApiKeyValue::with_description(
        "comfyui-dashboard",
        "A session, from a login with the password. The name ends with the id of the workspace (`comfyui-dashboard-1f3a90c2`) and by https \
         begins with `__Host-`",
    );
    components.add_security_scheme(SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
}
