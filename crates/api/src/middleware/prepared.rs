//! Bodies of answers that stay the same until something changes, with their tags: made once for each state of what they are made of.
//! Each worker has its own, so that nobody waits for a lock.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use actix_web::http::{Method, header::HeaderValue};
use bytes::Bytes;
use jiff::Timestamp;
use service::{Dashboard, PresetId, Revision, Sources};

use super::request::Asked;

/// Bytes of all bodies together, of one body, and of one address with its query.
const MOST_BYTES: usize = 4 << 20;
const LONGEST_BODY: usize = 1 << 20;
const LONGEST_ADDRESS: usize = 512;
/// What a body takes beside its bytes.
const OVERHEAD: usize = 256;

/// Operations whose answers depend on nothing but their address and these sources.
const OPERATIONS: [(&str, Sources); 8] = [
    ("list_presets", Sources::Presets),
    (DETAIL, Sources::Presets),
    ("recommendations", Sources::PresetsAndMachine),
    ("updates", Sources::Presets),
    ("list_models", Sources::Models),
    ("list_model_types", Sources::Models),
    ("storage", Sources::ModelsAndMachine),
    ("resources", Sources::Machine),
];

/// It looks at the disk, and its answer lasts no longer than that look.
const DETAIL: &str = "preset_detail";

/// The bodies of one worker.
#[derive(Default)]
pub(crate) struct Prepared {
    bodies: RefCell<HashMap<String, Body>>,
    bytes: Cell<usize>,
}

/// A body and its tag.
#[derive(Clone)]
pub(super) struct Body {
    revision: Revision,
    lasts_until: Option<Timestamp>,
    pub(super) bytes: Bytes,
    pub(super) tag: HeaderValue,
}

/// Where a body belongs, and the state that it will be made of.
pub(super) struct Place {
    address: String,
    revision: Revision,
    looks_at_disk: bool,
}

impl Prepared {
    /// The place of the answer to a request; `None` where it has to be made anew each time.
    pub(super) async fn place(dashboard: &Dashboard, asked: &Asked, method: &Method, address: &str) -> Option<Place> {
        let operation = asked.operation.as_deref()?;
        let (_, sources) = OPERATIONS.iter().find(|(name, _)| *name == operation)?;
        // An envelope has the time in it, and the details of the storage need a walk.
        let is_unlike = address.contains("envelope") || (operation == "storage" && address.contains('?'));
        if *method != Method::GET || is_unlike || address.len() > LONGEST_ADDRESS {
            return None;
        }
        let revision = dashboard.revision(*sources).await.ok()?;
        Some(Place { address: address.to_owned(), revision, looks_at_disk: operation == DETAIL })
    }

    /// The body that is in its place and still true.
    pub(super) fn find(&self, place: &Place, now: impl FnOnce() -> Timestamp) -> Option<Body> {
        let bodies = self.bodies.borrow();
        let body = bodies.get(&place.address).filter(|body| body.revision == place.revision)?;
        // A clock that was set back proves nothing.
        let lasts = body.lasts_until.is_none_or(|end| {
            let now = now();
            now < end && end.duration_since(now) <= jiff::SignedDuration::from_secs(1)
        });
        lasts.then(|| body.clone())
    }

    /// Keeps a body in its place.
    pub(super) fn keep(
        &self,
        place: Place,
        dashboard: &Dashboard,
        preset: Option<&str>,
        bytes: &Bytes,
        tag: &HeaderValue,
    ) {
        let mut lasts_until = None;
        if place.looks_at_disk {
            let preset = preset.and_then(|id| PresetId::parse(id).ok());
            lasts_until = preset.and_then(|id| dashboard.presets.look_lasts_until(&id));
            if lasts_until.is_none() {
                return;
            }
        }
        if bytes.len() > LONGEST_BODY {
            return;
        }
        let mut bodies = self.bodies.borrow_mut();
        let size = bytes.len() + place.address.len() + OVERHEAD;
        if self.bytes.get() + size > MOST_BYTES {
            bodies.clear();
            self.bytes.set(0);
        }
        let body = Body { revision: place.revision, lasts_until, bytes: bytes.clone(), tag: tag.clone() };
        let length = place.address.len();
        let before = bodies.insert(place.address, body).map_or(0, |body| body.bytes.len() + length + OVERHEAD);
        self.bytes.set(self.bytes.get() + size - before);
    }
}
