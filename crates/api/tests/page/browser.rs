//! A person at a browser: opens, clicks, types, and waits until something is seen. Knows no page.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use test_support::requirements::{CHROMEDRIVER, CHROMIUM, available};

/// Quiet and alone: nothing of its own goes over the network.
const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Steered through a pipe, it ends with the program that steers it, also where a test has failed.
    "--remote-debugging-pipe",
];
/// Long enough for a machine that compiles beside the test.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A browser with one window.
pub(crate) struct Browser {
    client: Client,
    address: String,
    _driver: Driver,
}

/// The program that steers it; killed, and the browser with it, when dropped.
pub(crate) struct Driver {
    process: Child,
    port: u16,
}

impl Browser {
    /// The steering program; `None` where the test is skipped for the lack of a browser.
    #[track_caller]
    pub(crate) fn driver() -> Option<Driver> {
        if !available(&[CHROMIUM, CHROMEDRIVER]) {
            return None;
        }
        let mut process = Command::new(CHROMEDRIVER.path().unwrap())
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| port_in(&line)).expect("chromedriver names its port");
        Some(Driver { process, port })
    }

    /// Opens a window; [`Browser::open`] goes to places at `address`.
    pub(crate) async fn start(driver: Driver, address: &str) -> Self {
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".to_owned(), json!({"binary": CHROMIUM.path(), "args": ARGUMENTS}));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .unwrap();
        let browser = Self { client, address: address.to_owned(), _driver: driver };
        browser.resize(1400).await;
        browser
    }

    /// A page of the product: `#/models`.
    pub(crate) async fn open(&self, place: &str) {
        self.client.goto(&format!("{}/{place}", self.address)).await.unwrap();
    }

    /// The JSON at an address of the product.
    pub(crate) async fn json(&self, path: &str) -> serde_json::Value {
        self.client.goto(&format!("{}{path}", self.address)).await.unwrap();
        let text = self.client.execute("return document.body.innerText", Vec::new()).await.unwrap();
        serde_json::from_str(text.as_str().unwrap()).unwrap()
    }

    /// Waits until this is on the page.
    pub(crate) async fn see(&self, css: &str) {
        let found = self.client.wait().at_most(TIMEOUT).for_element(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("{css} did not appear: {error}"));
    }

    /// Waits until one of these elements contains the text.
    pub(crate) async fn see_text(&self, css: &str, text: &str) {
        let script = "return [...document.querySelectorAll(arguments[0])].some((found) => found.textContent.includes(arguments[1]))";
        self.until(&format!("{css} to say {text:?}"), script, vec![json!(css), json!(text)]).await;
    }

    /// Waits for the first of these that is shown, and clicks it.
    pub(crate) async fn click(&self, css: &str) {
        let script = "const found = [...document.querySelectorAll(arguments[0])].find((each) => each.checkVisibility());\
                      found?.scrollIntoView({ block: 'center' }); return found !== undefined";
        self.until(&format!("{css} to be shown"), script, vec![json!(css)]).await;
        let all = self.client.find_all(Locator::Css(css)).await.unwrap();
        for element in all {
            if element.is_displayed().await.unwrap() {
                element.click().await.unwrap();
                return;
            }
        }
        panic!("{css} went away before it could be clicked");
    }

    /// Clicks the button that a screen reader would call so.
    pub(crate) async fn click_named(&self, name: &str) {
        self.click(&format!("button[aria-label='{name}']")).await;
    }

    /// Types into a field in the place of what is there.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        self.see(css).await;
        let field = self.client.find(Locator::Css(css)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub(crate) async fn choose(&self, css: &str, value: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().select_by_value(value).await.unwrap();
    }

    pub(crate) async fn resize(&self, width: u32) {
        self.client.set_window_size(width, 900).await.unwrap();
    }

    /// The value of an expression on the page.
    pub(crate) async fn number(&self, expression: &str) -> i64 {
        self.client.execute(&format!("return {expression}"), Vec::new()).await.unwrap().as_i64().unwrap()
    }

    /// Leaves a picture of the page where `cargo xtask screenshot` asks for one.
    pub(crate) async fn keep_picture(&self) {
        if let Some(place) = std::env::var_os("COMFYUI_DASHBOARD_SCREENSHOT") {
            self.client.execute("scrollTo(0, 0)", Vec::new()).await.unwrap();
            std::fs::write(place, self.client.screenshot().await.unwrap()).unwrap();
        }
    }

    pub(crate) async fn end(self) {
        self.client.close().await.unwrap();
    }

    async fn until(&self, what: &str, script: &str, arguments: Vec<serde_json::Value>) {
        let mut again = tokio::time::interval(Duration::from_millis(50));
        let come = async {
            while self.client.execute(script, arguments.clone()).await.unwrap() != json!(true) {
                again.tick().await;
            }
        };
        if tokio::time::timeout(TIMEOUT, come).await.is_err() {
            let text = self.client.execute("return document.body.innerText", Vec::new()).await.unwrap();
            panic!("waited in vain for {what}; the page says:\n{}", text.as_str().unwrap_or_default());
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `ChromeDriver was started successfully on port 41234.`
fn port_in(line: &str) -> Option<u16> {
    line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
}
