//! When two URLs mean the same file. Page links and the files behind them are one address.

use downloader::SourceUrl;

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
}
