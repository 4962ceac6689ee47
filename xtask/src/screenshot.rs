//! `cargo xtask screenshot`: the picture in the README, taken of the real page. Knows only which test takes it.

use anyhow::{Result, bail};

use crate::workspace::{Workspace, run};

/// Where the picture lies, from the root.
const PICTURE: &str = "docs/screenshot.png";
/// Tells the test of the page where to leave its picture.
const DESTINATION: &str = "COMFYUI_DASHBOARD_SCREENSHOT";

/// Drives the page with a browser and keeps what it looks like on the way.
pub(crate) fn take(workspace: &Workspace) -> Result<()> {
    let picture = workspace.root.join(PICTURE);
    let before = modified(&picture);
    run(workspace.cargo(&["test", "--locked", "--workspace", "--test", "page"]).env(DESTINATION, &picture))?;
    if modified(&picture) == before {
        bail!("the test of the page left no picture; does this machine have chromium and chromedriver?");
    }
    println!("{PICTURE} taken");
    Ok(())
}

fn modified(picture: &std::path::Path) -> Option<std::time::SystemTime> {
    picture.metadata().and_then(|entry| entry.modified()).ok()
}
