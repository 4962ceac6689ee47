//! Keys as JSON. The secret stands only in the answer that makes it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::{
    access::{KeyView, NewKey},
    page::Page,
};
use utoipa::{IntoParams, ToSchema};

use super::auth::AccessRole;
use super::page::ListPart;

/// A key, without its secret.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// What its maker calls it.
    pub name: String,
    /// How far it reaches.
    pub role: AccessRole,
    /// How it begins.
    #[schema(example = "cdk_Ab3d")]
    pub hint: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub created_at: Timestamp,
    /// When it stops to work.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub last_used_at: Option<Timestamp>,
}

/// A key that was made. The secret is never to be had again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct GeneratedKey {
    /// The secret, for `Authorization: Bearer`.
    #[schema(example = "cdk_Ab3d…")]
    pub key: String,
    /// What is known of it from now on.
    #[serde(flatten)]
    pub known: Key,
}

/// A key that is wanted.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct KeyRequest {
    /// What to call it; without it, the date.
    pub name: Option<String>,
    /// How far it reaches.
    pub role: AccessRole,
    /// When it stops to work; without it, never.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub expires_at: Option<Timestamp>,
}

/// Which key is meant.
#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct KeyNamed {
    /// Its id.
    pub id: String,
}

/// A part of the list of keys, the oldest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct KeyList {
    /// The keys of this page.
    pub keys: Vec<Key>,
    /// Which part of it this is.
    #[serde(flatten)]
    pub part: ListPart,
}

/// A key ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct KeyRevoked {
    /// `revoked`
    pub status: String,
    /// Its id.
    pub id: String,
}

impl From<KeyView> for Key {
    fn from(view: KeyView) -> Self {
        Self {
            id: view.id,
            name: view.name,
            role: view.role,
            hint: view.hint,
            created_at: view.created_at,
            expires_at: view.expires_at,
            last_used_at: view.last_used_at,
        }
    }
}

impl KeyRequest {
    /// The key that is wanted; one without a name is called after the day.
    pub fn into_new_key(self, now: Timestamp) -> NewKey {
        let name = self.name.unwrap_or_else(|| now.strftime("%Y-%m-%d").to_string());
        NewKey { name, role: self.role, expires_at: self.expires_at }
    }
}

impl From<Page<KeyView>> for KeyList {
    fn from(page: Page<KeyView>) -> Self {
        Self { part: ListPart::from(&page), keys: page.items.into_iter().map(Key::from).collect() }
    }
}
