//! Logins and who asks, as JSON. The secret of a session is in a cookie, never in a body.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::access::Identity;
use utoipa::ToSchema;

/// How far credentials reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessRole {
    /// To look.
    Read,
    /// To install, pause, resume and cancel.
    #[default]
    Operate,
    /// To delete, and to say who may do what.
    Admin,
}

/// A login.
#[derive(Deserialize, ToSchema)]
pub struct LoginRequest {
    /// The password.
    #[schema(example = "correct horse battery staple")]
    pub password: String,
}

/// A session began; its cookie stands in the header.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LoggedIn {
    /// `logged_in`
    pub status: String,
    /// How far it reaches.
    pub role: AccessRole,
    /// When it ends at the latest.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// A session ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LoggedOut {
    /// `logged_out`
    pub status: String,
}

/// Who asks.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// `key`, `session`, `shell`, `page` or `loopback`.
    #[schema(example = "key")]
    pub kind: String,
    /// The id of the key or session, or the kind where there is none.
    pub id: String,
    /// The name of the key, or the kind.
    pub name: String,
    /// How far it reaches.
    pub role: AccessRole,
}

impl From<service::access::Role> for AccessRole {
    fn from(role: service::access::Role) -> Self {
        match role {
            service::access::Role::Read => Self::Read,
            service::access::Role::Operate => Self::Operate,
            service::access::Role::Admin => Self::Admin,
        }
    }
}

impl From<AccessRole> for service::access::Role {
    fn from(role: AccessRole) -> Self {
        match role {
            AccessRole::Read => Self::Read,
            AccessRole::Operate => Self::Operate,
            AccessRole::Admin => Self::Admin,
        }
    }
}

impl From<Identity> for Me {
    fn from(identity: Identity) -> Self {
        let kind = identity.actor.as_str().to_owned();
        Self { kind, id: identity.id, name: identity.name, role: identity.role.into() }
    }
}
