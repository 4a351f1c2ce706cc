//! Rows that tell how long puts took.

use super::raw::Raw;
use crate::measure::row::{Row, Unit};
use crate::measure::sample::Summary;

/// Rows of the puts of a churn, beside the raw device.
pub(super) fn rows(part: &str, puts: &Summary, raw: &Raw) -> Vec<Row> {
    let seconds = |name: &str, ns: u64| Row::new(part, name, ns as f64 / 1e9, Unit::Seconds);
    let mut rows = vec![
        Row::new(part, "puts", puts.ops_per_s, Unit::PerSecond),
        seconds("put, p50", puts.p50_ns).beside("raw p50", raw.p50_s()),
        seconds("put, p99", puts.p99_ns),
        seconds("put, p99.9", puts.p999_ns),
        seconds("put, longest", puts.max_ns).beside("raw worst", raw.worst_s()),
    ];
    rows.extend(raw.rows(part));
    rows
}
