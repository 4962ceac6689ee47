//! The interface's own description, for programs. The page to browse it is one of the `static_files`.

use actix_web::{HttpResponse, get, web::Data};

use crate::openapi::Document;

/// Read this document
#[utoipa::path(
    tag = "docs",
    responses((status = 200, description = "The OpenAPI 3.1 document of this server", body = Object,
        example = json!({"openapi": "3.1.0"})))
)]
#[get("/api/openapi.json")]
pub(super) async fn openapi(document: Data<Document>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(document.json())
}
