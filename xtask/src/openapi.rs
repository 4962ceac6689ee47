//! `cargo xtask openapi`: the committed document is what the product itself prints. Knows nothing of its content.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// The product prints its document with this hidden subcommand.
const SUBCOMMAND: &str = "openapi";

/// Where the document is committed, from the root.
const DOCUMENT: &str = "openapi/openapi.json";

/// Rewrites the committed document.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let served = document(workspace.product())?;
    fs::write(workspace.root.join(DOCUMENT), &served).context("openapi/openapi.json cannot be written")?;
    println!("openapi/openapi.json written, {} bytes", served.len());
    Ok(())
}

/// Compares the committed document with what this command, the product, prints.
pub(crate) fn check(workspace: &Workspace, product: Command) -> Result<()> {
    let served = document(product)?;
    let committed = fs::read(workspace.root.join(DOCUMENT))
        .context("openapi/openapi.json cannot be read; `cargo xtask openapi` writes it")?;
    if committed != served {
        bail!(
            "openapi/openapi.json is not what the product serves; run `cargo xtask openapi` and commit the difference"
        );
    }
    println!("openapi/openapi.json is what the product serves");
    Ok(())
}

fn document(mut product: Command) -> Result<Vec<u8>> {
    let output = product.arg(SUBCOMMAND).output().context("the product could not be started")?;
    if !output.status.success() {
        bail!(
            "the product could not print its document ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut document = output.stdout;
    serde_json::from_slice::<serde_json::Value>(&document).context("what the product printed is not JSON")?;
    if document.last() != Some(&b'\n') {
        document.push(b'\n');
    }
    Ok(document)
}
