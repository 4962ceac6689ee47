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
        ("\"https://example.org/a\"", "https://example.org/a"),
        ("<https://hf.co/a/b/blob/main/x>", "https://huggingface.co/a/b/resolve/main/x"),
        ("'huggingface.co/a/b/blob/main/x'", "https://huggingface.co/a/b/resolve/main/x"),
        ("WWW.Civitai.com/models/12?modelVersionId=34", "https://civitai.com/api/download/models/34"),
        ("https://civitai.red/models/12?modelVersionId=34", "https://civitai.red/api/download/models/34"),
        ("https://www.civitai.green/models/12/name", "https://civitai.green/api/v1/models/12"),
        ("air:sdxl:lora:civitai:12@34", "https://civitai.com/api/download/models/34"),
    ];
    for (given, expected) in table {
        assert_eq!(read(given), expected, "{given}");
        assert_eq!(read(expected), expected, "a file stays what it is");
    }
}

#[test]
fn pages_of_other_hosts_become_files() {
    let table = [
        ("https://hf-mirror.com/a/b/blob/main/x", "https://hf-mirror.com/a/b/resolve/main/x"),
        ("https://github.com/a/b/blob/main/dir/x.pt?raw=true", "https://github.com/a/b/raw/main/dir/x.pt"),
        ("https://github.com/a/b/releases/download/v1/x.pt", "https://github.com/a/b/releases/download/v1/x.pt"),
        ("https://github.com/a/b/raw/main/x.pt", "https://github.com/a/b/raw/main/x.pt"),
        (
            "https://www.modelscope.cn/models/a/b/file/view/master/dir%2Fx.safetensors?status=2",
            "https://www.modelscope.cn/models/a/b/resolve/master/dir/x.safetensors",
        ),
        (
            "https://modelscope.cn/datasets/a/b/file/view/master/x.bin",
            "https://modelscope.cn/datasets/a/b/resolve/master/x.bin",
        ),
        (
            "https://www.dropbox.com/scl/fi/abc/x.safetensors?rlkey=k&dl=0",
            "https://www.dropbox.com/scl/fi/abc/x.safetensors?rlkey=k&dl=1",
        ),
        ("https://dropbox.com/s/abc/x.bin", "https://dropbox.com/s/abc/x.bin?dl=1"),
        (
            "https://drive.google.com/file/d/ID-1/view?usp=sharing",
            "https://drive.usercontent.google.com/download?id=ID-1&export=download&confirm=t",
        ),
        (
            "https://drive.google.com/open?id=ID-1",
            "https://drive.usercontent.google.com/download?id=ID-1&export=download&confirm=t",
        ),
        (
            "https://docs.google.com/uc?export=download&id=ID-1&resourcekey=k",
            "https://drive.usercontent.google.com/download?id=ID-1&export=download&confirm=t&resourcekey=k",
        ),
    ];
    for (given, expected) in table {
        assert_eq!(read(given), expected, "{given}");
        assert_eq!(read(expected), expected, "a file stays what it is");
    }
}

/// A refusal names the host, and says which links of it stand for a file.
#[test]
fn pages_without_a_file_are_refused_by_name() {
    let table = [
        ("https://github.com/a/b", "GitHub"),
        ("https://github.com/a/b/tree/main/models", "GitHub"),
        ("https://github.com/a/b/releases/tag/v1", "GitHub"),
        ("https://www.modelscope.cn/models/a/b/summary", "ModelScope"),
        ("https://www.dropbox.com/scl/fo/abc/folder?dl=0", "Dropbox"),
        ("https://drive.google.com/drive/folders/ID", "Google Drive"),
        ("https://hf-mirror.com/a/b/tree/main", "Hugging Face"),
        ("https://civitai.red/user/x", "Civitai"),
        ("urn:air:flux1:checkpoint:huggingface:a/b@main", "an AIR of Hugging Face names a repository"),
    ];
    for (given, words) in table {
        assert!(read(given).starts_with("refused: ") && read(given).contains(words), "{given}: {}", read(given));
    }
}

#[test]
fn names_in_links_have_an_extension() {
    let name = |text: &str| SourceUrl::parse(text).ok().and_then(|url| url.file_name());
    assert_eq!(
        name("https://huggingface.co/a/b/blob/main/x%20y.safetensors?download=true").as_deref(),
        Some("x y.safetensors")
    );
    assert_eq!(name("https://civitai.com/models/12?modelVersionId=34"), None);
    assert_eq!(name("https://example.org/get/.hidden"), None);
}

#[test]
fn everything_else_is_refused_in_a_sentence() {
    let refused = [
        "",
        "models/x",
        "example.org/x.safetensors",
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
    assert_eq!(at("https://civitai.red/models/1?modelVersionId=2"), "http://127.0.0.1:8/api/download/models/2");
    let own = Url::parse("https://civitai.com").expect("a URL");
    let red =
        SourceUrl::parse("https://civitai.red/models/1?modelVersionId=2").expect("a link").at_endpoints(&hf, &own);
    assert_eq!(red.as_str(), "https://civitai.red/api/download/models/2", "each site answers for its own models");
}

#[test]
fn a_shown_link_has_no_query() {
    let url = SourceUrl::parse("https://h.example/f.bin?token=secret").expect("a link");
    assert_eq!(url.to_string(), "https://h.example/f.bin");
    assert!(!format!("{url:?}").contains("secret"), "{url:?}");
}
