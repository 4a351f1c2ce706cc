//! The figures of a row, each with its name.

use super::row::Row;
use crate::cell::{Cell, Work};
use crate::show;

/// A figure of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) value: fn(&Row) -> Option<f64>,
    pub(super) show: fn(f64) -> String,
}

pub(super) const RATE: Figure =
    Figure { name: "per second", value: |row| Some(row.outcome?.rate), show: show::count };
pub(super) const P50: Figure =
    Figure { name: "p50", value: |row| Some(row.outcome?.p50), show: show::seconds };
pub(super) const P99: Figure =
    Figure { name: "p99", value: |row| Some(row.outcome?.p99), show: show::seconds };
pub(super) const P999: Figure =
    Figure { name: "p99.9", value: |row| Some(row.outcome?.p999), show: show::seconds };
pub(super) const MAX: Figure =
    Figure { name: "longest", value: |row| Some(row.outcome?.max), show: show::seconds };
pub(super) const CPU: Figure =
    Figure { name: "CPU each", value: |row| Some(row.outcome?.cpu_us / 1e6), show: show::seconds };
pub(super) const RESIDENT: Figure =
    Figure { name: "peak RSS", value: |row| Some(row.outcome?.resident), show: show::bytes };
pub(super) const ANONYMOUS: Figure =
    Figure { name: "unmapped", value: |row| Some(row.outcome?.anonymous), show: show::bytes };
pub(super) const TO_RAW: Figure =
    Figure { name: "x raw", value: |row| Some(row.to_raw?.rate), show: show::ratio };
pub(super) const TO_EXTENTDB: Figure =
    Figure { name: "x extentdb", value: |row| Some(row.to_extentdb?.rate), show: show::ratio };
pub(super) const P50_TO_RAW: Figure =
    Figure { name: "p50 x raw", value: |row| Some(row.to_raw?.p50), show: show::ratio };
pub(super) const P50_TO_EXTENTDB: Figure =
    Figure { name: "p50 x extentdb", value: |row| Some(row.to_extentdb?.p50), show: show::ratio };
pub(super) const OVERWRITTEN: Figure = Figure {
    name: "overwritten",
    value: |row| Some(row.outcome?.put_bytes / row.cell.dataset_bytes() as f64),
    show: show::ratio,
};
pub(super) const WRITTEN: Figure = Figure {
    name: "WA process",
    value: |row| Some(row.outcome?.write_amplification()?.0),
    show: show::ratio,
};
pub(super) const DEVICE_WRITTEN: Figure = Figure {
    name: "WA device",
    value: |row| Some(row.outcome?.write_amplification()?.1),
    show: show::ratio,
};
pub(super) const STORED: Figure =
    Figure { name: "SA end", value: |row| row.space(|outcome| outcome.stored), show: show::ratio };
pub(super) const MOST_STORED: Figure = Figure {
    name: "SA most",
    value: |row| row.space(|outcome| outcome.most_stored),
    show: show::ratio,
};

/// The columns of `cell`.
pub(super) fn of(cell: &Cell) -> Vec<Figure> {
    let mut figures = vec![RATE, TO_RAW, TO_EXTENTDB, P50, P50_TO_RAW, P99, P999, MAX, CPU];
    match cell.work {
        Work::Load => figures.extend([WRITTEN, DEVICE_WRITTEN, STORED]),
        Work::Churn => {
            figures.extend([OVERWRITTEN, WRITTEN, DEVICE_WRITTEN, STORED, MOST_STORED]);
        }
        Work::Put => figures.extend([WRITTEN, DEVICE_WRITTEN]),
        Work::Open => figures = vec![P50, P50_TO_EXTENTDB, CPU],
        _ => {}
    }
    figures.extend([RESIDENT, ANONYMOUS]);
    figures
}
