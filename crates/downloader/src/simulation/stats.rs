//! How much was tried.

use std::fmt;

#[derive(Debug, Default, Clone)]
pub(crate) struct Stats {
    pub(crate) seeds: u64,
    pub(crate) files: u64,
    pub(crate) kills: u64,
    pub(crate) power_cuts: u64,
    pub(crate) shutdowns: u64,
    pub(crate) commands: u64,
    pub(crate) failures: u64,
    pub(crate) restarts: u64,
    /// Blocks that were written past the page cache.
    pub(crate) past_cache: u64,
}

impl Stats {
    pub(crate) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.files += other.files;
        self.kills += other.kills;
        self.power_cuts += other.power_cuts;
        self.shutdowns += other.shutdowns;
        self.commands += other.commands;
        self.failures += other.failures;
        self.restarts += other.restarts;
        self.past_cache += other.past_cache;
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, files, kills, power_cuts, shutdowns, commands, failures, restarts, past_cache } = self;
        write!(
            out,
            "simulated: {seeds} seeds, {files} files, {kills} kills, {power_cuts} power cuts, {shutdowns} shutdowns, "
        )?;
        write!(out, "{commands} commands, {failures} failures, {restarts} restarts, ")?;
        write!(out, "{past_cache} blocks past the page cache")
    }
}
