//! Which content bytes belong to, so that two versions of a file are never mixed. Pure.

use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::{Facts, Sha256Digest, SourceUrl};

/// The SHA-256 that a server named last for the file. It holds for every source, and when bytes are fetched anew, until the
/// file changes on the server.
#[derive(Debug, Default)]
pub(crate) struct NamedHash(Mutex<Option<Sha256Digest>>);

impl NamedHash {
    pub(crate) fn get(&self) -> Option<Sha256Digest> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what an answer says, if it says anything.
    pub(crate) fn learn(&self, named: Option<Sha256Digest>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = named.or(*known);
    }

    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Which link bytes came from: the SHA-256 of all of it, since links that differ in nothing but their query are different
/// sources, and a query may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceKey {
    digest: Sha256Digest,
    /// Without the query.
    public: String,
}

impl Default for SourceKey {
    /// No link.
    fn default() -> Self {
        Self::of_public(String::new())
    }
}

impl SourceKey {
    pub(crate) fn of(listed: &SourceUrl) -> Self {
        Self { digest: Sha256Digest(Sha256::digest(listed.as_str()).into()), public: listed.public() }
    }

    /// As journals were written that did not say more: the key of the link that has no query.
    fn of_public(public: String) -> Self {
        Self { digest: Sha256Digest(Sha256::digest(&public).into()), public }
    }

    pub(crate) fn differs_in_query(&self, other: &Self) -> bool {
        self.public == other.public && self.digest != other.digest
    }
}

/// What was known of the content when its first byte arrived.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Identity {
    pub(crate) total: Option<u64>,
    /// From the caller or the server: then the hash decides, and validators are not asked.
    pub(crate) sha256: Option<Sha256Digest>,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    /// The link as listed: validators of another source prove nothing.
    pub(crate) source: SourceKey,
}

impl Identity {
    pub(crate) fn new(facts: &Facts, sha256: Option<Sha256Digest>, source: SourceKey) -> Self {
        Self {
            total: facts.size,
            sha256: sha256.or(facts.sha256),
            etag: facts.etag.clone(),
            last_modified: facts.last_modified.clone(),
            source,
        }
    }

    /// Whether an answer belongs to the same content as far as can be told.
    ///
    /// The size always has to agree. With a known SHA-256 nothing more is asked: content delivery networks give one
    /// file many ETags, and the hash decides in the end. Else the ETag has to be the same where both have one, weak
    /// or strong; where one has none, the date.
    pub(crate) fn agrees_with(&self, facts: &Facts) -> bool {
        if self.total.is_some() && facts.size.is_some() && self.total != facts.size {
            return false;
        }
        if let Some(own) = self.sha256 {
            return facts.sha256.is_none_or(|other| own == other);
        }
        match (&self.etag, &facts.etag) {
            (Some(own), Some(other)) => own == other,
            _ => match (&self.last_modified, &facts.last_modified) {
                (Some(own), Some(other)) => own == other,
                _ => true,
            },
        }
    }

    /// Whether an answer of a source holds this content. Any but the first source has to prove it, by the hash that is
    /// compared in the end or by the same strong ETag.
    pub(crate) fn is_held_by(&self, source: &SourceKey, facts: &Facts) -> bool {
        let proven = self.source == *source
            || self.sha256.is_some()
            || self.strong_etag().is_some_and(|etag| facts.etag.as_deref() == Some(etag));
        proven && self.agrees_with(facts)
    }

    /// Whether any but the first source can prove that.
    pub(crate) fn can_be_proven(&self) -> bool {
        self.sha256.is_some() || self.has_strong_etag()
    }

    pub(crate) fn has_strong_etag(&self) -> bool {
        self.strong_etag().is_some()
    }

    fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/"))
    }

    /// The validator to send as `If-Range`: a strong ETag, else the date; none where the hash decides.
    pub(crate) fn if_range(&self) -> Option<&str> {
        if self.sha256.is_some() {
            return None;
        }
        self.strong_etag().or(if self.etag.is_none() { self.last_modified.as_deref() } else { None })
    }

    /// Whether an answer names the very validator that is sent as `If-Range`.
    pub(crate) fn is_named_by(&self, facts: &Facts) -> bool {
        let named = if self.etag.is_some() { facts.etag.as_deref() } else { facts.last_modified.as_deref() };
        self.agrees_with(facts) && self.if_range().is_some_and(|own| named == Some(own))
    }

    pub(crate) fn is_proven_by_hash(&self) -> bool {
        self.sha256.is_some()
    }

    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        out.extend(self.total.unwrap_or(u64::MAX).to_le_bytes());
        out.push(u8::from(self.sha256.is_some()));
        out.extend(self.sha256.map_or([0; 32], |digest| digest.0));
        for text in [self.etag.as_deref(), self.last_modified.as_deref(), Some(self.source.public.as_str())] {
            let text = text.unwrap_or_default().as_bytes();
            let text = &text[..text.len().min(8192)];
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text);
        }
        out.extend(self.source.digest.0);
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (total, rest) = bytes.split_first_chunk::<8>()?;
        let (has_digest, rest) = rest.split_first()?;
        let (digest, mut rest) = rest.split_first_chunk::<32>()?;
        let mut texts = [const { String::new() }; 3];
        for text in &mut texts {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let (own, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            *text = String::from_utf8(own.to_vec()).ok()?;
            rest = after;
        }
        let [etag, last_modified, public] = texts;
        let source = match rest.first_chunk::<32>() {
            Some(digest) => SourceKey { digest: Sha256Digest(*digest), public },
            None => SourceKey::of_public(public),
        };
        Some(Self {
            total: Some(u64::from_le_bytes(*total)).filter(|total| *total != u64::MAX),
            sha256: (*has_digest == 1).then_some(Sha256Digest(*digest)),
            etag: Some(etag).filter(|text| !text.is_empty()),
            last_modified: Some(last_modified).filter(|text| !text.is_empty()),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(size: u64, etag: Option<&str>, date: Option<&str>) -> Facts {
        Facts { size: Some(size), etag: etag.map(Into::into), last_modified: date.map(Into::into), ..Facts::default() }
    }

    #[test]
    fn without_a_hash_size_and_validators_have_to_agree() {
        let own = Identity::new(&facts(10, Some("\"a\""), Some("Mon")), None, SourceKey::default());
        assert!(own.agrees_with(&facts(10, Some("\"a\""), Some("Tue"))));
        assert!(own.agrees_with(&facts(10, None, Some("Mon"))));
        assert!(own.agrees_with(&facts(10, None, None)));
        assert!(!own.agrees_with(&facts(10, Some("\"b\""), Some("Mon"))));
        assert!(!own.agrees_with(&facts(11, Some("\"a\""), Some("Mon"))));
        assert!(!own.agrees_with(&facts(10, None, Some("Tue"))));
    }

    #[test]
    fn with_a_hash_only_the_size_has_to_agree() {
        let own = Identity::new(&facts(10, Some("\"a\""), None), Some(Sha256Digest([1; 32])), SourceKey::default());
        assert!(own.agrees_with(&facts(10, Some("\"b\""), None)));
        assert!(!own.agrees_with(&facts(9, Some("\"a\""), None)));
        assert_eq!(own.if_range(), None);
    }

    #[test]
    fn if_range_carries_strong_validators_only() {
        let of =
            |etag, date| Identity::new(&facts(1, etag, date), None, SourceKey::default()).if_range().map(str::to_owned);
        assert_eq!(of(Some("\"a\""), Some("Mon")).as_deref(), Some("\"a\""));
        assert_eq!(of(Some("W/\"a\""), Some("Mon")), None);
        assert_eq!(of(None, Some("Mon")).as_deref(), Some("Mon"));
    }

    #[test]
    fn what_was_written_is_read_back() {
        let own = Identity::new(&facts(10, Some("\"a\""), None), Some(Sha256Digest([1; 32])), key("https://h/x?id=1"));
        let mut bytes = Vec::new();
        own.write_to(&mut bytes);
        assert_eq!(Identity::read(&bytes), Some(own));
    }

    fn key(link: &str) -> SourceKey {
        SourceKey::of(&SourceUrl::parse(link).expect("a link"))
    }

    #[test]
    fn links_that_differ_in_the_query_are_two_sources() {
        let [one, two, other] = ["https://h/x?id=1", "https://h/x?id=2", "https://h/y?id=1"].map(key);
        assert!(one != two && one.differs_in_query(&two));
        assert!(one != other && !one.differs_in_query(&other));
    }

    /// A journal of an earlier version says the link without its query, and ends there.
    #[test]
    fn an_older_journal_belongs_to_the_link_without_query() {
        let mut bytes = Vec::new();
        Identity { source: key("https://h/x?id=1"), ..Identity::default() }.write_to(&mut bytes);
        bytes.truncate(bytes.len() - 32);
        let older = Identity::read(&bytes).expect("it is read").source;
        assert_eq!(older, key("https://h/x"));
        assert!(older.differs_in_query(&key("https://h/x?id=1")));
    }
}
