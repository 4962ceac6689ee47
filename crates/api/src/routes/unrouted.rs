//! What is answered where a request is no operation: a static file, the methods that an address has, or that there is nothing.

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header},
    middleware::Next,
    web::Data,
};

use service::text;

use crate::error::{ApiError, ErrorCode};
use crate::middleware::request::Asked;
use crate::operations::Operations;
use crate::static_files;

/// Lets operations alone reach the router. It tries one address after the other: `rescan` with a method that it does not take
/// would be taken for the path of a model.
pub async fn keep_out<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_operation = request.extensions().get::<Asked>().is_some_and(|asked| asked.operation.is_some());
    if is_operation {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let (request, _) = request.into_parts();
    let answer = answer(&request).unwrap_or_else(HttpResponse::from_error);
    Ok(ServiceResponse::new(request, answer))
}

fn answer(request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let file = static_files::find(request);
    let operations = request.app_data::<Data<Operations>>();
    let mut methods = operations.map(|all| all.methods(request.match_info().as_str())).unwrap_or_default();
    if file.is_some() {
        methods.push(Method::GET);
    }
    match (file, request.method()) {
        (Some(file), &Method::GET) => Ok(file),
        _ if methods.is_empty() => {
            let message = format!("There is no route {}", text::cut(request.path()));
            Err(ApiError::new(ErrorCode::NotFound, message).with("resource", "route"))
        }
        (_, &Method::OPTIONS) => {
            Ok(HttpResponse::build(StatusCode::NO_CONTENT).insert_header((header::ALLOW, allow(&methods))).finish())
        }
        (_, method) => {
            let allow = allow(&methods);
            let path = text::cut(request.path());
            let message = format!("{path} does not take {method}; it takes {allow}");
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
