//! What is answered where no route fits: a static file, the methods that an address has, or that there is nothing.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header},
    web::Data,
};

use crate::error::{ApiError, ErrorCode};
use crate::operations::Operations;
use crate::static_files;

/// The last resort of the router.
pub async fn answer(request: HttpRequest, operations: Data<Operations>) -> Result<HttpResponse, ApiError> {
    let file = static_files::find(&request);
    let mut methods = operations.methods(request.path());
    if file.is_some() {
        methods.push(Method::GET);
    }
    match (file, request.method()) {
        (Some(file), &Method::GET) => Ok(file),
        _ if methods.is_empty() => {
            let message = format!("There is no route {}", request.path());
            Err(ApiError::new(ErrorCode::NotFound, message).with("resource", "route"))
        }
        (_, &Method::OPTIONS) => {
            Ok(HttpResponse::build(StatusCode::NO_CONTENT).insert_header((header::ALLOW, allow(&methods))).finish())
        }
        (_, method) => {
            let allow = allow(&methods);
            let message = format!("{} does not take {method}; it takes {allow}", request.path());
            Err(ApiError::new(ErrorCode::MethodNotAllowed, message).with_header(header::ALLOW, &allow))
        }
    }
}

/// The methods of an address as a header: what can be got can also be asked for its head.
fn allow(methods: &[Method]) -> String {
    let mut words: Vec<&str> = methods.iter().map(Method::as_str).collect();
    if words.contains(&"GET") {
        words.push("HEAD");
    }
    words.push("OPTIONS");
    words.sort_unstable();
    words.dedup();
    words.join(", ")
}
