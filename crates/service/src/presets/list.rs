//! The list of presets: filtered by the catalogue, judged by the index, sorted, cut.

use std::cmp::Ordering;

use registry::{Filter, Preset};

use super::{PresetQuery, PresetSort, PresetView, Presets};
use crate::{
    Error,
    page::{Order, Page},
};

impl Presets {
    /// The presets that match, those that the registry dropped but that are installed here last.
    pub async fn list(&self, query: &PresetQuery) -> Result<Page<PresetView>, Error> {
        let listing = self.listing().await?;
        let filter = Filter {
            category: query.category.as_deref(),
            kind: query.kind.as_deref(),
            search: query.search.as_deref(),
        };
        let filter = filter.prepare();
        let entries = listing.order(query.sort, query.order).iter().map(|at| &listing.entries[*at]);
        let wanted = entries.filter(|entry| {
            query.installed.is_none_or(|installed| entry.view.installed == installed) && filter.matches(&entry.text)
        });
        Ok(Page::cut(wanted.collect(), query.page).map(|entry| entry.view.clone()))
    }

    /// Every preset of the registry in force.
    pub fn catalogue(&self) -> std::sync::Arc<registry::Catalog> {
        self.catalogue.current()
    }
}

/// The places of presets in the wanted order; what is equal in it stays as the registry has it.
pub(super) fn sorted(views: &[&PresetView], sort: PresetSort, order: Order) -> Vec<usize> {
    let mut places: Vec<usize> = (0..views.len()).collect();
    if sort == PresetSort::Registry {
        if order == Order::Descending {
            places.reverse();
        }
        return places;
    }
    places.sort_by(|left, right| {
        let ascending = compare(views[*left], views[*right], sort);
        match order {
            Order::Ascending => ascending,
            Order::Descending => ascending.reverse(),
        }
    });
    places
}

fn compare(left: &PresetView, right: &PresetView, sort: PresetSort) -> Ordering {
    let name = |preset: &Preset| preset.name.to_lowercase();
    let vram = |preset: &Preset| preset.vram_gb().unwrap_or(f64::INFINITY);
    match sort {
        PresetSort::Registry => Ordering::Equal,
        PresetSort::Id => left.preset.id.cmp(&right.preset.id),
        PresetSort::Name => name(&left.preset).cmp(&name(&right.preset)),
        PresetSort::Category => left.preset.category.cmp(&right.preset.category),
        PresetSort::Size => left.size_bytes.cmp(&right.size_bytes),
        PresetSort::Vram => vram(&left.preset).total_cmp(&vram(&right.preset)),
        PresetSort::InstallDate => left.installed_at.cmp(&right.installed_at),
    }
}
