//! T5: the catalogue of seeded bugs, and the test that kills each.
//!
//! A bug is put into a process of its own, which runs one test with one workload. The test has to
//! fail with the bug, and to pass without. [`Bug`] says what each bug is.

use super::canonical;
use super::tell;
use crate::seeded::{self, Bug};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A test of this crate, and how much of it is enough: one of its workloads, or so many schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Killer {
    test: &'static str,
    workload: Option<&'static str>,
    schedules: Option<u64>,
}

/// A bug, the rule that it breaks, and what kills it.
type Seeded = (Bug, &'static str, Killer);

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

/// A process that takes longer is stuck; but for one that runs schedules, of which each knows by itself.
const PATIENCE: Duration = Duration::from_secs(90);
const PATIENCE_WITH_SCHEDULES: Duration = Duration::from_secs(240);

/// Tests of several bugs.
const MISREAD_FOOTER: &str = "sim::proof::a_footer_misread_once_where_power_was_cut_hides_nothing";
const NO_LOG: &str = "engine::relocation::tests::\
     where_there_is_no_log_copies_are_dropped_and_the_next_ones_are_not_theirs";

/// What `scripts/schedules` kills.
fn of_schedules() -> Vec<Seeded> {
    use Bug::*;
    let pct = |schedules| Killer {
        test: "sim::schedules::pct",
        workload: None,
        schedules: Some(schedules),
    };
    // Most die in the first hundred.
    const N: u64 = 4000;
    let shared = |schedules| Killer { test: "sim::schedules::shared_keys_pct", ..pct(schedules) };
    let both = |schedules| Killer { test: "sim::schedules::shared_keys_random", ..pct(schedules) };
    vec![
        (EvidenceOvertaken, "W6", pct(N)),
        (SliceNotAtRest, "C2", shared(N)),
        (RelocateUnconditional, "G2", shared(N)),
        (RelocateCreates, "G2", shared(N)),
        (RelocateReplayedUnconditionally, "G2", shared(N)),
        (ReadersIgnored, "G3", shared(N)),
        (ConditionDecidedEarly, "L1", both(N)),
        (SwapIgnoresLocation, "L1", both(N)),
        (VisibleBeforeDurable, "L2", shared(N)),
        // It takes a change of threads at the one moment at which there is something to wait for.
        (FlusherSpins, "L3", pct(6000)),
        (AppliedOutOfOrder, "L1", pct(N)),
        (CommitterNotSummoned, "L3", pct(N)),
        (TaskNotWoken, "L3", pct(N)),
    ]
}

/// What an ordinary run of the tests kills.
fn of_tests() -> Vec<Seeded> {
    use Bug::*;
    let crash = |workload| Killer {
        test: "sim::tests::every_crash_of_the_canonical_workloads_recovers_a_prefix",
        workload: Some(workload),
        schedules: None,
    };
    let failing = |workload| Killer {
        test: "sim::tests::whatever_operation_fails_nothing_acknowledged_is_lost",
        workload: Some(workload),
        schedules: None,
    };
    let killed = |workload| Killer {
        test: "sim::tests::what_an_open_after_a_process_crash_shows_survives_a_power_cut",
        workload: Some(workload),
        schedules: None,
    };
    let damaged = |workload| Killer {
        test: "sim::damage::damage_to_any_page_is_never_silent",
        workload: Some(workload),
        schedules: None,
    };
    let both = |workload| Killer {
        test: "sim::damage::damage_after_a_power_cut_takes_nothing_else",
        workload: Some(workload),
        schedules: None,
    };
    let named = |workload| Killer {
        test: "sim::tests::an_extent_is_named_by_a_durable_page_before_the_log_goes_there",
        workload: Some(workload),
        schedules: None,
    };
    let live = |workload| Killer {
        test: "sim::tests::a_live_store_shows_what_was_done_to_it",
        workload: Some(workload),
        schedules: None,
    };
    let threads = Killer {
        test: "sim::threads::power_cuts_between_threads_keep_every_acknowledged_write",
        workload: None,
        schedules: None,
    };
    let unit = |test| Killer { test, workload: None, schedules: None };
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
        (
            BarriersOverlap,
            "E1p",
            unit("sim::volume::a_lost_write_fails_every_barrier_that_it_may_have_been_of"),
        ),
        (
            PanicUnnoticed,
            "L3",
            unit("engine::fatal_test::a_panic_with_a_batch_in_hand_answers_all_who_are_in_it"),
        ),
        (
            SystemErrorIsClosed,
            "E1p",
            unit("sim::volume::what_the_system_calls_not_connected_is_a_failure"),
        ),
        (
            CloseWaitsForItself,
            "L3",
            unit("engine::fatal_test::a_store_can_be_closed_where_its_checkpoint_failed"),
        ),
        (WindowUnbounded, "P6", crash("the sync window")),
        (SyncDoesNothing, "W2", crash("written")),
        (PageWrittenAgain, "W3", crash("many pages a batch")),
        (EvidenceOverBatch, "W6", crash("evidence")),
        (RotationDoesNotWait, "W4", named("rotation in a weaker mode")),
        (PreparationSkipped, "S1", crash("rotation")),
        (LengthBeforeBarrier, "S2", unit("sim::volume::a_length_is_shown_when_it_is_durable")),
        (GrowthRepeated, "S1", unit("sim::volume::a_volume_grows_once_for_all_who_find_no_room")),
        (NothingReserved, "S1", crash("opened where there is no room")),
        (FooterBeforeDurable, "W1", crash("footers wait for their batches")),
        (FooterWithGap, "W1", damaged("an open from within an extent")),
        (FooterNotFollowed, "W1", unit(MISREAD_FOOTER)),
        (TornSuccessorForgotten, "W1", unit(MISREAD_FOOTER)),
        (OpenWithoutBarrier, "R1", killed("written")),
        (EpochWithoutBarrier, "R2", crash("creation")),
        (EpochReissued, "R2", crash("deletes")),
        (DroppedErased, "R2", crash("creation")),
        (KeysFromValues, "P4", crash("deletes where there is no room")),
        (ProofNotSought, "W1", damaged("lone puts")),
        (ProofInOneExtent, "W1", damaged("rotation")),
        (
            LaterEpochNoProof,
            "W1",
            unit("sim::proof::an_epoch_that_went_on_is_not_dropped_for_its_first_page"),
        ),
        (
            ProofNotCarriedBack,
            "W1",
            unit("sim::proof::a_value_that_only_a_page_behind_the_break_proves_is_not_dropped"),
        ),
        (BatchesCounted, "W1", damaged("lone puts")),
        (UnreadableIsTorn, "W1", damaged("lone puts")),
        (
            VoidIsDropped,
            "W1",
            unit("sim::tests::nothing_is_dropped_where_nothing_was_being_written"),
        ),
        (BatchPagesUnchecked, "W4", crash("long batches in extents that are used again")),
        (PartOfBatchTaken, "P2", crash("batches of many pages")),
        (LargeNotVerified, "W5", crash("large values")),
        (LongNotBarriered, "W5", crash("large overwrites")),
        (ValueNotAwaited, "W5", crash("large values")),
        (
            UnwrittenValueSeen,
            "W5",
            unit("sim::under_way::nobody_is_shown_a_value_that_is_still_being_written"),
        ),
        (PositionIgnored, "C1", crash("a condition that was overtaken")),
        (DeletesNotReplayed, "P4", crash("deletes")),
        (
            OtherVolumesSuperblock,
            "R1",
            Killer {
                test: "sim::tests::every_crash_on_a_medium_with_a_past_recovers_a_prefix",
                ..crash("creation")
            },
        ),
        (OlderSuperblock, "R1", crash("extents of images are used again")),
        (SuperblockInPlace, "C3", crash("extents of images are used again")),
        (SuperblockWithoutBarrier, "C3", crash("extents of images are used again")),
        (SuperblockBeforeImage, "C3", crash("checkpoints")),
        (RootBeforeDurable, "C2", crash("slices of weaker modes")),
        (OpenBatchNotCounted, "C2", crash("slices of weaker modes")),
        (PositionTooLate, "C1", crash("slices between commits")),
        (AnchorTooLate, "C1", crash("slices between commits")),
        (MarkerRewritten, "R2", crash("creation")),
        (OldMarkerBelieved, "R1", damaged("opened where there is no room")),
        (SuccessorAdoptedFirst, "G5", crash("pages of large values are used again")),
        (GivenUpAdopted, "R1", damaged("opened where there is no room")),
        (GivenUpNamed, "C4", unit("sim::proof::a_checkpoint_that_was_given_up_is_named_no_more")),
        (ProvedLogGivenUp, "W1", both("rotation in a weaker mode")),
        (OldImageFreedEarly, "C4", damaged("an image under way")),
        (NewestImageFreedEarly, "C4", crash("three checkpoints and rotation")),
        (OlderLogNotKept, "W3", damaged("a full volume is collected")),
        (KeptLogIgnored, "W3", crash("the log of the older checkpoint is kept")),
        (OlderImageForgotten, "C4", damaged("the older image is kept")),
        (CopiesWithoutBarrier, "G1", crash("live records move")),
        (
            RewriteUnconditional,
            "G2",
            unit("engine::relocation::tests::a_record_that_waits_loses_to_what_comes_before_it"),
        ),
        (MovesOutOfTime, "G2", unit("engine::moved::tests::only_moves_of_its_time_count")),
        (LargeCopiesWithoutBarrier, "G1", crash("large extents are emptied")),
        (LargeMoveUnconditional, "G2", live("a delete overtakes what moves it")),
        (LargeCopyLost, "G5", live("a delete overtakes what moves it")),
        (
            WithheldUsed,
            "G3",
            unit("engine::evacuation::tests::what_is_live_leaves_extents_in_which_little_is"),
        ),
        (FreedBeforeProof, "G3", both("large values in the same place")),
        (FreedAtOnce, "G3", crash("space of deletes that are not durable")),
        (
            SwapHoldsNothing,
            "G3",
            unit("sim::under_way::what_a_swap_expects_keeps_its_place_until_it_is_decided"),
        ),
        (HeldIgnored, "G3", crash("a snapshot keeps what it shows")),
        (HeldLargeIgnored, "G3", crash("a snapshot keeps what it shows")),
        (ReaderHoldsNothing, "G3", unit("sim::reads::a_reader_keeps_what_it_is_of")),
        (LargeUnannounced, "G4", crash("large values")),
        (ValuesUnannounced, "G4", crash("live records move")),
        (AnnouncedOnce, "G4", unit(NO_LOG)),
        (DroppedCopiesListed, "G1", unit(NO_LOG)),
        (IncarnationReissued, "G4", damaged("the same record in the same place")),
        (
            PartOfExtentListed,
            "G5",
            unit("engine::sparse::tests::what_a_footer_does_not_list_moves_as_well"),
        ),
        (NamedGivenBack, "S2", crash("the end of the file is given back")),
        (
            TakenUnnoticed,
            "S2",
            unit("extent::shrink::tests::what_was_taken_since_the_older_checkpoint_began_is_named"),
        ),
        (CutBeforeSuperblocks, "S2", crash("the end of the file is given back")),
        (OneSuperblockShorter, "S2", damaged("the end of the file goes by itself")),
        (DiscardedBeforeFree, "G3", crash("discards wait for what is durable")),
        (HolesUsed, "S1", crash("free extents are discarded")),
        (HolesForgotten, "S1", crash("free extents are discarded")),
        (PreparedDiscarded, "S1", crash("free extents are discarded")),
        (StoredFreeMap, "G5", crash("extents that die are used again")),
        (DamageCopied, "P3", damaged("checkpoints")),
        (AbsenceNotRequired, "L1", live("a condition that was overtaken")),
        (
            LastEventsNotTold,
            "L3",
            unit("events::teller::tests::all_is_told_in_order_before_a_close_returns"),
        ),
        (BufferedAppliedLate, "L1", live("buffered")),
        (UnwrittenNotFound, "L1", live("buffered")),
        (LogChecksumIgnored, "P3", crash("many pages a batch")),
        (PackedChecksumIgnored, "P3", damaged("live records move")),
        (LargeChecksumIgnored, "P3", damaged("large values")),
        (EarlierLifeRead, "P3", damaged("the same record in the same place")),
        (
            EarlierLifeCached,
            "G4",
            unit("sim::reads::a_cached_value_is_not_served_where_another_has_taken_its_place"),
        ),
        (
            OtherKeyRead,
            "P3",
            unit("engine::read::tests::a_packed_record_is_read_as_it_is_or_corrupt"),
        ),
        (ErrorIsAbsence, "P3", damaged("lone puts")),
        (ScanPassesOver, "P3", damaged("lone puts")),
        (ViewsMove, "P2", live("a snapshot keeps what it shows")),
        (
            SecondHandle,
            "F8",
            unit("device::lock::tests::the_registry_keeps_handles_apart_where_flock_does_not"),
        ),
        (ForkUnnoticed, "F9", unit("device::fork::tests::a_child_is_noticed_by_the_wiped_page")),
    ]
}

/// Every bug and its rule.
pub(super) fn rules() -> Vec<(Bug, &'static str)> {
    let all = of_tests().into_iter().chain(of_schedules());
    all.map(|(bug, rule, _)| (bug, rule)).collect()
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
        if let Some(schedules) = self.schedules {
            command.env("EXTENTDB_SCHEDULES", schedules.to_string());
        }
        if let Some(bug) = bug {
            command.env(seeded::VARIABLE, format!("{bug:?}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let patience = self.schedules.map_or(PATIENCE, |_| PATIENCE_WITH_SCHEDULES);
        let verdict = judge(command.spawn().unwrap(), begun, patience);
        Outcome { verdict, time: begun.elapsed() }
    }
}

fn judge(mut child: Child, begun: Instant, patience: Duration) -> Verdict {
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
                None if begun.elapsed() > patience => {
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

/// Runs all bugs with what kills them, and what kills them without, and prints the table. Returns
/// what is wrong.
fn run(mut catalogue: Vec<Seeded>) -> Vec<String> {
    if let Ok(only) = std::env::var(ONLY) {
        catalogue.retain(|(bug, ..)| format!("{bug:?}") == only);
    }
    let killers: BTreeSet<Killer> = catalogue.iter().map(|&(_, _, killer)| killer).collect();
    let jobs = catalogue.iter().map(|&(bug, rule, killer)| (Some((bug, rule)), killer));
    let jobs = jobs.chain(killers.into_iter().map(|killer| (None, killer))).collect();
    let outcomes = on_all_cores(jobs, |(seeded, killer): (Option<(Bug, &str)>, Killer)| {
        (seeded, killer, killer.run(seeded.map(|(bug, _)| bug)))
    });
    let mut wrong = Vec::new();
    for (seeded, killer, outcome) in outcomes {
        let by = killer.to_string();
        let time = outcome.time.as_secs_f64();
        match (seeded, outcome.verdict) {
            (Some((bug, rule)), Verdict::Failed(what)) => {
                tell(&format!("{bug:?} | {rule} | {by} | {time:.1} s | {what}"));
            }
            (Some((bug, _)), Verdict::Passed) => wrong.push(format!("{bug:?} survives {by}")),
            (None, Verdict::Failed(what)) => wrong.push(format!("{by} fails: {what}")),
            (None, Verdict::Passed) => tell(&format!("none | | {by} | {time:.1} s | passes")),
        }
    }
    wrong
}

/// Names the one bug to put in.
const ONLY: &str = "EXTENTDB_ONLY";

impl fmt::Display for Killer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.test.rsplit("::").next().unwrap_or(self.test);
        match (self.workload, self.schedules) {
            (Some(workload), _) => write!(f, "{name}: {workload}"),
            (None, Some(schedules)) => write!(f, "{name}: {schedules} schedules"),
            (None, None) => write!(f, "{name}"),
        }
    }
}

#[cfg(not(extentdb_schedules))]
#[test]
fn every_seeded_bug_is_killed() {
    let wrong = run(of_tests());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[cfg(extentdb_schedules)]
pub(super) fn kill_all_in_schedules() {
    let wrong = run(of_schedules());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_bug_that_can_be_seeded_is_in_the_catalogue_once() {
    for bug in Bug::ALL.iter().filter(|bug| !matches!(bug, Bug::Canary | Bug::Harmless)) {
        let of_both = of_tests().into_iter().chain(of_schedules());
        let count = of_both.filter(|(listed, ..)| listed == bug).count();
        assert_eq!(count, 1, "{bug:?}");
    }
}

/// The canary must die, or no death means anything; what changes nothing must live, or none does.
#[cfg(not(extentdb_schedules))]
#[test]
fn the_canary_dies_and_the_harmless_live() {
    let killer = of_tests().into_iter().find(|(bug, ..)| *bug == Bug::AckWithoutBarrier);
    let (.., killer) = killer.unwrap();
    assert!(matches!(killer.run(Some(Bug::Canary)).verdict, Verdict::Failed(_)));
    assert_eq!(killer.run(Some(Bug::Harmless)).verdict, Verdict::Passed);
    assert_eq!(killer.run(None).verdict, Verdict::Passed);
}
