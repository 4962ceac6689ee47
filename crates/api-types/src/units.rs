//! Bytes, rates and times as the interface writes them. Every text made here has an exact twin in bytes beside it.
//! It must not know what the figures are about.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

const GIB: f64 = (1_u64 << 30) as f64;
const MIB: f64 = (1_u64 << 20) as f64;
const MEGABYTE: f64 = 1e6;

/// A size as text: `4.8GB` (2^30), below one of those `538MB` (2^20), below one of those `0.3MB`.
pub fn size_text(bytes: u64) -> String {
    let exact = bytes as f64;
    if exact >= GIB {
        format!("{:.1}GB", exact / GIB)
    } else if exact >= MIB {
        format!("{:.0}MB", exact / MIB)
    } else {
        format!("{:.1}MB", exact / MIB)
    }
}

/// A size in units of 2^30 bytes, with one decimal.
pub fn gigabytes(bytes: u64) -> f64 {
    one_decimal(bytes as f64 / GIB)
}

/// A rate in units of 10^6 bytes a second, with one decimal.
pub fn megabytes_per_second(bytes_per_second: u64) -> f64 {
    one_decimal(bytes_per_second as f64 / MEGABYTE)
}

/// A rate as text: `125 MB/s`, cut and not rounded, as `125.5` beside it is; a slow one has a decimal, `0.4 MB/s`.
pub fn speed_text(bytes_per_second: u64) -> String {
    let exact = bytes_per_second as f64 / MEGABYTE;
    if exact >= 1.0 {
        format!("{:.0} MB/s", exact.floor())
    } else {
        format!("{:.1} MB/s", (exact * 10.0).floor() / 10.0)
    }
}

/// A time span as text: `45s`, `2m 30s`, `1h 5m`.
pub fn duration_text(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        _ => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A percentage from 0 to 100 with one decimal. Only what is complete is 100: 99.97 stays 99.9.
pub fn percent(share: f64) -> f64 {
    let bounded = if share.is_finite() { share.clamp(0.0, 100.0) } else { 0.0 };
    (bounded * 10.0).floor() / 10.0
}

/// A text that the interface leaves `null` where nothing is said.
pub fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A time, where there is one.
pub trait MaybeTime {
    /// The time.
    fn time(&self) -> Option<Timestamp>;
}

impl MaybeTime for Timestamp {
    fn time(&self) -> Option<Timestamp> {
        Some(*self)
    }
}

impl MaybeTime for Option<Timestamp> {
    fn time(&self) -> Option<Timestamp> {
        *self
    }
}

/// Writes a time with whole seconds, `2026-02-15T10:30:00Z`: clients parse the keys of the first interface with a fixed pattern.
pub fn whole_seconds<S: Serializer>(time: &impl MaybeTime, out: S) -> Result<S::Ok, S::Error> {
    time.time().map(|time| format!("{time:.0}")).serialize(out)
}

/// Writes a time with three decimals, always: the order of the texts is that of the times.
pub fn milliseconds<S: Serializer>(time: &impl MaybeTime, out: S) -> Result<S::Ok, S::Error> {
    time.time().map(|time| format!("{time:.3}")).serialize(out)
}

fn one_decimal(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_made_from_bytes_in_powers_of_two() {
        assert_eq!(size_text(5_153_960_755), "4.8GB");
        assert_eq!(size_text(1 << 30), "1.0GB");
        assert_eq!(size_text(538 << 20), "538MB");
        assert_eq!(size_text(300_000), "0.3MB");
        assert_eq!(size_text(0), "0.0MB");
        assert_eq!(gigabytes(15_569_256_448), 14.5);
    }

    #[test]
    fn rates_are_in_powers_of_ten_and_their_text_is_cut() {
        assert_eq!(megabytes_per_second(125_500_000), 125.5);
        assert_eq!(speed_text(125_500_000), "125 MB/s");
        assert_eq!(speed_text(999_999), "0.9 MB/s");
        assert_eq!(speed_text(0), "0.0 MB/s");
    }

    #[test]
    fn texts_of_times_have_the_order_of_the_times() {
        #[derive(Serialize)]
        struct Times {
            #[serde(serialize_with = "whole_seconds")]
            shown: Timestamp,
            #[serde(serialize_with = "milliseconds")]
            own: Option<Timestamp>,
        }
        let text = |milliseconds: i64| {
            let time = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
            serde_json::to_value(Times { shown: time, own: Some(time) }).unwrap_or_default()
        };
        let times = [1_771_151_400_000, 1_771_151_400_007, 1_771_151_400_700, 1_771_151_401_000].map(text);
        assert_eq!(times[0]["own"], "2026-02-15T10:30:00.000Z");
        assert_eq!(
            (&times[2]["own"], &times[2]["shown"]),
            (&"2026-02-15T10:30:00.700Z".into(), &"2026-02-15T10:30:00Z".into())
        );
        assert!(times.windows(2).all(|pair| pair[0]["own"].as_str() < pair[1]["own"].as_str()), "{times:?}");
    }

    #[test]
    fn spans_have_two_units_at_most() {
        assert_eq!(duration_text(45), "45s");
        assert_eq!(duration_text(150), "2m 30s");
        assert_eq!(duration_text(3900), "1h 5m");
    }

    #[test]
    fn a_percentage_never_says_more_than_is_there() {
        assert_eq!(percent(45.28), 45.2);
        assert_eq!(percent(99.99), 99.9);
        assert_eq!(percent(100.0), 100.0);
        assert_eq!(percent(f64::NAN), 0.0);
    }
}
