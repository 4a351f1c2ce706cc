//! What was measured of one cell, round by round.

use super::row::{Ratio, Row};
use crate::cell::Cell;
use crate::outcome::{Outcome, median};
use crate::peer::Kind;
use anyhow::Result;

/// The rounds of each store.
#[derive(Debug)]
pub(crate) struct Rounds {
    cell: Cell,
    stores: Vec<Store>,
}

#[derive(Debug)]
struct Store {
    kind: Kind,
    /// By round; `None` where it failed.
    outcomes: Vec<Option<Outcome>>,
    failures: Vec<String>,
}

impl Rounds {
    /// Nothing yet of `kinds`.
    pub(crate) fn new(cell: &Cell, kinds: &[Kind]) -> Self {
        let store = |kind: &Kind| Store { kind: *kind, outcomes: Vec::new(), failures: Vec::new() };
        Self { cell: cell.clone(), stores: kinds.iter().map(store).collect() }
    }

    /// What is measured.
    pub(crate) fn cell(&self) -> &Cell {
        &self.cell
    }

    /// Adds the next round of `kind`.
    pub(crate) fn add(&mut self, kind: Kind, outcome: Result<Outcome>) {
        let Some(store) = self.stores.iter_mut().find(|store| store.kind == kind) else { return };
        if let Err(error) = &outcome {
            store.failures.push(format!("{error:#}"));
        }
        store.outcomes.push(outcome.ok());
    }

    /// A row for each store of which there is anything.
    pub(super) fn rows(&self) -> Vec<Row> {
        let tried = self.stores.iter().filter(|store| !store.outcomes.is_empty());
        tried.map(|store| self.row(store)).collect()
    }

    fn row(&self, store: &Store) -> Row {
        let outcomes: Vec<_> = store.outcomes.iter().flatten().copied().collect();
        let beside = |kind| {
            let other = self.stores.iter().find(|other| other.kind == kind)?;
            store.beside(other)
        };
        Row {
            cell: self.cell.clone(),
            title: self.cell.title(),
            kind: store.kind,
            durability: store.kind.durability(),
            rounds: outcomes.len(),
            failures: store.failures.clone(),
            outcome: Outcome::median(&outcomes),
            to_raw: beside(Kind::Raw),
            to_extentdb: beside(Kind::Extentdb),
        }
    }
}

impl Store {
    /// Ratios of the rounds that both ended.
    fn beside(&self, other: &Self) -> Option<Ratio> {
        let pairs = self.outcomes.iter().zip(&other.outcomes);
        let pairs: Vec<_> = pairs.filter_map(|(own, other)| Some((*own)?).zip(*other)).collect();
        let of = |figure: fn(&Outcome) -> f64| {
            let ratios = pairs.iter().map(|(own, other)| figure(own) / figure(other));
            median(ratios.filter(|ratio| ratio.is_finite()))
        };
        Some(Ratio {
            rate: of(|o| o.rate)?,
            p50: of(|o| o.p50)?,
            p99: of(|o| o.p99)?,
            cpu: of(|o| o.cpu_us).unwrap_or(0.0),
        })
    }
}
