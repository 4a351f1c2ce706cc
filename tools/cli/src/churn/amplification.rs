//! Rows that tell what was written for each byte of records.

use super::churned::Churned;
use super::law;
use crate::measure::row::{Row, Unit};

/// Rows of a churn.
pub(super) fn rows(part: &str, churned: &Churned) -> Vec<Row> {
    let ratio = |name: &str, ratio: f64| Row::new(part, name, ratio, Unit::Ratio);
    let total = churned.total();
    let per_byte = |bytes| total.per_record_byte(bytes).unwrap_or(0.0);
    let all = per_byte(total.all());
    let mut rows = vec![
        ratio("checkpoints per byte", per_byte(total.checkpoint)).beside("all writes", all),
        ratio("preparation per byte", per_byte(total.prepared)).beside("all writes", all),
    ];
    if churned.disk_bytes > 0 {
        let disk = per_byte(churned.disk_bytes);
        let disk = ratio("sectors that the disk counts per byte", disk);
        rows.push(disk.beside("all writes", all));
    }
    rows
}

/// Rows that put a churn beside the law at `utilization`, which it was filled to.
pub(super) fn rows_of_law(part: &str, churned: &Churned, utilization: f64) -> Vec<Row> {
    let (all, half) = (churned.total(), churned.last_half());
    let name = format!("law at {utilization:.2}");
    let beside_law = |row: Row| row.beside(&name, law::greedy(utilization));
    let mut rows = vec![
        beside_law(amplification(part, "write amplification", all.amplification())),
        beside_law(amplification(part, "  last half", half.written.amplification())),
    ];
    if let Some(met) = half.utilization {
        let row = Row::new(part, "utilization, last half", met, Unit::Ratio);
        rows.push(row.beside("asked for", utilization));
    }
    rows
}

/// The last half beside the law at the utilization that the store reports.
pub(super) fn row_as_met(part: &str, churned: &Churned) -> Row {
    let half = churned.last_half();
    let row = amplification(part, "write amplification, last half", half.written.amplification());
    match half.utilization {
        // The law knows no others.
        Some(met) if met > 0.0 && met < 1.0 => {
            row.beside(format!("law at {met:.3}, as met"), law::greedy(met))
        }
        _ => row,
    }
}

fn amplification(part: &str, name: &str, figure: Option<f64>) -> Row {
    Row::new(part, name, figure.unwrap_or(0.0), Unit::Ratio)
}
