//! What every scene needs: the product, a browser, and a server that stands in for Hugging Face. Knows no scene.

use test_support::file_server::{Content, FileServer};

use crate::browser::Browser;
use crate::product::Product;

/// A preset of the embedded catalogue whose two files the stand-in serves.
pub(crate) const PRESET: &str = "SDXL_BASE_V1";
/// Bytes of each of its files here.
pub(crate) const FILE_SIZE: u64 = 6 << 20;

/// Everything is ended when it is dropped; [`Stage::end`] also ends the browser's session in good order.
pub(crate) struct Stage {
    pub(crate) browser: Browser,
    pub(crate) product: Product,
    pub(crate) hub: FileServer,
    /// What [`PRESET`] consists of.
    pub(crate) files: Vec<PresetFile>,
}

/// A file of the preset as the stand-in serves it.
pub(crate) struct PresetFile {
    /// Below the models folder.
    pub(crate) path: String,
    pub(crate) content: Content,
}

impl Stage {
    /// Sets it; `None` where the test is skipped for the lack of a browser.
    pub(crate) async fn set() -> Option<Self> {
        let mut stage = Self::set_with(Vec::new()).await?;
        let preset = stage.browser.json(&format!("/api/presets/{PRESET}")).await;
        let files = preset["files"].as_array().unwrap().iter().enumerate();
        stage.files = files.map(|(index, file)| serve(&stage.hub, index, file)).collect();
        Some(stage)
    }

    /// The same, closed to whoever does not know the password; the stand-in serves no preset.
    pub(crate) async fn set_closed(password: &str) -> Option<Self> {
        Self::set_with(vec![("ACCESS_PASSWORD", password.to_owned())]).await
    }

    async fn set_with(mut settings: Vec<(&'static str, String)>) -> Option<Self> {
        let driver = Browser::driver()?;
        let hub = FileServer::start();
        settings.push(("HF_ENDPOINT", hub.url("").trim_end_matches('/').to_owned()));
        let product = Product::start(settings);
        let browser = Browser::start(driver, product.address()).await;
        Some(Self { browser, product, hub, files: Vec::new() })
    }

    /// A link to a file of the stand-in.
    pub(crate) fn link_to(&self, path: &str) -> String {
        self.hub.file(path, Content::pattern(9, 100_000)).url()
    }

    pub(crate) async fn end(self) {
        self.browser.end().await;
    }
}

/// The product asks the stand-in for the path that it would ask Hugging Face for.
fn serve(hub: &FileServer, index: usize, file: &serde_json::Value) -> PresetFile {
    let content = Content::pattern(index as u64, FILE_SIZE);
    let url = file["url"].as_str().unwrap();
    let path = url.strip_prefix("https://huggingface.co").unwrap();
    hub.file(path, content.clone());
    PresetFile { path: file["path"].as_str().unwrap().to_owned(), content }
}
