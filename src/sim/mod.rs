//! The engine on a simulated device: every crash that a trace allows, and what the store must
//! show after it. `docs/testing.md` says what each test proves.

mod arbitrary;
mod branches;
mod canonical;
mod catalogue;
mod damage;
mod device;
#[cfg(not(extentdb_schedules))]
mod footer_in_hand;
mod found;
mod fuzz;
#[cfg(not(extentdb_schedules))]
mod gate;
mod generations;
#[cfg(not(extentdb_schedules))]
mod heard;
mod history;
mod image;
mod invariants;
mod linear;
#[cfg(not(extentdb_schedules))]
mod odd;
mod oracle;
mod proof;
mod random;
mod reads;
#[cfg(extentdb_schedules)]
mod schedules;
mod setting_aside;
mod tests;
mod threads;
mod trace;
#[cfg(not(extentdb_schedules))]
mod under_way;
#[cfg(not(extentdb_schedules))]
mod volume;
mod workload;

#[cfg(not(extentdb_schedules))]
pub(crate) use device::{Fault, Injection, SimDevice};
#[cfg(not(extentdb_schedules))]
pub(crate) use trace::Pages;

/// Says what a test did, past the harness, which keeps to itself what tests print.
fn tell(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
