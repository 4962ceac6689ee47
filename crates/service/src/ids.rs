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

/// An id for a workflow that is saved here.
pub(crate) fn new_workflow_id() -> String {
    format!("custom_{}", Uuid::now_v7().simple())
}

/// An id for a prompt, in the form that ComfyUI gives its own.
pub(crate) fn new_prompt_id() -> String {
    Uuid::new_v4().to_string()
}
