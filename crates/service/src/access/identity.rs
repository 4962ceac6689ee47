//! Who asks: what was presented, and who that proves to be. Whether a request may rely on being made at this machine is
//! judged where its headers are known; here that judgement counts only while nobody has a key or a password.

use std::net::IpAddr;

use super::{Access, Client, Role, secret};
use crate::Error;

/// What somebody presents.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// A key, or the token of the shell.
    Key(&'a str),
    /// The value of the session cookie.
    Session(&'a str),
    /// Nothing but being at this machine, with the cookie of the page where there is one.
    Loopback {
        /// The value of the session cookie.
        cookie: Option<&'a str>,
    },
}

/// What kind of credentials somebody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A key.
    Key,
    /// A login with the password.
    Session,
    /// Our own shell, by the token that only this machine's owner can read.
    Shell,
    /// Our own page, opened at this machine while nobody needs credentials.
    Page,
    /// Somebody at this machine while nobody needs credentials.
    Loopback,
    /// Nobody that is known.
    Nobody,
}

/// Somebody who proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// By what.
    pub actor: Actor,
    /// The id of the key or session; the word for the actor where there is none.
    pub id: String,
    /// The name of the key, or a word for the others.
    pub name: String,
    /// How far they reach.
    pub role: Role,
}

impl Actor {
    const ALL: [Self; 6] = [Self::Key, Self::Session, Self::Shell, Self::Page, Self::Loopback, Self::Nobody];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Session => "session",
            Self::Shell => "shell",
            Self::Page => "page",
            Self::Loopback => "loopback",
            Self::Nobody => "nobody",
        }
    }

    pub(crate) fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|actor| actor.as_str() == word).unwrap_or(Self::Nobody)
    }
}

impl Identity {
    /// Who is counted when this one asks from `address`: somebody without credentials is counted as their address.
    pub fn client(&self, address: IpAddr) -> Client {
        match self.actor {
            Actor::Loopback | Actor::Nobody => Client::address(address),
            Actor::Key | Actor::Session | Actor::Shell | Actor::Page => Client::Known(self.id.clone()),
        }
    }

    fn without_id(actor: Actor) -> Self {
        Self { actor, id: actor.as_str().to_owned(), name: actor.as_str().to_owned(), role: Role::Admin }
    }
}

impl Access {
    /// Who presents this. Whatever does not prove anything is [`Error::Unauthorized`].
    pub async fn authenticate(&self, credential: Credential<'_>) -> Result<Identity, Error> {
        match credential {
            Credential::Key(text) if self.is_shell_token(text) => Ok(Identity::without_id(Actor::Shell)),
            Credential::Key(text) => {
                let known = self.key_of(text).await?;
                let key = known.key();
                Ok(Identity { actor: Actor::Key, id: key.id.clone(), name: key.name.clone(), role: key.role })
            }
            Credential::Session(text) => {
                let session = self.session_of(text).await?;
                Ok(Identity { id: session.id, ..Identity::without_id(Actor::Session) })
            }
            Credential::Loopback { .. } if self.requires_credentials().await? => Err(Error::Unauthorized),
            Credential::Loopback { cookie } => {
                let is_page = cookie.is_some_and(|text| secret::is_same(&secret::hash_of(text), &self.page.hash));
                Ok(Identity::without_id(if is_page { Actor::Page } else { Actor::Loopback }))
            }
        }
    }

    /// Whether what was proved once still holds, for connections that last: a key may be revoked, a session ended, and
    /// credentials may be needed by now.
    pub async fn still_holds(&self, identity: &Identity) -> Result<bool, Error> {
        match identity.actor {
            Actor::Key => self.is_living_key(&identity.id).await,
            Actor::Session => self.is_living_session(&identity.id).await,
            Actor::Shell => Ok(true),
            Actor::Page | Actor::Loopback => Ok(!self.requires_credentials().await?),
            Actor::Nobody => Ok(false),
        }
    }

    /// The cookie that our own page gets at this machine while nobody needs credentials. It opens nothing by itself: it
    /// only counts the page as somebody of its own. New at each start.
    pub fn page_cookie(&self) -> &str {
        self.page.text.reveal()
    }
}
