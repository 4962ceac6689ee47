//! New identifiers: opaque, URL-safe, unique for ever.

use uuid::Uuid;

/// An id for a download. Version 7: it sorts by the time of its making, also in an index.
pub(crate) fn new_download_id() -> String {
    format!("dl_{}", Uuid::now_v7().simple())
}

/// An id for a key.
pub(crate) fn new_key_id() -> String {
    format!("key_{}", Uuid::now_v7().simple())
}

/// An id for a session.
pub(crate) fn new_session_id() -> String {
    format!("ses_{}", Uuid::now_v7().simple())
}

/// An id for a background job.
pub(crate) fn new_job_id() -> String {
    format!("job_{}", Uuid::now_v7().simple())
}
