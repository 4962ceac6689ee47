//! The page as its server sees it: whole, consistent with itself, and content with a strict content security policy. Knows
//! nothing of what the page does; a browser tests that (`crates/api/tests/page`).
#![expect(clippy::unwrap_used, reason = "a file that is not there fails the test that names it")]

use web::Asset;

#[test]
fn the_document_is_html_and_asks_no_other_server() {
    let page = web::index();
    assert_eq!(page.content_type, "text/html; charset=utf-8");
    for (path, asset) in assets() {
        let text = String::from_utf8(asset.bytes.into_owned()).unwrap();
        let outside: Vec<_> = text
            .lines()
            .filter(|line| line.contains("src=\"http") || line.contains("href=\"http") || line.contains("url(http"))
            .collect();
        assert!(outside.is_empty(), "{path} asks another server: {outside:?}");
    }
}

#[test]
fn every_file_that_a_file_names_is_there() {
    for (path, asset) in assets() {
        let text = String::from_utf8(asset.bytes.into_owned()).unwrap();
        for name in named_files(&path, &text) {
            assert!(web::asset(&name).is_some(), "{path} names {name}, which is not there");
        }
    }
}

#[test]
fn a_strict_content_security_policy_holds() {
    for (path, asset) in assets() {
        let text = String::from_utf8(asset.bytes.into_owned()).unwrap();
        for inline in [" style=\"", "<style", " onclick=\"", "javascript:", "innerHTML", "insertAdjacentHTML", "eval("]
        {
            assert!(!text.contains(inline), "{path} contains `{inline}`");
        }
        assert!(!path.ends_with(".html") || !text.contains("<script>"), "{path} has an inline script");
    }
}

#[test]
fn a_script_has_the_type_that_browsers_demand_of_modules() {
    assert_eq!(web::asset("js/app.js").unwrap().content_type, "text/javascript; charset=utf-8");
    assert_eq!(web::asset("css/tokens.css").unwrap().content_type, "text/css; charset=utf-8");
    assert_eq!(web::asset("icon.svg").unwrap().content_type, "image/svg+xml; charset=utf-8");
}

#[test]
fn a_tag_is_quoted_and_belongs_to_its_content() {
    let page = web::index();
    assert_eq!(page.etag, web::index().etag);
    assert_ne!(page.etag, web::asset("js/app.js").unwrap().etag);
    assert!(page.etag.starts_with('"') && page.etag.ends_with('"') && page.etag.len() == 66);
}

#[test]
fn a_path_that_leaves_the_page_finds_nothing() {
    for path in ["", "/index.html", "../Cargo.toml", "js/../../Cargo.toml", "js", "nothing.js"] {
        assert!(web::asset(path).is_none(), "{path}");
    }
}

fn assets() -> Vec<(String, Asset)> {
    web::paths().map(|path| (path.to_string(), web::asset(&path).unwrap())).collect()
}

/// What a document links to and what a module imports, as paths from the root of the page.
fn named_files(path: &str, text: &str) -> Vec<String> {
    let starts: &[&str] = if path.ends_with(".html") {
        &["src=\"", "rel=\"stylesheet\" href=\"", "rel=\"icon\" href=\"", "rel=\"modulepreload\" href=\""]
    } else {
        &["from \"."]
    };
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let names = starts.iter().flat_map(|start| text.split(start).skip(1).filter_map(|rest| rest.split('"').next()));
    names
        .map(|name| if path.ends_with(".html") { name.to_owned() } else { resolve(folder, &format!(".{name}")) })
        .collect()
}

/// `./a` and `../a` from a folder.
fn resolve(folder: &str, name: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in name.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
