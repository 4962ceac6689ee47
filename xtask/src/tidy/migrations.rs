//! Rule: migrations only grow. Also owns `cargo xtask migrations`, which records the ones that are new.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{Finding, Repository, Rule};

/// Lines of `<sha-256>  <file name>`, as `sha256sum` writes and checks them.
const RECORD: &str = "checksums.txt";

pub(super) const RULE: Rule = Rule {
    name: "migrations",
    reason: "a migration that ran on somebody's machine never runs there again: changing it changes nothing for them and everything \
             for the next",
    check: |repository: &Repository| {
        let folder = repository.root.join("migrations");
        Ok(compare(&read_record(&folder)?, &read_files(&folder)?))
    },
};

/// Writes the new migrations into the record; refuses if a recorded one has changed or gone.
pub(crate) fn record(root: &Path) -> Result<()> {
    let folder = root.join("migrations");
    let recorded = read_record(&folder)?;
    let files = read_files(&folder)?;
    if let Some((name, _)) = recorded.iter().find(|(name, sum)| files.get(*name) != Some(sum)) {
        bail!("migrations/{name} is recorded with another content: put it back and write a new migration instead");
    }
    let lines: String = files.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
    fs::write(folder.join(RECORD), lines).context("migrations/checksums.txt cannot be written")?;
    println!("{} migrations recorded, {} of them new", files.len(), files.len() - recorded.len());
    Ok(())
}

/// File name to checksum.
type Sums = BTreeMap<String, String>;

fn compare(recorded: &Sums, files: &Sums) -> Vec<Finding> {
    let changed = recorded.iter().filter_map(|(name, sum)| match files.get(name) {
        Some(found) if found == sum => None,
        Some(_) => Some((name, "has changed: put it back and write a new migration")),
        None => Some((name, "is gone: put it back and write a migration that undoes it")),
    });
    let unrecorded = files.keys().filter(|name| !recorded.contains_key(*name));
    changed
        .chain(unrecorded.map(|name| (name, "is not recorded yet: run `cargo xtask migrations`")))
        .map(|(name, advice)| Finding::new(format!("migrations/{name}"), advice))
        .collect()
}

fn read_record(folder: &Path) -> Result<Sums> {
    let path = folder.join(RECORD);
    if !path.exists() {
        return Ok(Sums::new());
    }
    let text = fs::read_to_string(path).context("migrations/checksums.txt cannot be read")?;
    text.lines()
        .map(|line| {
            let (sum, name) = line
                .split_once("  ")
                .with_context(|| format!("migrations/checksums.txt: `{line}` is no checksum line"))?;
            Ok((name.to_owned(), sum.to_owned()))
        })
        .collect()
}

fn read_files(folder: &Path) -> Result<Sums> {
    let mut sums = Sums::new();
    for entry in fs::read_dir(folder).context("migrations cannot be listed")? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "sql") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let bytes = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            sums.insert(name, hex::encode(Sha256::digest(&bytes)));
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(pairs: &[(&str, &str)]) -> Sums {
        pairs.iter().map(|(name, sum)| ((*name).to_owned(), (*sum).to_owned())).collect()
    }

    #[test]
    fn a_changed_a_lost_and_an_unrecorded_migration_are_found() {
        let recorded = sums(&[("0001_a.sql", "1"), ("0002_b.sql", "2"), ("0003_c.sql", "3")]);
        let files = sums(&[("0001_a.sql", "1"), ("0002_b.sql", "changed"), ("0004_d.sql", "4")]);
        let places: Vec<_> = compare(&recorded, &files).into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, ["migrations/0002_b.sql", "migrations/0003_c.sql", "migrations/0004_d.sql"]);
    }
}
