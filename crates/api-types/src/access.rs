//! Who may do what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far credentials reach. A higher role includes the lower ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AccessRole, description = "How far credentials reach.")]
pub enum Role {
    /// To look.
    Read,
    /// To install, pause, resume and cancel.
    #[default]
    Operate,
    /// To delete, and to say who may do what.
    Admin,
}

words!(Role: Read = "read", Operate = "operate", Admin = "admin");
