//! Logins and who asks, as JSON. The secret of a session is in a cookie, never in a body.

pub use api_types::access::Role as AccessRole;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::access::{Actor, Identity, LoginWay};
use utoipa::ToSchema;

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
    #[serde(serialize_with = "super::units::milliseconds")]
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
    /// `key`, `session`, `shell`, `page`, `loopback` or `nobody`.
    #[schema(example = "key")]
    pub kind: String,
    /// The id of the key or session, or the kind where there is none.
    pub id: String,
    /// The name of the key, or the kind.
    pub name: String,
    /// How far it reaches; `null` for nobody.
    pub role: Option<AccessRole>,
    /// How a person can sign in.
    pub login: Login,
    /// Why nothing is proved, and what to do about it; `null` for who is known.
    pub reason: Option<String>,
}

/// How a person can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// With the password.
    Password,
    /// With a key: no password is set.
    Keys,
    /// There is neither a password nor a key.
    None,
}

impl From<LoginWay> for Login {
    fn from(way: LoginWay) -> Self {
        match way {
            LoginWay::Password => Self::Password,
            LoginWay::Keys => Self::Keys,
            LoginWay::None => Self::None,
        }
    }
}

impl Me {
    /// Somebody who is known.
    pub fn known(identity: Identity, way: LoginWay) -> Self {
        let kind = identity.actor.as_str().to_owned();
        let role = Some(identity.role);
        Self { kind, id: identity.id, name: identity.name, role, login: way.into(), reason: None }
    }

    /// Nobody, and why.
    pub fn nobody(way: LoginWay, reason: String) -> Self {
        let kind = Actor::Nobody.as_str().to_owned();
        Self { id: kind.clone(), name: kind.clone(), kind, role: None, login: way.into(), reason: Some(reason) }
    }
}
