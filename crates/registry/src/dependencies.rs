//! Dependencies between presets: which presets cannot stand because of them, and in what order the rest installs.
//!
//! Pure. Must not recurse: a registry decides how long a chain is.

use std::collections::{HashMap, HashSet};

use crate::catalog::Fault;
use crate::preset::{Preset, PresetId};

/// Longest way that a fault's reason spells out.
const LONGEST_WAY: usize = 10;

/// The presets that can stand, the install rank of each (dependencies lower), and a fault for each that cannot.
pub(crate) fn settle(presets: Vec<Preset>) -> (Vec<Preset>, Vec<usize>, Vec<Fault>) {
    let ranks = install_ranks(&presets);
    let unranked: HashMap<&PresetId, &Preset> =
        presets.iter().filter(|preset| !ranks.contains_key(&preset.id)).map(|preset| (&preset.id, preset)).collect();
    let faults = presets
        .iter()
        .filter(|preset| !ranks.contains_key(&preset.id))
        .map(|preset| Fault {
            preset: preset.id.to_string(),
            field: "dependencies".to_owned(),
            reason: reason(preset, &ranks, &unranked),
        })
        .collect();
    let standing: Vec<Preset> = presets.iter().filter(|preset| ranks.contains_key(&preset.id)).cloned().collect();
    let ranks = standing.iter().map(|preset| ranks[&preset.id]).collect();
    (standing, ranks, faults)
}

/// Kahn's order: whoever waits for nobody is next. What never becomes ready needs an unknown preset or itself.
fn install_ranks(presets: &[Preset]) -> HashMap<PresetId, usize> {
    let mut waiting: HashMap<&PresetId, usize> = HashMap::new();
    let mut needed_by: HashMap<&PresetId, Vec<&PresetId>> = HashMap::new();
    let mut ready = Vec::new();
    for preset in presets {
        let needs: HashSet<&PresetId> = preset.dependencies.iter().collect();
        waiting.insert(&preset.id, needs.len());
        if needs.is_empty() {
            ready.push(&preset.id);
        }
        for needed in needs {
            needed_by.entry(needed).or_default().push(&preset.id);
        }
    }
    let mut next = 0;
    while let Some(&done) = ready.get(next) {
        next += 1;
        for user in needed_by.get(done).into_iter().flatten() {
            if let Some(left) = waiting.get_mut(user) {
                *left -= 1;
                if *left == 0 {
                    ready.push(user);
                }
            }
        }
    }
    ready.into_iter().enumerate().map(|(rank, id)| (id.clone(), rank)).collect()
}

/// Follows the first dependency that cannot stand until it leaves the catalogue or meets itself.
fn reason(preset: &Preset, ranks: &HashMap<PresetId, usize>, unranked: &HashMap<&PresetId, &Preset>) -> String {
    let mut way = vec![&preset.id];
    let mut here = preset;
    let end = loop {
        let Some(next) = here.dependencies.iter().find(|needed| !ranks.contains_key(needed)) else {
            break "cannot be settled";
        };
        let met = way.contains(&next);
        way.push(next);
        match unranked.get(next) {
            None => break "end at a preset that this registry does not have",
            Some(_) if met => break "lead in a circle",
            Some(_) if way.len() > LONGEST_WAY => break "do not come to an end",
            Some(following) => here = following,
        }
    };
    let names: Vec<&str> = way.into_iter().map(PresetId::as_str).collect();
    format!("the dependencies {end}: {}", names.join(" -> "))
}
