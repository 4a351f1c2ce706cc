//! Where the time of a put goes.

use super::median::median;
use super::row::{Row, Unit};
use extentdb::{Metrics, Stage};

/// A put, and what it waits for, one after the other.
const OF_A_PUT: [Stage; 5] =
    [Stage::Put, Stage::PutQueue, Stage::PutWrite, Stage::PutFlush, Stage::PutApply];

/// For each stage of a put the longest that 99 in 100 took: medians over slices, beside those of `others`,
/// which are called `what`. Slices are what stores did between two moments.
pub(crate) fn rows(part: &str, slices: &[Metrics], what: &str, others: &[Metrics]) -> Vec<Row> {
    let p99 = |slices: &[Metrics], stage| {
        let took = |slice: &Metrics| slice.latency(stage).map_or(0, |latency| latency.p99_ns);
        median(slices.iter().map(|slice| took(slice) as f64 / 1e9))
    };
    let row = |stage| {
        let row = Row::new(part, format!("  {stage}, p99"), p99(slices, stage), Unit::Seconds);
        row.beside(what, p99(others, stage))
    };
    OF_A_PUT.map(row).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use extentdb::Db;

    #[test]
    fn every_stage_of_a_put_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("data.vol")).unwrap();
        let before = db.metrics();
        (0..1000_u32).for_each(|number| db.put(number.to_be_bytes(), "value").unwrap());
        let slice = db.metrics().since(&before);
        let rows = rows("part", &[slice], "nothing", &[before]);
        assert!(rows.len() == 5 && rows.iter().all(|row| row.figure > 0.0), "{rows:?}");
        assert!(rows.iter().all(|row| row.beside.as_ref().unwrap().figure == 0.0), "{rows:?}");
    }
}
