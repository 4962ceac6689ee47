//! The page in a real browser against the real binary: what a person does, and what they see then. A test is
//! skipped where the machine has no browser. Knows the page by its words and roles, not by its scripts.
#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails the test that asked for it")]

mod browser;
mod product;
mod stage;

use stage::{FILE_SIZE, PRESET, Stage};

#[tokio::test]
async fn a_preset_is_installed_from_the_page_and_seen_arriving() {
    let Some(stage) = Stage::set().await else { return };
    stage.browser.open("#/presets").await;
    stage.browser.see_text("#presets-summary", "56 presets, 0 installed").await;

    stage.browser.fill("#content input[type='search']", "xl").await;
    stage.browser.see_text("#presets-summary", "of 56 presets").await;

    let gate = stage.hub.hold_after_total(FILE_SIZE);
    stage.browser.click_named("Install SDXL Base 1.0").await;
    gate.reached().await;
    stage.browser.see("button[aria-label='Pause SDXL Base 1.0']").await;
    stage.browser.see_text("#tabs .badge", "1").await;
    stage.browser.keep_picture().await;

    stage.browser.open("#/downloads").await;
    stage.browser.see_text(".download .state-word", "Downloading").await;
    gate.open();
    stage.browser.see_text(".past .state-word", "Complete").await;

    stage.browser.open(&format!("#/presets/{PRESET}")).await;
    stage.browser.see_text(".drawer .state-word[data-state='installed']", "Installed").await;
    for file in &stage.files {
        assert_eq!(stage.product.read_model(&file.path), file.content.to_vec(), "{}", file.path);
    }
    stage.end().await;
}

#[tokio::test]
async fn a_download_is_paused_resumed_and_cancelled_with_its_buttons() {
    let Some(stage) = Stage::set().await else { return };
    let gate = stage.hub.hold_after_total(FILE_SIZE / 2);
    stage.browser.open("#/presets").await;
    stage.browser.click_named("Install SDXL Base 1.0").await;
    gate.reached().await;
    stage.browser.open("#/downloads").await;
    stage.browser.click_named("Pause SDXL Base 1.0").await;
    stage.browser.see_text(".download .state-word", "Paused").await;
    stage.browser.click_named("Resume SDXL Base 1.0").await;
    stage.browser.see("button[aria-label='Pause SDXL Base 1.0']").await;

    stage.browser.click_named("Cancel SDXL Base 1.0").await;
    stage.browser.click("dialog[open] button.danger").await;
    stage.browser.see_text(".past .state-word", "Cancelled").await;
    assert_eq!(stage.product.models(), Vec::<String>::new(), "parts of a cancelled download stayed");
    stage.end().await;
}

#[tokio::test]
async fn a_pasted_link_becomes_a_model_and_a_model_goes_only_when_confirmed() {
    let Some(stage) = Stage::set().await else { return };
    let detail = stage.link_to("/detail.safetensors");
    stage.browser.open("#/models").await;
    stage.browser.click("#add-link").await;
    stage.browser.fill("dialog[open] textarea", &detail).await;
    stage.browser.choose("dialog[open] select", "loras").await;
    stage.browser.click("dialog[open] button.primary").await;
    stage.browser.see_text(".row.model .row-title", "detail.safetensors").await;
    assert_eq!(stage.product.models(), ["loras/detail.safetensors"]);

    stage.browser.click_named("Delete loras/detail.safetensors").await;
    stage.browser.click("dialog[open] button[autofocus]").await;
    assert_eq!(stage.product.models(), ["loras/detail.safetensors"], "kept, and yet deleted");
    stage.browser.click_named("Delete loras/detail.safetensors").await;
    stage.browser.click("dialog[open] button.danger").await;
    stage.browser.see_text(".placeholder:not([hidden]) .placeholder-title", "No model file here.").await;
    assert_eq!(stage.product.models(), Vec::<String>::new());
    stage.end().await;
}

#[tokio::test]
async fn a_refused_link_is_explained_where_it_was_typed() {
    let Some(stage) = Stage::set().await else { return };
    stage.browser.open("#/models").await;
    stage.browser.click("#add-link").await;
    stage.browser.fill("dialog[open] textarea", "file:///etc/passwd").await;
    stage.browser.click("dialog[open] button.primary").await;
    stage.browser.see("dialog[open] .refusal:not(:empty)").await;
    stage.end().await;
}

#[tokio::test]
async fn a_stranger_sees_nothing_until_the_password_is_given() {
    let Some(stage) = Stage::set_closed("correct horse battery").await else { return };
    stage.browser.open("#/presets").await;
    stage.browser.fill("#login input", "wrong").await;
    stage.browser.click("#login button").await;
    stage.browser.see("#login .refusal:not(:empty)").await;
    assert_eq!(stage.browser.number("document.querySelectorAll('.row.preset').length").await, 0);

    stage.browser.fill("#login input", "correct horse battery").await;
    stage.browser.click("#login button").await;
    stage.browser.see(".row.preset").await;
    stage.browser.see("#connection[data-state='live']").await;
    stage.end().await;
}

#[tokio::test]
async fn the_page_finds_its_server_again_after_a_restart() {
    let Some(mut stage) = Stage::set().await else { return };
    stage.browser.open("#/presets").await;
    stage.browser.see("#connection[data-state='live']").await;
    stage.product.kill();
    stage.browser.see("#connection[data-state='waiting']").await;
    stage.product.start_again();
    stage.browser.see("#connection[data-state='live']").await;
    stage.end().await;
}

#[tokio::test]
async fn the_page_asks_no_other_server_and_fits_a_phone() {
    let Some(stage) = Stage::set().await else { return };
    for width in [360, 1400] {
        stage.browser.resize(width).await;
        for section in ["presets", "downloads", "models", "workflows", "queue", "logs"] {
            stage.browser.open(&format!("#/{section}")).await;
            stage.browser.see(&format!("a.tab[aria-current][href='#/{section}']")).await;
            let overflow = stage.browser.number("document.documentElement.scrollWidth - innerWidth").await;
            assert!(overflow <= 0, "{section} is {overflow} pixels too wide at {width}");
        }
    }
    let foreign =
        "performance.getEntriesByType('resource').filter((entry) => !entry.name.startsWith(location.origin)).length";
    assert_eq!(stage.browser.number(foreign).await, 0);
    stage.end().await;
}
