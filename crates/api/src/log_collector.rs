//! Puts what is logged into the memory that `/api/system/logs` answers from: which service a line is of, what it says, which
//! request it belongs to.

use std::fmt::{self, Write};

use service::{
    Clock, SystemClock,
    logs::{LogLevel, LogLine, LogRing, LogService},
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::log_room::shelf_of;

/// Parts whose lines are about presets, the registry and downloads. A part begins with the name of a module.
const PRESET_MANAGER: [&str; 5] =
    ["downloader", "registry", "service::downloads", "service::presets", "service::registry_sync"];

/// A layer that collects lines.
pub(crate) struct Collector {
    ring: LogRing,
}

/// The id of a request, kept with its span.
struct RequestId(String);

impl Collector {
    /// A layer that collects into `ring`.
    pub(crate) fn new(ring: LogRing) -> Self {
        Self { ring }
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Collector {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(id_of_request), Some(span)) = (fields.id, context.span(id)) {
            span.extensions_mut().insert(RequestId(id_of_request));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let named = context
            .event_scope(event)
            .into_iter()
            .flatten()
            .find_map(|span| span.extensions().get::<RequestId>().map(|id| id.0.clone()));
        let line = LogLine {
            at: SystemClock.now(),
            level: level_of(*event.metadata().level()),
            service: service_of(event.metadata().target()),
            message: fields.sentence(),
            request_id: fields.request_id.or(named),
        };
        self.ring.push_to(shelf_of(event.metadata().target()), line);
    }
}

/// The values of a line or a span.
#[derive(Default)]
struct Fields {
    message: String,
    others: String,
    id: Option<String>,
    request_id: Option<String>,
}

impl Fields {
    fn take(&mut self, name: &str, value: fmt::Arguments<'_>) {
        match name {
            "message" => self.message = value.to_string(),
            "id" => self.id = Some(value.to_string()),
            "request_id" => self.request_id = Some(value.to_string()),
            // Writing to a String cannot fail.
            _ => drop(write!(self.others, " {name}={value}")),
        }
    }

    fn sentence(&self) -> String {
        format!("{}{}", self.message, self.others).trim_start().to_owned()
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field.name(), format_args!("{value:?}"));
    }
}

fn level_of(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => LogLevel::Trace,
    }
}

fn service_of(target: &str) -> LogService {
    let is_of = |part: &str| target.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    if PRESET_MANAGER.into_iter().any(is_of) { LogService::PresetManager } else { LogService::Dashboard }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn lines_are_kept_with_their_service_their_fields_and_their_request() {
        let ring = LogRing::default();
        let subscriber = tracing_subscriber::registry().with(Collector::new(ring.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "service::presets::install", preset = "A", size = 3, "a preset is installed");
            tracing::info_span!("request", id = %"abc").in_scope(|| tracing::warn!("slow"));
            tracing::error!(target: "registry_of_others", request_id = "def", "no");
        });
        let lines = ring.tail(10, &Default::default());
        let rows: Vec<_> = lines
            .iter()
            .map(|line| (line.level, line.service, line.message.as_str(), line.request_id.as_deref()))
            .collect();
        assert_eq!(
            rows,
            [
                (LogLevel::Info, LogService::PresetManager, "a preset is installed preset=A size=3", None),
                (LogLevel::Warn, LogService::Dashboard, "slow", Some("abc")),
                (LogLevel::Error, LogService::Dashboard, "no", Some("def")),
            ]
        );
    }
}
