//! The one TLS provider of the process.

/// Makes ring the provider of every client in this process. A second call changes nothing.
pub(crate) fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
