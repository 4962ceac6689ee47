//! The cookie of a browser that logged in before. It is signed and lives long; it opens nothing, and only says that this
//! browser's logins need not queue behind strangers' guesses.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use rand::{TryRngCore, rngs::OsRng};
use sha2::Sha256;

use super::Access;
use crate::Error;

/// What the signature is about, so that no other use of the key can be mistaken for it.
const PURPOSE: &[u8] = b"comfyui-dashboard browser ";
const ID_BYTES: usize = 16;

impl Access {
    /// A part of the names of this workspace's cookies: eight hexadecimal digits.
    pub fn workspace_id(&self) -> &str {
        &self.cookies.id
    }

    /// The cookie for a browser that has logged in: the one that it has, if we made it, else a new one.
    pub fn browser_cookie(&self, present: Option<&str>) -> Result<String, Error> {
        if let Some(present) = present.filter(|text| self.browser_of(text).is_some()) {
            return Ok(present.to_owned());
        }
        let mut bits = [0; ID_BYTES];
        OsRng.try_fill_bytes(&mut bits).map_err(Error::internal)?;
        let id = URL_SAFE_NO_PAD.encode(bits);
        let signature = URL_SAFE_NO_PAD.encode(self.signature(&id)?.finalize().into_bytes());
        Ok(format!("{id}.{signature}"))
    }

    /// The id of the browser that a cookie stands for; `None` where we did not make it.
    pub(super) fn browser_of(&self, cookie: &str) -> Option<String> {
        let (id, signature) = cookie.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.signature(id).ok()?.verify_slice(&signature).ok()?;
        Some(id.to_owned())
    }

    fn signature(&self, id: &str) -> Result<Hmac<Sha256>, Error> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.cookies.browser_key).map_err(Error::internal)?;
        mac.update(PURPOSE);
        mac.update(id.as_bytes());
        Ok(mac)
    }
}
