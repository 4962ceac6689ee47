//! Lines of the log as JSON, and which are asked for.

pub use api_types::logs::{LogLevel, LogService};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use service::logs as view;
use utoipa::{IntoParams, ToSchema};

/// Most lines that one answer may have.
pub const MOST_LINES: u32 = 5000;
const USUAL_LINES: u32 = 100;

/// Which lines are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// Only of this service.
    #[param(inline)]
    service: Option<LogService>,
    /// How many, the latest.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 5000, example = 100)]
    lines: Option<LineCount>,
    /// This level and those that matter more; case aside.
    #[param(value_type = Option<LogLevel>, inline)]
    level: Option<AtLeast>,
    /// What the message must contain; case aside.
    search: Option<String>,
    /// `true`: the answer is a stream of server-sent events that goes on with every new line.
    #[serde(default)]
    #[param(required = false)]
    pub follow: bool,
}

#[derive(Debug, Clone, Copy)]
struct LineCount(u32);

#[derive(Debug, Clone, Copy)]
struct AtLeast(LogLevel);

impl<'de> Deserialize<'de> for LineCount {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        match text.parse() {
            Ok(count) if (1..=MOST_LINES).contains(&count) => Ok(Self(count)),
            _ => Err(D::Error::custom(format!("{text:?} is not a whole number from 1 to {MOST_LINES}"))),
        }
    }
}

impl<'de> Deserialize<'de> for AtLeast {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        let refused = || D::Error::custom(format!("{text:?} is none of TRACE, DEBUG, INFO, WARN, ERROR"));
        LogLevel::parse_any(&text).map(Self).ok_or_else(refused)
    }
}

impl LogQuery {
    /// How many lines are wanted.
    pub fn count(&self) -> usize {
        self.lines.map_or(USUAL_LINES, |lines| lines.0) as usize
    }

    /// Which lines are wanted.
    pub fn filter(&self) -> view::LogFilter {
        view::LogFilter { service: self.service, level: self.level.map(|level| level.0), search: self.search.clone() }
    }
}

/// A line of the log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::whole_seconds")]
    pub timestamp: Timestamp,
    /// How much it matters.
    pub level: LogLevel,
    /// Who logged it.
    pub service: LogService,
    /// What it says.
    pub message: String,
    /// The request that it belongs to.
    pub request_id: Option<String>,
}

/// A server-sent event of a log that is followed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LogEvent {
    /// The JSON of a line.
    pub data: String,
}

/// Lines of the log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LogLines {
    /// The oldest first.
    pub logs: Vec<LogLine>,
}

impl From<view::LogLine> for LogLine {
    fn from(line: view::LogLine) -> Self {
        Self {
            timestamp: line.at,
            level: line.level,
            service: line.service,
            message: line.message,
            request_id: line.request_id,
        }
    }
}

impl From<Vec<view::LogLine>> for LogLines {
    fn from(lines: Vec<view::LogLine>) -> Self {
        Self { logs: lines.into_iter().map(LogLine::from).collect() }
    }
}
