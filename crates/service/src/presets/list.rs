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
        let situation = self.situation().await?;
        let catalog = self.catalogue.current();
        let filter = Filter {
            category: query.category.as_deref(),
            kind: query.kind.as_deref(),
            search: query.search.as_deref(),
        };
        let listed = catalog.filter(&filter).into_iter().cloned().map(|preset| (preset, true));
        let dropped = self.catalogue.dropped(situation.installs()).into_iter().filter(|preset| filter.matches(preset));
        let mut views: Vec<PresetView> = listed
            .chain(dropped.map(|preset| (preset, false)))
            .map(|(preset, in_registry)| self.view(preset, in_registry, &situation))
            .filter(|view| query.installed.is_none_or(|installed| view.installed == installed))
            .collect();
        sort(&mut views, query.sort, query.order);
        Ok(Page::cut(views, query.page))
    }

    /// Every preset of the registry in force.
    pub fn catalogue(&self) -> std::sync::Arc<registry::Catalog> {
        self.catalogue.current()
    }
}

fn sort(views: &mut [PresetView], sort: PresetSort, order: Order) {
    if sort == PresetSort::Registry {
        if order == Order::Descending {
            views.reverse();
        }
        return;
    }
    views.sort_by(|left, right| {
        let ascending = compare(left, right, sort);
        match order {
            Order::Ascending => ascending,
            Order::Descending => ascending.reverse(),
        }
    });
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
