//! Overload: writers that do not wait for one another, in the fullest of the uniform runs. None of
//! their puts may wait for much longer than the others do.

use super::run::Ran;
use crate::measure::row::{Row, Unit};

const PART: &str = "overload";
/// How much longer than the median a put may take, and than the worst of the raw device.
const OF_MEDIAN: f64 = 20.0;
const OF_RAW_WORST: f64 = 2.0;

/// Rows of the fullest run.
pub(super) fn rows(ran: &Ran) -> [Row; 2] {
    let seconds = |name: &str, s: f64| Row::new(PART, name, s, Unit::Seconds);
    let (longest, median) = (ran.puts.max_ns as f64 / 1e9, ran.puts.p50_ns as f64 / 1e9);
    let (of_median, of_raw) = (OF_MEDIAN * median, OF_RAW_WORST * ran.raw.worst_s());
    let name = match of_median > of_raw {
        true => format!("{OF_MEDIAN} x the median put"),
        false => format!("{OF_RAW_WORST} x the raw worst"),
    };
    let limit = seconds(&format!("longest put, {}", ran.part), longest);
    [
        limit.beside(name, of_median.max(of_raw)).at_most(1.0),
        seconds("median put", median).beside("raw worst", ran.raw.worst_s()),
    ]
}
