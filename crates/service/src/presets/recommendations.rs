//! Which presets fit which card: by the video memory that they declare, and apart from that by what their weights suggest.

use model_file::{Estimate, WeightPart, estimate_vram};
use registry::{ModelFile, Preset, PresetId};

use super::{Presets, listing::Entry};
use crate::Error;

/// A "24 GB" card reports 22.5 to 24.0: what is declared may exceed what is reported by this factor.
pub(crate) const TOLERANCE: f64 = 1.07;

/// A preset held against a card.
#[derive(Debug, Clone)]
pub struct Recommendation {
    /// Which preset.
    pub id: PresetId,
    /// Its name.
    pub name: String,
    /// Its category.
    pub category: String,
    /// Its type.
    pub kind: String,
    /// What it declares, in GB as cards are sold.
    pub vram_gb: Option<f64>,
    /// What its weights suggest, and from what; never mixed up with the declared figure.
    pub estimated: Option<Estimate>,
    /// Whether it is installed.
    pub installed: bool,
    /// Bytes of its files.
    pub size_bytes: Option<u64>,
}

/// The presets, by whether they fit.
#[derive(Debug, Clone, Default)]
pub struct Recommendations {
    /// They fit: the most demanding first, since that uses the card best.
    pub compatible: Vec<Recommendation>,
    /// They do not: the least demanding first.
    pub incompatible: Vec<Recommendation>,
    /// It is not known: no card, or nothing declared.
    pub unknown: Vec<Recommendation>,
}

impl Presets {
    /// Holds every preset of the registry against a card of `vram_gb`, as it reports it; `None`: there is no card.
    pub async fn recommendations(&self, vram_gb: Option<f64>) -> Result<Recommendations, Error> {
        let listing = self.listing().await?;
        let mut lists = Recommendations::default();
        for entry in listing.entries.iter().filter(|entry| entry.view.in_registry) {
            let recommendation = recommendation(entry);
            match recommendation.vram_gb.zip(vram_gb) {
                None => lists.unknown.push(recommendation),
                Some((declared, card)) if declared <= card * TOLERANCE => lists.compatible.push(recommendation),
                Some(_) => lists.incompatible.push(recommendation),
            }
        }
        lists.compatible.sort_by(|left, right| compare(right, left));
        lists.incompatible.sort_by(compare);
        Ok(lists)
    }

    /// From the heads of the files that are here, as the last scan read them; else from their sizes, here or on the servers; else
    /// from what the registry states.
    pub(super) fn estimate(&self, preset: &Preset) -> Option<Estimate> {
        let parts: Option<Vec<WeightPart<'_>>> = preset.files.iter().map(|file| self.weight_part(file)).collect();
        estimate_vram(&parts?)
    }

    fn weight_part<'a>(&self, file: &'a ModelFile) -> Option<WeightPart<'a>> {
        let path = file.path.as_str();
        let is_here = self.index.fit(file).is_here();
        let head = self.index.weights(path).filter(|_| is_here);
        let size = self.index.size(path).filter(|_| is_here).or_else(|| self.index.expected(file).size_bytes);
        WeightPart::by_the_best(path, head, size, file.stated_size)
    }
}

fn recommendation(entry: &Entry) -> Recommendation {
    let (view, preset) = (&entry.view, &entry.view.preset);
    Recommendation {
        id: preset.id.clone(),
        name: preset.name.clone(),
        category: preset.category.clone(),
        kind: preset.kind.clone(),
        vram_gb: preset.vram_gb(),
        estimated: entry.estimate.clone(),
        installed: view.installed,
        size_bytes: view.size_bytes,
    }
}

fn compare(left: &Recommendation, right: &Recommendation) -> std::cmp::Ordering {
    let vram = |recommendation: &Recommendation| recommendation.vram_gb.unwrap_or(0.0);
    vram(left).total_cmp(&vram(right)).then_with(|| right.id.cmp(&left.id))
}
