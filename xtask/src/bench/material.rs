//! The files that nginx serves: made once, kept for the next run, their hashes beside them.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::download::Remote;
use super::rows::Set;
use super::servers::Nginx;

/// The folder that nginx serves.
pub(super) struct Material {
    pub(super) folder: PathBuf,
}

impl Material {
    /// Makes what is not there yet.
    pub(super) fn prepare(bench: &Path) -> Result<Material> {
        let folder = bench.join("served");
        for set in Set::ALL {
            let (name, count, size) = set.shape();
            let set_folder = folder.join(name);
            let hashes = set_folder.join("hashes");
            if hashes.exists() {
                continue;
            }
            eprintln!("making {count} files of {size} bytes ...");
            fs::create_dir_all(&set_folder).with_context(|| format!("{} could not be made", set_folder.display()))?;
            let mut lines = String::new();
            for number in 0..count {
                let path = set_folder.join(file_name(number));
                write_noise(&path, number as u64, size)
                    .with_context(|| format!("{} could not be written", path.display()))?;
                lines.push_str(&sha256(&path)?);
                lines.push('\n');
            }
            fs::write(&hashes, lines).with_context(|| format!("{} could not be written", hashes.display()))?;
        }
        Ok(Material { folder })
    }

    /// The files of a set with their addresses; reads them once, so that they are in the page cache.
    pub(super) fn files(&self, set: Set, nginx: &Nginx) -> Result<Vec<Remote>> {
        let (name, _, size) = set.shape();
        let folder = self.folder.join(name);
        let hashes = fs::read_to_string(folder.join("hashes")).context("the hashes of the served files are gone")?;
        let mut files = Vec::new();
        for (number, hash) in hashes.lines().enumerate() {
            let file = file_name(number);
            std::io::copy(&mut File::open(folder.join(&file))?, &mut std::io::sink())?;
            let url = format!("{}/bench/{name}/resolve/main/{file}", nginx.url);
            files.push(Remote { url, name: file, size, sha256: hash.to_owned() });
        }
        Ok(files)
    }
}

fn file_name(number: usize) -> String {
    format!("file-{number:04}.safetensors")
}

/// Bytes that do not compress and differ from file to file.
fn write_noise(path: &Path, seed: u64, size: u64) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..size / 8 {
        // xorshift64: a few operations a word, also without optimisation.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    file.flush()
}

/// SHA-256 of a file, 64 hex digits.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("{} could not be opened", path.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&buffer[..length]);
    }
}
