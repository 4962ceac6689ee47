//! `cargo xtask dev`: the product as it is being written, away from anybody's models. Knows the product's settings by name only.

use anyhow::Result;

use crate::workspace::{Workspace, run};

/// Starts a development build in a workspace of its own under `target/`, with `arguments` for `comfyui-dashboard serve`.
pub(crate) fn serve(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let place = workspace.metadata.target_directory.join("dev-workspace");
    println!(
        "Models and database of this run: {place}. The page is read from disk: edit crates/web/static and reload."
    );
    run(workspace.product().arg("serve").args(arguments).env("WORKSPACE_DIR", place))
}
