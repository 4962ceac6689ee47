//! When two URLs mean the same file. Page links and the files behind them are one address.

use downloader::SourceUrl;
use sha2::{Digest, Sha256};

/// The address in the one form that equal files share. Text that is no link stands for itself.
pub(crate) fn full_address(url: &str) -> String {
    SourceUrl::parse(url).map_or_else(|_| url.to_owned(), |source| source.as_str().to_owned())
}

/// The address as it is remembered of a file on the disk: without its query, which may hold a secret. `None` where the
/// query is what tells one file from another.
pub(crate) fn public_address(url: &str) -> Option<String> {
    let source = SourceUrl::parse(url).ok()?;
    source.as_url().query().is_none().then(|| source.public())
}

/// The address as what servers said of it is remembered by: a query, which may hold a secret, is there as a hash only.
pub(crate) fn fact_key(address: &str) -> String {
    match address.split_once('?') {
        None => address.to_owned(),
        Some((plain, query)) => format!("{plain}#{}", hex::encode(&Sha256::digest(query)[..16])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_and_the_file_behind_it_are_one_address() {
        let file = "https://huggingface.co/org/repo/resolve/main/vae.safetensors";
        assert_eq!(full_address("https://huggingface.co/org/repo/blob/main/vae.safetensors"), full_address(file));
        assert_eq!(public_address(file).as_deref(), Some(file));
    }

    #[test]
    fn a_query_that_may_name_the_file_makes_no_public_address() {
        assert_eq!(public_address("https://host.example/get?id=1"), None);
    }

    #[test]
    fn fact_keys_tell_queries_apart_and_hold_none() {
        let [one, other] = ["id=1&token=secret", "id=2&token=secret"];
        let keys = [one, other].map(|query| fact_key(&format!("https://host.example/get?{query}")));
        assert_ne!(keys[0], keys[1]);
        assert!(
            keys.iter().all(|key| key.starts_with("https://host.example/get#") && !key.contains("secret")),
            "{keys:?}"
        );
        assert_eq!(fact_key("https://host.example/a.bin"), "https://host.example/a.bin");
    }
}
