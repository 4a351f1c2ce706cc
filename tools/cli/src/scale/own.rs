//! What the store says of its own memory.

use crate::measure::row::Unit;
use extentdb::Metrics;

/// Figures of `metrics` that tell of the index and of what pins the past, each with its name.
pub(super) fn figures(metrics: &Metrics) -> Vec<(&'static str, f64, Unit)> {
    let age = metrics.oldest_pin_age.unwrap_or_default();
    vec![
        ("index", metrics.index_bytes as f64, Unit::Bytes),
        ("pins", metrics.pins as f64, Unit::Count),
        ("age of the oldest", age.as_secs_f64(), Unit::Seconds),
        ("pinned", metrics.pinned_bytes as f64, Unit::Bytes),
    ]
}
