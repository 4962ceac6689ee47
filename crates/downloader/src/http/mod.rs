//! The HTTP client: from a link to the checked head of a response. It knows no disk and no transfer.

pub(crate) mod address_policy;
pub(crate) mod civitai;
pub(crate) mod classify;
pub(crate) mod client;
pub(crate) mod if_range;
pub(crate) mod network;
pub(crate) mod probe;
pub(crate) mod redirects;
pub(crate) mod response;
pub(crate) mod source;
