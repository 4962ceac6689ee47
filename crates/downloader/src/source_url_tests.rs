//! What links are read as, and which are refused.

use super::*;

fn read(text: &str) -> String {
    SourceUrl::parse(text).map_or_else(|error| format!("refused: {error}"), |url| url.as_str().to_owned())
}

#[test]
fn page_links_become_the_file_behind_them() {
    let table = [
        ("https://huggingface.co/a/b/blob/main/x.safetensors", "https://huggingface.co/a/b/resolve/main/x.safetensors"),
        ("https://www.huggingface.co/a/b/raw/main/x", "https://huggingface.co/a/b/resolve/main/x"),
        ("https://hf.co/a/b/resolve/main/x#top", "https://huggingface.co/a/b/resolve/main/x"),
        ("hf://a/b/dir/x y.bin@refs/pr/1", "https://huggingface.co/a/b/resolve/refs%2Fpr%2F1/dir/x%20y.bin"),
        ("hf://a/b@v1/x.bin", "https://huggingface.co/a/b/resolve/v1/x.bin"),
        ("hf://a/b/x.bin", "https://huggingface.co/a/b/resolve/main/x.bin"),
        ("hf://datasets/a/b/x.bin", "https://huggingface.co/datasets/a/b/resolve/main/x.bin"),
        ("https://civitai.com/models/12/name?modelVersionId=34", "https://civitai.com/api/download/models/34"),
        ("https://civitai.com/models/12", "https://civitai.com/api/v1/models/12"),
        ("urn:air:sdxl:lora:civitai:12@34", "https://civitai.com/api/download/models/34"),
        ("URN:AIR:sdxl:lora:civitai:12@34.safetensors", "https://civitai.com/api/download/models/34"),
        ("urn:air:sdxl:lora:civitai:12", "https://civitai.com/api/v1/models/12"),
        (
            "https://civitai.com/api/download/models/34?type=Model",
            "https://civitai.com/api/download/models/34?type=Model",
        ),
        (" http://example.org/a?b=c#d ", "http://example.org/a?b=c"),
    ];
    for (given, expected) in table {
        assert_eq!(read(given), expected, "{given}");
    }
}

#[test]
fn everything_else_is_refused_in_a_sentence() {
    let refused = [
        "",
        "models/x",
        "file:///etc/passwd",
        "ftp://h/x",
        "javascript:alert(1)",
        "data:text/plain,x",
        "https://u:p@h/x",
        "https://token@huggingface.co/a/b/resolve/main/x",
        "hf://a",
        "hf://a/b",
        "hf://a/b/@main",
        "hf://a/../x",
        "urn:air:x",
        "urn:air:sdxl:lora:other:1@2",
        "urn:air:sdxl:lora:civitai:x@y",
        "https://civitai.com/user/x",
        "https://huggingface.co/a/b",
        "https://civitai.com/models/abc",
    ];
    for text in refused {
        assert!(read(text).starts_with("refused: "), "{text} was read as {}", read(text));
    }
}

#[test]
fn endpoints_stand_in_for_the_two_hosts_only() {
    let hf = Url::parse("http://127.0.0.1:9/mirror/").expect("a URL");
    let civitai = Url::parse("http://127.0.0.1:8").expect("a URL");
    let at = |text: &str| SourceUrl::parse(text).expect("a link").at_endpoints(&hf, &civitai).to_string();
    assert_eq!(at("hf://a/b/x"), "http://127.0.0.1:9/mirror/a/b/resolve/main/x");
    assert_eq!(at("https://civitai.com/api/download/models/1?a=b"), "http://127.0.0.1:8/api/download/models/1?a=b");
    assert_eq!(at("https://example.org/x"), "https://example.org/x");
}

#[test]
fn a_shown_link_has_no_query() {
    let url = SourceUrl::parse("https://h.example/f.bin?token=secret").expect("a link");
    assert_eq!(url.to_string(), "https://h.example/f.bin");
    assert!(!format!("{url:?}").contains("secret"), "{url:?}");
}
