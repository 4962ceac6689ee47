//! Every preset as it stands, made once for each state of registry, disk and database: views, texts to search, sorted orders, estimates.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use model_file::Estimate;
use registry::{Preset, SearchText};
use tokio::sync::Mutex;

use super::{PresetSort, PresetView, Presets, list::sorted, situation::Situation};
use crate::{Error, page::Order, tasks::blocking};

const SORTS: usize = 7;

/// The listing of the present state. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Latest {
    listing: Arc<ArcSwapOption<Listing>>,
    /// Held by who makes a new one.
    making: Arc<Mutex<()>>,
}

/// Every preset at one moment.
pub(super) struct Listing {
    made_of: MadeOf,
    /// In the order of the registry, those that it dropped last.
    pub(super) entries: Vec<Entry>,
    orders: [[OnceLock<Vec<usize>>; 2]; SORTS],
}

/// A preset.
pub(super) struct Entry {
    pub(super) view: PresetView,
    pub(super) text: SearchText,
    /// What its weights suggest; of those in the registry alone.
    pub(super) estimate: Option<Estimate>,
}

/// Revisions of registry, index and ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct MadeOf([u64; 3]);

impl Listing {
    /// Places among the entries in this order.
    pub(super) fn order(&self, sort: PresetSort, order: Order) -> &[usize] {
        let direction = usize::from(order == Order::Descending);
        self.orders[sort as usize][direction].get_or_init(|| {
            let views: Vec<&PresetView> = self.entries.iter().map(|entry| &entry.view).collect();
            sorted(&views, sort, order)
        })
    }
}

impl Presets {
    /// Every preset as it stands now, once the models folder has been looked at.
    pub(super) async fn listing(&self) -> Result<Arc<Listing>, Error> {
        let situation = self.situation().await?;
        if let Some(known) = self.fresh_listing(self.made_of(&situation)) {
            return Ok(known);
        }
        let _making = self.latest_listing.making.lock().await;
        let situation = self.situation().await?;
        let made_of = self.made_of(&situation);
        if let Some(known) = self.fresh_listing(made_of) {
            return Ok(known);
        }
        let this = self.clone();
        let listing = Arc::new(blocking(move || this.make_listing(&situation, made_of)).await?);
        self.latest_listing.listing.store(Some(Arc::clone(&listing)));
        Ok(listing)
    }

    fn fresh_listing(&self, made_of: MadeOf) -> Option<Arc<Listing>> {
        self.latest_listing.listing.load_full().filter(|listing| listing.made_of == made_of)
    }

    /// Looked at before anything is made, so that a change meanwhile makes it old.
    fn made_of(&self, situation: &Situation) -> MadeOf {
        MadeOf([self.catalogue.in_force().revision, self.index.files_revision(), situation.revision()])
    }

    fn make_listing(&self, situation: &Situation, made_of: MadeOf) -> Listing {
        let catalog = self.catalogue.current();
        let entry = |preset: &Preset, in_registry: bool| Entry {
            text: SearchText::of(preset),
            estimate: self.estimate(preset).filter(|_| in_registry),
            view: self.view(preset.clone(), in_registry, situation),
        };
        let dropped = self.catalogue.dropped(situation.installs());
        let listed = catalog.iter().map(|preset| entry(preset, true));
        let entries = listed.chain(dropped.iter().map(|preset| entry(preset, false))).collect();
        Listing { made_of, entries, orders: Default::default() }
    }
}
