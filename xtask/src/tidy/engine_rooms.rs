//! Rule: the rooms of the engine import downwards only.

use super::source::Token;
use super::{Finding, Rule, SourceFile};

const ENGINE: &str = "crates/downloader/src/";

/// The rooms, each with those below it. The files beside them are the vocabulary: every room may use it, it uses none.
/// Tests, the simulation, the fuzz targets' readers and the list of exports in `lib.rs` may use all.
const ROOMS: &[(&str, &[&str])] = &[
    ("engine", &["engine", "transfer", "http", "storage"]),
    ("transfer", &["transfer", "http", "storage"]),
    ("http", &["http"]),
    ("storage", &["storage"]),
];
const MAY_USE_ALL: &[&str] = &["lib.rs", "fuzzing.rs", "simulation", "engine/tests"];

pub(super) const RULE: Rule = Rule {
    name: "engine-rooms",
    reason: "a room of the engine that imports one above it, or the simulation, cannot be read or changed alone",
    check: |repository| Ok(repository.sources.iter().flat_map(findings_in).collect()),
};

fn findings_in(source: &SourceFile) -> Vec<Finding> {
    let Some(place) = source.path.strip_prefix(ENGINE) else { return Vec::new() };
    if MAY_USE_ALL.iter().any(|exempt| place.starts_with(exempt)) || place.ends_with("_tests.rs") {
        return Vec::new();
    }
    let from = place.split_once('/').map_or("", |(room, _)| room);
    let below = ROOMS.iter().find(|(room, _)| *room == from).map_or(&[][..], |(_, below)| below);
    let is_room = |name: &str| name == "simulation" || ROOMS.iter().any(|(room, _)| *room == name);
    let mut findings = Vec::new();
    for (at, _) in source.tokens.windows(3).enumerate().filter(|(_, window)| names_the_crate(window)) {
        let imported = imported(&source.tokens[at + 3..]);
        let above = imported.filter(|name| is_room(&name.text) && !below.contains(&name.text.as_str()));
        findings.extend(above.filter(|name| !name.in_test).map(|name| {
            let advice = format!("`{}` is not below this file; it may use {below:?}", name.text);
            Finding::new(source.at(name), advice)
        }));
    }
    findings
}

fn names_the_crate(window: &[Token]) -> bool {
    window.iter().zip(["crate", ":", ":"]).all(|(token, wanted)| token.text == wanted)
}

/// The first segment of what follows `crate::`, or those in its use list.
fn imported(rest: &[Token]) -> impl Iterator<Item = &Token> {
    let listed = rest.first().is_some_and(|token| token.text == "{");
    let end = if listed { rest.iter().position(|token| token.text == ";").unwrap_or(rest.len()) } else { 1 };
    let rest = &rest[..end.min(rest.len())];
    let follows = move |at: usize| at == 0 || ["{", ","].contains(&rest[at - 1].text.as_str());
    rest.iter().enumerate().filter(move |(at, _)| follows(*at)).map(|(_, token)| token)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn arrows_between_rooms_point_down() {
        let count =
            |path: &str, text: &str| findings_in(&SourceFile::parse(&format!("{ENGINE}{path}"), text).unwrap()).len();
        assert_eq!(count("transfer/driver.rs", "use crate::storage::part::Part;\nuse crate::JobId;"), 0);
        assert_eq!(count("storage/part.rs", "use crate::transfer::resume;"), 1);
        assert_eq!(count("storage/part.rs", "use crate::{JobId, http::{client, probe}, transfer};"), 2);
        assert_eq!(count("transfer/world.rs", "use crate::simulation::Internet;"), 1);
        assert_eq!(count("error.rs", "use crate::http::client;"), 1);
        assert_eq!(count("storage/part.rs", "#[cfg(test)]\nmod tests { use crate::transfer::resume; }"), 0);
        assert_eq!(count("simulation/world.rs", "use crate::engine::handle;"), 0);
    }
}
