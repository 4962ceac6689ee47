//! Secrets that we make: how they are drawn, hashed and compared. They carry 256 random bits, so that a fast hash is enough:
//! nobody can guess their way through it. Passwords are another matter (`password`).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use downloader::Secret;
use rand::{TryRngCore, rngs::OsRng};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{Error, access::store::SecretHash};

/// A secret at the one moment when it is known beside its hash.
pub(super) struct Drawn {
    pub text: Secret,
    pub hash: SecretHash,
}

/// Draws a secret from the operating system. The prefix lets scanners of leaked secrets recognise it.
pub(super) fn draw(prefix: &str) -> Result<Drawn, Error> {
    let mut bits = [0u8; 32];
    OsRng.try_fill_bytes(&mut bits).map_err(Error::internal)?;
    let text = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bits));
    Ok(Drawn { hash: hash_of(&text), text: Secret::new(&text) })
}

/// What is kept of a secret.
pub(super) fn hash_of(text: &str) -> SecretHash {
    Sha256::digest(text.as_bytes()).into()
}

/// Compares in a time that does not depend on where two hashes differ.
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}
