//! The engine's cells that threads share without a lock, in every order of their steps that the memory
//! model allows, up to a few changes of thread that are not asked for. `docs/testing.md` says what that
//! shows. The cells are the engine's files as they are; what they take from the rest of it is here.

#[expect(dead_code, reason = "no batch comes after the one")]
#[path = "../../src/wal/completion.rs"]
mod completion;
mod futex;
#[path = "../../src/sync/gate.rs"]
mod gate;
#[path = "../../src/extent/image_size.rs"]
mod image_size;
mod models;
#[path = "../../src/extent/readers.rs"]
mod readers;
mod sync;

#[path = "../../src/wal/wakers.rs"]
mod wakers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use sync::{Ordering, Strength};

/// What is shown of a cell.
struct Model {
    name: &'static str,
    run: fn(),
    /// It holds where what should be sequentially consistent is this strong, and does not where it is
    /// weaker: a model that would hold anyhow shows nothing.
    holds: Strength,
    fails: Option<Strength>,
}

const MODELS: [Model; 6] = [
    Model {
        name: "nothing is freed under a reader",
        run: models::nothing_is_freed_under_a_reader,
        holds: Strength::Acquire,
        fails: Some(Strength::Relaxed),
    },
    Model {
        name: "nor under one who takes no lock",
        run: models::nothing_is_freed_under_a_reader_who_takes_no_lock,
        holds: Strength::Total,
        fails: Some(Strength::Acquire),
    },
    Model {
        name: "later readers are not waited for",
        run: models::later_readers_are_not_waited_for,
        holds: Strength::Total,
        fails: None,
    },
    Model {
        name: "an image is never less than what was measured",
        run: models::an_image_is_never_less_than_what_was_measured,
        holds: Strength::Acquire,
        fails: Some(Strength::Relaxed),
    },
    Model {
        name: "whoever waits for a batch sees what was done before",
        run: models::whoever_waits_sees_what_was_done_before,
        holds: Strength::Acquire,
        fails: Some(Strength::Relaxed),
    },
    Model {
        name: "a task is woken when its batch is done or fails",
        run: models::a_task_is_woken,
        holds: Strength::Relaxed,
        fails: None,
    },
];

fn main() -> ExitCode {
    // Failures are counted below; those that are wanted say nothing.
    std::panic::set_hook(Box::new(|_| ()));
    let mut wrong = 0;
    for Model { name, run, holds, fails } in MODELS {
        let cases = [Some((holds, true)), fails.map(|strength| (strength, false))];
        for (strength, wanted) in cases.into_iter().flatten() {
            let before = sync::executions();
            sync::set_strength(strength);
            let outcome = catch_unwind(AssertUnwindSafe(|| check(run)));
            let executions = sync::executions() - before;
            let what = outcome.err().map(|panic| said(&*panic));
            let verdict = if what.is_none() { "holds" } else { "fails" };
            println!("{name}, {strength:?}: {verdict} in {executions} executions");
            if what.is_none() != wanted {
                println!("  WRONG: {}", what.unwrap_or_default());
                wrong += 1;
            }
        }
    }
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a model in all its executions.
fn check(run: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_branches = 100_000;
    builder.check(move || {
        sync::count_execution();
        run();
    });
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

mod error {
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct Error;
}

mod seeded {
    pub(crate) enum Bug {
        TaskNotWoken,
    }

    pub(crate) fn seeded(_: Bug) -> bool {
        false
    }
}

/// Numbers of the format, which the length of an image follows from.
mod format {
    pub(crate) mod ids {
        pub(crate) const PAGE_BYTES: usize = 4096;

        pub(crate) fn pages_for(bytes: u64) -> u64 {
            bytes.div_ceil(PAGE_BYTES as u64)
        }
    }

    pub(crate) mod image {
        pub(crate) const HEADER_BYTES: usize = 64;

        pub(crate) struct RunLine;

        impl RunLine {
            pub(crate) const BYTES: usize = 24;
        }
    }

    pub(crate) mod extent_state {
        pub(crate) struct ExtentState;

        impl ExtentState {
            pub(crate) const BYTES: usize = 16;
        }
    }
}
