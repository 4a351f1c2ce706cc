//! T5: the catalogue of seeded bugs, and the test that kills each.
//!
//! A bug is put into a process of its own, which runs one test with one workload. The test has to
//! fail with the bug, and to pass without. [`Bug`] says what each bug is.

use super::canonical;
use crate::seeded::{self, Bug};
use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A test of this crate, and the one of its workloads that is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Killer {
    test: &'static str,
    workload: Option<&'static str>,
}

/// How a process ended.
#[derive(Debug)]
struct Outcome {
    verdict: Verdict,
    time: Duration,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    /// What it said.
    Failed(String),
}

/// A process that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// The rule that each bug breaks, and what kills it.
fn catalogue() -> Vec<(Bug, &'static str, Killer)> {
    use Bug::*;
    let crash = |workload| Killer {
        test: "sim::tests::every_crash_of_the_canonical_workloads_recovers_a_prefix",
        workload: Some(workload),
    };
    let failing = |workload| Killer {
        test: "sim::tests::whatever_operation_fails_nothing_acknowledged_is_lost",
        workload: Some(workload),
    };
    let killed = |workload| Killer {
        test: "sim::tests::what_an_open_after_a_process_crash_shows_survives_a_power_cut",
        workload: Some(workload),
    };
    let damaged = |workload| Killer {
        test: "sim::damage::damage_to_any_page_is_never_silent",
        workload: Some(workload),
    };
    let both = |workload| Killer {
        test: "sim::damage::damage_after_a_power_cut_takes_nothing_else",
        workload: Some(workload),
    };
    let live = |workload| Killer {
        test: "sim::tests::a_live_store_shows_what_was_done_to_it",
        workload: Some(workload),
    };
    let threads = Killer {
        test: "sim::threads::power_cuts_between_threads_keep_every_acknowledged_write",
        workload: None,
    };
    let unit = |test| Killer { test, workload: None };
    vec![
        (DurableAtReturn, "W2", threads),
        (WrittenOutOfOrder, "W2", threads),
        (AckWithoutBarrier, "W2", crash("lone puts")),
        (AckBeforeBarrier, "W2", failing("lone puts")),
        (AckAtWritten, "W2", threads),
        (WrittenAckedInMemory, "P6", killed("written")),
        (WriteErrorSwallowed, "E1p", failing("lone puts")),
        (BarrierErrorSwallowed, "E1p", failing("lone puts")),
        (BarrierRetried, "E1p", failing("lone puts")),
        (FailureNotRemembered, "E1p", failing("lone puts")),
        (WindowUnbounded, "P6", crash("the sync window")),
        (SyncDoesNothing, "W2", crash("written")),
        (PageWrittenAgain, "W3", crash("many pages a batch")),
        (EvidenceOverBatch, "W6", crash("evidence")),
        (FooterBeforeDurable, "W1", crash("footers wait for their batches")),
        (FooterWithGap, "W1", damaged("an open from within an extent")),
        (OpenWithoutBarrier, "R1", killed("written")),
        (EpochWithoutBarrier, "R2", crash("creation")),
        (EpochReissued, "R2", crash("deletes")),
        (ProofNotSought, "W1", damaged("lone puts")),
        (ProofInOneExtent, "W1", damaged("rotation")),
        (BatchesCounted, "W1", damaged("lone puts")),
        (UnreadableIsTorn, "W1", damaged("lone puts")),
        (BatchPagesUnchecked, "W4", crash("long batches in extents that are used again")),
        (PartOfBatchTaken, "P2", crash("batches of many pages")),
        (LargeNotVerified, "W5", crash("large values")),
        (PositionIgnored, "C1", crash("a condition that was overtaken")),
        (DeletesNotReplayed, "P4", crash("deletes")),
        (OlderSuperblock, "R1", crash("extents of images are used again")),
        (SuperblockInPlace, "C3", crash("extents of images are used again")),
        (SuperblockWithoutBarrier, "C3", crash("extents of images are used again")),
        (SuperblockBeforeImage, "C3", crash("checkpoints")),
        (RootBeforeDurable, "C2", crash("slices of weaker modes")),
        (PositionTooLate, "C1", crash("slices between commits")),
        (AnchorTooLate, "C1", crash("slices between commits")),
        (OldImageFreedEarly, "C4", damaged("an image under way")),
        (NewestImageFreedEarly, "C4", crash("three checkpoints and rotation")),
        (OlderLogNotKept, "W3", damaged("the log of the older checkpoint is kept")),
        (KeptLogIgnored, "W3", crash("the log of the older checkpoint is kept")),
        (OlderImageForgotten, "C4", damaged("the older image is kept")),
        (CopiesWithoutBarrier, "G1", crash("live records move")),
        (FreedBeforeProof, "G3", both("large values in the same place")),
        (FreedAtOnce, "G3", crash("space of deletes that are not durable")),
        (HeldIgnored, "G3", crash("a snapshot keeps what it shows")),
        (HeldLargeIgnored, "G3", crash("a snapshot keeps what it shows")),
        (LargeUnannounced, "G4", crash("large values")),
        (ValuesUnannounced, "G4", crash("live records move")),
        (IncarnationReissued, "G4", damaged("the same record in the same place")),
        (StoredFreeMap, "G5", crash("extents that die are used again")),
        (DamageCopied, "P3", damaged("live records move")),
        (AbsenceNotRequired, "L1", live("a condition that was overtaken")),
        (BufferedAppliedLate, "L1", live("buffered")),
        (UnwrittenNotFound, "L1", live("buffered")),
        (LogChecksumIgnored, "P3", crash("lone puts")),
        (PackedChecksumIgnored, "P3", damaged("live records move")),
        (LargeChecksumIgnored, "P3", damaged("large values")),
        (EarlierLifeRead, "P3", damaged("the same record in the same place")),
        (
            OtherKeyRead,
            "P3",
            unit("engine::read::tests::a_packed_record_is_read_as_it_is_or_corrupt"),
        ),
        (ErrorIsAbsence, "P3", damaged("lone puts")),
        (ViewsMove, "P2", live("a snapshot keeps what it shows")),
        (
            SecondHandle,
            "F8",
            unit("device::lock::tests::the_registry_keeps_handles_apart_where_flock_does_not"),
        ),
        (ForkUnnoticed, "F9", unit("device::fork::tests::a_child_is_noticed_by_the_wiped_page")),
    ]
}

impl Killer {
    /// Runs the test in a process that has `bug`.
    fn run(self, bug: Option<Bug>) -> Outcome {
        let begun = Instant::now();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([self.test, "--exact", "--nocapture", "--test-threads=1"]);
        command.env_remove(canonical::VARIABLE).env_remove(seeded::VARIABLE);
        if let Some(workload) = self.workload {
            command.env(canonical::VARIABLE, workload);
        }
        if let Some(bug) = bug {
            command.env(seeded::VARIABLE, format!("{bug:?}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let verdict = judge(command.spawn().unwrap(), begun);
        Outcome { verdict, time: begun.elapsed() }
    }
}

fn judge(mut child: Child, begun: Instant) -> Verdict {
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |from: &mut dyn Read| {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (said, complained, status) = std::thread::scope(|scope| {
        let said = scope.spawn(move || read(&mut out));
        let complained = scope.spawn(move || read(&mut err));
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if begun.elapsed() > PATIENCE => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        (said.join().unwrap(), complained.join().unwrap(), status)
    });
    let Some(status) = status else { return Verdict::Failed("it hangs".into()) };
    if status.success() {
        assert!(said.contains("1 passed"), "the test is there: {said}");
        return Verdict::Passed;
    }
    let mut lines = complained.lines().skip_while(|line| !line.contains(" panicked at "));
    let what = lines.nth(1).map_or_else(|| status.to_string(), str::to_owned);
    Verdict::Failed(what.chars().take(90).collect())
}

/// Does `work` on all items, on as many threads as there are cores.
fn on_all_cores<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let items = Mutex::new(items.into_iter().collect::<VecDeque<_>>());
    let done = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let Some(item) = items.lock().unwrap().pop_front() else { break };
                    let result = work(item);
                    done.lock().unwrap().push(result);
                }
            });
        }
    });
    done.into_inner().unwrap()
}

#[test]
fn every_seeded_bug_is_killed() {
    let only = std::env::var("EXTENTDB_ONLY").ok();
    let mut catalogue = catalogue();
    catalogue.retain(|(bug, ..)| only.as_ref().is_none_or(|only| *only == format!("{bug:?}")));
    let sound: BTreeMap<Killer, ()> =
        catalogue.iter().map(|&(_, _, killer)| (killer, ())).collect();
    let jobs = catalogue.iter().map(|&(bug, rule, killer)| (Some((bug, rule)), killer));
    let jobs = jobs.chain(sound.into_keys().map(|killer| (None, killer)));
    let mut failed = Vec::new();
    for (seeded, killer, outcome) in
        on_all_cores(jobs.collect(), |(seeded, killer): (Option<(Bug, &str)>, Killer)| {
            (seeded, killer, killer.run(seeded.map(|(bug, _)| bug)))
        })
    {
        let test = killer.test.rsplit("::").next().unwrap();
        let by = format!("{test} {}", killer.workload.unwrap_or(""));
        let (bug, rule) =
            seeded.map_or(("none".into(), ""), |(bug, rule)| (format!("{bug:?}"), rule));
        let time = outcome.time.as_secs_f64();
        match outcome.verdict {
            Verdict::Failed(what) => {
                println!("{bug} | {rule} | {by} | {time:.1} s | {what}");
                if seeded.is_none() {
                    failed.push(format!("{by} fails without a bug"));
                }
            }
            Verdict::Passed if seeded.is_some() => {
                println!("{bug} | {rule} | {by} | {time:.1} s | SURVIVES");
                failed.push(format!("{bug} survives {by}"));
            }
            Verdict::Passed => println!("none | | {by} | {time:.1} s | passes"),
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
