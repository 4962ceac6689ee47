//! The binary: REST, socket, generated OpenAPI, and shell commands over the service.
