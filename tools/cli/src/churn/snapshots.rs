//! Snapshots that are held while keys are overwritten: what they hold on to, and that it comes
//! back.

use super::choice::Choice;
use super::churned::Churned;
use super::drain::{check, collect};
use super::interval::Space;
use super::overwrite::overwrite;
use super::report::RunReport;
use super::run::filled;
use super::session::Session;
use super::store::{Live, Plan, Store};
use crate::measure::row::{Row, Unit};
use crate::size;
use anyhow::{Context, Result};
use extentdb::Snapshot;

const PART: &str = "snapshots";
const SNAPSHOTS: u64 = 7;
/// Live part of what a volume has room for.
const UTILIZATION: f64 = 0.5;
/// How much larger the volume is than that: seven snapshots hold more than is live, and what lies
/// beside it in the same extents is not collected.
pub(super) const ROOM: u64 = 3;

/// One run.
pub(super) fn measure(session: &mut Session<'_>) -> Result<()> {
    session.attempt(PART, run)
}

fn run(session: &mut Session<'_>) -> Result<()> {
    let bytes = session.args.bytes;
    let plan = Plan::of(session.args);
    let plan = Plan { volume_bytes: ROOM * plan.volume_bytes, ..plan };
    let mut store = Store::create(session.args, plan)?;
    store.fill(Live::OfRoom { share: UTILIZATION, bytes })?;
    session.answer(filled(PART, &store))?;
    let mut held = Held::new(&store);
    let done = held.churn(session, bytes / (SNAPSHOTS + 1));
    session.report.runs.push(RunReport::new(PART, None, &store, &held.churned));
    done?;
    let amplification = held.churned.total().amplification().unwrap_or(0.0);
    session.answer([Row::new(PART, "write amplification", amplification, Unit::Ratio)])?;
    drop(held);
    session.answer([given_back(&store)?, check(PART, &store)?])?;
    store.close()
}

/// A store, and the snapshots of it that are held.
struct Held<'a> {
    store: &'a Store,
    snapshots: Vec<Snapshot>,
    churned: Churned,
}

impl<'a> Held<'a> {
    /// None yet.
    fn new(store: &'a Store) -> Self {
        Self { store, snapshots: Vec::new(), churned: Churned::default() }
    }

    /// Overwrites `bytes` of records, then as many for each snapshot that is taken.
    fn churn(&mut self, session: &mut Session<'_>, bytes: u64) -> Result<()> {
        let choice = Choice::Uniform(self.store.keys);
        for held in 0..=SNAPSHOTS {
            let (churned, puts) = overwrite(self.store, &choice, bytes, held + 1);
            self.churned.append(churned);
            puts.with_context(|| format!("while churning with {held} snapshots"))?;
            session.answer(self.rows())?;
            if held < SNAPSHOTS {
                self.snapshots.push(self.store.db.snapshot());
            }
        }
        Ok(())
    }

    /// How the space is used by now.
    fn rows(&self) -> [Row; 3] {
        let space = Space::of(&self.store.db.metrics());
        let row = |name: &str, figure, unit| {
            Row::new(PART, format!("{} held: {name}", self.snapshots.len()), figure, unit)
        };
        let volume = self.store.plan.volume_bytes as f64;
        [
            row("pinned", space.pinned_bytes as f64, Unit::Bytes),
            row("extents held", space.held_bytes as f64, Unit::Bytes).beside("volume", volume),
            row("used for allowed", space.used_for_allowed(), Unit::Ratio).at_most(1.0),
        ]
    }
}

/// What is used once no snapshot is held any more, and garbage is collected.
fn given_back(store: &Store) -> Result<Row> {
    let before = store.db.metrics().used_bytes;
    let used = collect(store).context("while collecting what was held")?;
    let allowed = store.db.metrics().allowed_bytes;
    let name = format!("used after they are dropped, before {}", size::show(before));
    Ok(Row::new(PART, name, used as f64, Unit::Bytes)
        .beside("allowed", allowed as f64)
        .at_most(1.0))
}
