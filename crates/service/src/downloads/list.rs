//! Lists of downloads: the present ones and the history.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use registry::PresetId;

use super::{DownloadState, DownloadView, Downloads};
use crate::{
    Error,
    downloads::store::HistoryFilter,
    page::{Order, Page, PageRequest, sort_by_key},
};

/// How long an ended download stays in the list of the present ones.
const RECENT: SignedDuration = SignedDuration::from_hours(24);

/// What a list of downloads is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DownloadSort {
    /// The unfinished in the order in which they run, then the ended, the latest first.
    #[default]
    Queue,
    /// By when they were asked for.
    Created,
    /// By priority, the least urgent first.
    Priority,
    /// By how far they are.
    Progress,
}

/// Which downloads are wanted.
#[derive(Debug, Clone, Default)]
pub struct DownloadQuery {
    /// Only those in this state.
    pub state: Option<DownloadState>,
    /// What to sort by.
    pub sort: DownloadSort,
    /// Which way.
    pub order: Order,
    /// Which part.
    pub page: PageRequest,
}

/// A list of downloads, and how many of them are at work.
#[derive(Debug, Clone)]
pub struct DownloadList {
    /// The page.
    pub page: Page<DownloadView>,
    /// Queued, downloading or verifying, whatever the filter and the page.
    pub active: u64,
}

/// Which ended downloads are wanted.
#[derive(Debug, Clone, Default)]
pub struct HistoryQuery {
    /// Only those that ended so.
    pub state: Option<DownloadState>,
    /// Only those of this preset.
    pub preset: Option<PresetId>,
    /// By their end: ascending is the oldest first.
    pub order: Order,
    /// Which part.
    pub page: PageRequest,
}

impl Downloads {
    /// The unfinished downloads, then those that ended in the last 24 hours.
    pub async fn list(&self, query: &DownloadQuery) -> Result<DownloadList, Error> {
        let since = self.clock.now().checked_sub(RECENT).unwrap_or(Timestamp::UNIX_EPOCH);
        let unfinished = self.store.ledger().await?.unfinished();
        let mut ended = self.store.downloads_ended_since(since).await?;
        // One that ends between the two looks is listed once, as the other answers of this moment have it.
        let in_queue: HashSet<&str> = unfinished.iter().map(|stored| stored.row.id.as_str()).collect();
        ended.retain(|stored| !in_queue.contains(stored.row.id.as_str()));
        let mut views: Vec<DownloadView> =
            unfinished.iter().map(|stored| &**stored).chain(&ended).map(|stored| self.view(stored)).collect();
        let active = views.iter().filter(|view| view.state.is_active()).count() as u64;
        views.retain(|view| query.state.is_none_or(|state| view.state == state));
        match query.sort {
            DownloadSort::Queue if query.order == Order::Descending => views.reverse(),
            DownloadSort::Queue => {}
            DownloadSort::Created => sort_by_key(&mut views, query.order, |view| view.created_at),
            DownloadSort::Priority => sort_by_key(&mut views, query.order, |view| view.priority),
            DownloadSort::Progress => sort_by_key(&mut views, query.order, |view| (view.progress * 1000.0) as u64),
        }
        Ok(DownloadList { page: Page::cut(views, query.page), active })
    }

    /// Every unfinished download, in the order in which they run.
    pub async fn unfinished(&self) -> Result<Vec<DownloadView>, Error> {
        Ok(self.store.ledger().await?.unfinished().iter().map(|stored| self.view(stored)).collect())
    }

    /// Deletes the history: every download that has ended, with its files and events. Answers with their number.
    pub async fn clear_history(&self) -> Result<u64, Error> {
        self.store.delete_ended_downloads(Timestamp::MAX).await
    }

    /// Every download that ended and is still in the history; ascending is the oldest first.
    pub async fn history(&self, query: &HistoryQuery) -> Result<Page<DownloadView>, Error> {
        let filter = HistoryFilter {
            state: query.state,
            preset_id: query.preset.as_ref().map(PresetId::to_string),
            oldest_first: query.order == Order::Ascending,
            offset: query.page.offset(),
            limit: query.page.per_page as usize,
        };
        let (stored, total) = self.store.download_history(&filter).await?;
        let items = stored.iter().map(|stored| self.view(stored)).collect();
        Ok(Page { items, total, request: query.page })
    }
}
