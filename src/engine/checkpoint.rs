//! Checkpoints: the image of the store, written beside the commits, so that an open need not read
//! the log from its beginning.
//!
//! 1. A slice is copied out of the index between two batches, exact at the log position that it
//!    states (C1), and written to extents of the image. Nothing is held up, or pinned, for longer.
//! 2. The root follows. Once every position is durable (C2): a barrier; the superblock; a barrier
//!    (C3).
//! 3. Only then are the extents of the image before the previous one given up (C4). The previous
//!    image and its log stay: they serve if a page of the newest is damaged. Where there is no room
//!    for another, the previous one goes first, once no superblock names it.

use super::core::{Backlog, Core};
use super::creation;
use super::image_writer::ImageWriter;
use crate::device::{giving_way, insisting};
use crate::error::{Error, Result};
use crate::events::{CheckpointCause, Event};
use crate::extent::Worth;
use crate::format::extent_state::ExtentState;
use crate::format::ids::{BatchNo, ExtentNo, Generation, PageNo};
use crate::format::image::{Position, RunLine, SliceHeader, SliceKind};
use crate::format::superblock::{Anchor, Checkpoint, MAX_SPARES, Superblock};
use crate::metrics::{Recorder, Stage};
use crate::seeded::{Bug, seeded};
use crate::sync::{self, Arc, AtomicBool, Duration, Instant, Mutex, MutexGuard, Ordering};
use crate::wal::Log;

/// Lines of the extent table, or large values, in a slice: a page or more of them.
const LINES: usize = 4096;

/// When a checkpoint is due, and how fast it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Bytes of a slice of keys; one leaf of the index may be longer.
    pub(crate) slice_bytes: usize,
    /// Replay is not to take longer than this.
    pub(crate) replay_time: Duration,
    /// Nothing is due before so many bytes of log.
    pub(crate) least_log_bytes: u64,
}

/// Time that an open takes per record of the log. Measured: 0.2 us to read it from a footer, sort
/// it and merge it, on two slow cores, and twice that for good measure.
const REPLAY_PER_RECORD: Duration = Duration::from_nanos(400);
/// Bytes of log per byte of image, so that images add about a tenth to what the log writes.
const LOG_PER_IMAGE: u64 = 10;

/// Writes checkpoints, and every other superblock.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    core: Arc<Core>,
    log: Arc<Log>,
    recorder: Arc<Recorder>,
    pace: Pace,
    /// The superblock that was last written.
    superblock: Mutex<Superblock>,
    /// Whether that was the last one. Changes under its lock.
    closed: AtomicBool,
    /// Whether the log that checkpoints keep is in the way of collecting garbage.
    wanted: AtomicBool,
    work: Mutex<Work>,
}

/// What only whoever takes a step touches.
#[derive(Debug, Default)]
struct Work {
    /// The image under way.
    image: Option<Image>,
    /// Extents of the newest image, and of the previous one.
    newest: Vec<ExtentNo>,
    previous: Vec<ExtentNo>,
    /// Bytes of the newest image.
    bytes: u64,
    /// Records and bytes of log when the newest checkpoint began.
    since: Backlog,
    /// The same when there was no room for one.
    refused: Backlog,
    /// Whether the newest image is damaged, or its superblock: the next repairs that.
    overdue: bool,
}

/// An image under way.
#[derive(Debug)]
struct Image {
    cause: CheckpointCause,
    anchor: Anchor,
    begun: Backlog,
    started: Instant,
    writer: ImageWriter,
    newest: BatchNo,
    cursor: Cursor,
    /// The body of the slice in hand.
    body: Vec<u8>,
}

/// What the next slice holds.
#[derive(Debug)]
enum Cursor {
    Extents(ExtentNo),
    Runs(PageNo),
    Keys(Vec<u8>),
    Root,
}

/// How a step left the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More is to be written.
    UnderWay,
    /// It is in force.
    Complete,
}

/// What recovery knows of the images on the device.
#[derive(Debug, Default)]
pub(super) struct Images {
    pub(super) newest: Vec<ExtentNo>,
    pub(super) previous: Vec<ExtentNo>,
    pub(super) bytes: u64,
    /// What was replayed after the newest.
    pub(super) backlog: Backlog,
    /// Whether something of them is damaged.
    pub(super) damaged: bool,
}

impl Checkpointer {
    pub(super) fn new(
        core: &Arc<Core>,
        log: &Arc<Log>,
        recorder: &Arc<Recorder>,
        pace: Pace,
        superblock: Superblock,
        images: Images,
    ) -> Self {
        let Images { newest, previous, bytes, backlog, damaged } = images;
        let since = Backlog::default();
        core.count_replayed(backlog);
        let (image, refused) = (None, since);
        let work = Work { image, newest, previous, bytes, since, refused, overdue: damaged };
        Self {
            core: Arc::clone(core),
            log: Arc::clone(log),
            recorder: Arc::clone(recorder),
            pace,
            superblock: Mutex::new(superblock),
            closed: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            work: Mutex::new(work),
        }
    }

    /// Which superblock was written last.
    pub(super) fn generation(&self) -> Generation {
        self.superblock.lock().generation
    }

    /// Runs `look` while no superblock is being written.
    pub(super) fn superblock(&self) -> MutexGuard<'_, Superblock> {
        self.superblock.lock()
    }

    /// Writes a checkpoint of all that is there now.
    pub(crate) fn run(&self, cause: CheckpointCause) -> Result<()> {
        // Whoever learns of a failure while a checkpoint is under way must not wait for it.
        self.log.check_usable()?;
        match cause {
            // Those who commit go first, whoever asks.
            CheckpointCause::Asked => giving_way(|| self.run_all(&mut self.work.lock(), cause)),
            _ => self.run_all(&mut self.work.lock(), cause),
        }
    }

    fn run_all(&self, work: &mut Work, cause: CheckpointCause) -> Result<()> {
        // One that is under way may be older than what the caller has seen; it costs its space.
        self.abandon(work);
        loop {
            let (begun, newest) = (sync::now(), self.log.newest());
            if self.step_on(work, cause)? != Progress::UnderWay {
                return Ok(());
            }
            // Those who commit meanwhile are not to feel it.
            if cause == CheckpointCause::Asked && self.log.newest() > newest {
                sync::sleep(begun.elapsed().mul_f64(IDLE_BEHIND));
            }
        }
    }

    /// Writes a checkpoint before an epoch has begun, for want of log. Its incarnation is of the epoch
    /// that is to begin; should that not come to pass, a later one of the same number must not issue
    /// it again, so it has the number of a superblock that is durable before.
    pub(super) fn run_frozen(&self) -> Result<()> {
        let mut work = self.work.lock();
        let bumped = self.write_superblock(|_| {});
        bumped.map_err(|error| self.log.failure(error))?;
        let Generation(number) = self.generation();
        self.core.space.issue_serials_after(number);
        self.run_all(&mut work, CheckpointCause::Space)
    }

    /// Gives up the previous checkpoint for its space and for its log; whether there was one.
    pub(super) fn give_up_previous(&self) -> Result<bool> {
        let mut work = self.work.lock();
        let is_there = self.superblock.lock().previous.is_some();
        if is_there {
            self.release_previous(&mut work)?;
        }
        Ok(is_there)
    }

    /// Has the background write one soon.
    pub(super) fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
        self.core.bell.ring();
    }

    /// Writes the next piece; begins a checkpoint where none is under way.
    pub(crate) fn step(&self) -> Result<Progress> {
        self.log.check_usable()?;
        let mut work = self.work.lock();
        let cause = match self.wanted.load(Ordering::Relaxed) {
            _ if work.overdue => CheckpointCause::Repair,
            true => CheckpointCause::Space,
            false => CheckpointCause::Log,
        };
        self.step_on(&mut work, cause)
    }

    /// Writes the last superblock, which knows how far the volume has been prepared. A
    /// checkpoint that is not in force by then never will be.
    pub(super) fn close(&self) -> Result<()> {
        let mut superblock = self.superblock.lock();
        self.closed.store(true, Ordering::SeqCst);
        self.write_next(&mut superblock, |_| {})
    }

    /// Runs `look` at the newest checkpoint and the one before while no other is written.
    pub(super) fn with_checkpoints<R>(
        &self,
        look: impl FnOnce(Checkpoint, Option<Checkpoint>) -> R,
    ) -> R {
        let _still = self.work.lock();
        let Superblock { checkpoint, previous, .. } = *self.superblock.lock();
        look(checkpoint, previous)
    }

    /// Whether a checkpoint should begin, or go on.
    pub(crate) fn is_due(&self) -> bool {
        let work = self.work.lock();
        work.image.is_some()
            || work.overdue
            || self.wanted.load(Ordering::Relaxed)
            || (self.pace.is_due(self.core.backlog().since(work.since), work.bytes)
                && self.pace.may_retry(self.core.backlog().since(work.refused)))
    }

    /// Writes checkpoints as they become due, until the store closes.
    pub(super) fn run_background(&self) {
        while self.core.bell.wait() {
            while self.is_due() {
                let begun = sync::now();
                // A failure has poisoned the log, or wants space: the next extent tries again.
                if !matches!(self.step(), Ok(Progress::UnderWay)) {
                    break;
                }
                let idle = self.idle_per_busy();
                if !self.core.bell.rest(begun.elapsed().mul_f64(idle)) {
                    return;
                }
            }
        }
    }

    /// Time to leave to others per time that a step takes: none where log that is kept is in the way
    /// of the collector, who moves more the longer it is; else so that the image is complete when the
    /// log since its beginning has come half the way to the next.
    fn idle_per_busy(&self) -> f64 {
        if self.wanted.load(Ordering::Relaxed) {
            return 0.0;
        }
        let work = self.work.lock();
        let Some(image) = &work.image else { return IDLE_AT_EASE };
        let due = 2.0 * self.pace.share(self.core.backlog().since(image.begun), work.bytes);
        let whole = self.core.index.memory_bytes().max(1) as f64;
        let done = image.writer.bytes() as f64 / whole;
        match due {
            1.0.. => 0.0,
            _ if due > done + FAR_BEHIND => IDLE_FAR_BEHIND,
            _ if due > done => IDLE_BEHIND,
            _ => IDLE_AT_EASE,
        }
    }

    /// Gives up the image under way; nothing refers to it.
    fn abandon(&self, work: &mut Work) {
        if let Some(image) = work.image.take() {
            self.discard(&image, None);
        }
    }

    fn discard(&self, image: &Image, error: Option<&Error>) {
        self.core.space.give_up_image(image.writer.extents());
        self.core.volume.events.tell(|| Event::CheckpointGivenUp {
            cause: image.cause,
            error: error.cloned(),
            took: image.started.elapsed(),
        });
    }

    /// Writes the next piece; where none is under way, begins one for `cause`.
    fn step_on(&self, work: &mut Work, cause: CheckpointCause) -> Result<Progress> {
        self.log.check_alive()?;
        let mut image = match work.image.take() {
            Some(image) => image,
            None => {
                if seeded(Bug::OldImageFreedEarly) {
                    self.core.space.give_up_previous_image(&std::mem::take(&mut work.previous));
                }
                if seeded(Bug::NewestImageFreedEarly) {
                    self.core.space.give_up_image(&std::mem::take(&mut work.newest));
                }
                self.begin(cause)
            }
        };
        let done = match image.cursor {
            Cursor::Root => self.finish(&mut image, work),
            _ => self.write_piece(&mut image),
        };
        match done {
            Ok(Progress::UnderWay) => {
                work.image = Some(image);
                Ok(Progress::UnderWay)
            }
            Ok(Progress::Complete) => Ok(Progress::Complete),
            Err(error @ Error::Full { .. }) => {
                self.discard(&image, Some(&error));
                if work.previous.is_empty() {
                    // What it takes may be there once the log has moved on.
                    work.refused = self.core.backlog();
                    self.wanted.store(false, Ordering::Relaxed);
                    return Err(error);
                }
                self.release_previous(work)?;
                Ok(Progress::UnderWay)
            }
            Err(error) => {
                let error = self.log.failure(error);
                self.core.volume.events.tell(|| Event::CheckpointGivenUp {
                    cause: image.cause,
                    error: Some(error.clone()),
                    took: image.started.elapsed(),
                });
                Err(error)
            }
        }
    }

    /// Gives up the previous image for its space: once neither superblock names it.
    fn release_previous(&self, work: &mut Work) -> Result<()> {
        for _ in 0..2 {
            let written = self.write_superblock(|superblock| superblock.previous = None);
            written.map_err(|error| self.log.failure(error))?;
        }
        self.core.space.give_up_previous_image(&std::mem::take(&mut work.previous));
        self.keep_log();
        Ok(())
    }

    /// Keeps the log from the older anchor on, and no more (W3).
    pub(super) fn keep_log(&self) {
        let space = &self.core.space;
        let life = |at: Checkpoint| space.incarnation_of(space.extent_of(at.anchor.page));
        let Superblock { checkpoint, previous, .. } = *self.superblock.lock();
        let newest = life(checkpoint).unwrap_or_default();
        let older = previous.and_then(life).map_or(newest, |older| older.min(newest));
        let older = if seeded(Bug::OlderLogNotKept) { newest } else { older };
        space.keep_log_from(older, newest);
        self.core.measure_image();
        self.core.take_stock();
        self.core.garbage_bell.ring();
    }

    /// Gives the end of the file back, where neither checkpoint names it and that is worth it. Whether it
    /// did.
    pub(super) fn shrink(&self, worth: Worth) -> Result<bool> {
        self.log.check_alive()?;
        let shrunk = self.core.space.shrink(worth, || {
            let copies = if seeded(Bug::OneSuperblockShorter) { 1 } else { 2 };
            (0..copies).try_for_each(|_| self.write_superblock(|_| {}))
        });
        shrunk.map_err(|error| self.log.failure(error))
    }

    /// Discards some extents that stay free, or all that are free if somebody `asked`. Whether it did.
    pub(super) fn discard_free(&self, asked: bool) -> Result<bool> {
        self.log.check_alive()?;
        let write_superblocks = || (0..2).try_for_each(|_| self.write_superblock(|_| {}));
        let discarded = self.core.space.discard(asked, write_superblocks);
        discarded.map_err(|error| self.log.failure(error))
    }

    fn begin(&self, cause: CheckpointCause) -> Image {
        self.core.volume.events.tell(|| Event::CheckpointBegan { cause });
        self.core.space.begin_image();
        // The log position first: whatever is applied after it is in the log after it too.
        let begun = self.core.backlog();
        let anchor = self.log.settled();
        Image {
            cause,
            anchor,
            begun,
            started: sync::now(),
            writer: ImageWriter::new(self.core.space.next_incarnation(), self.pace.slice_bytes),
            newest: anchor.batch,
            cursor: Cursor::Extents(ExtentNo(0)),
            body: Vec::new(),
        }
    }

    /// Copies out the next slice and writes it.
    fn write_piece(&self, image: &mut Image) -> Result<Progress> {
        let begun = sync::now();
        let mut slice = insisting(|| self.log.at_rest(|position| self.copy_next(image, position)));
        if seeded(Bug::PositionTooLate) {
            slice.position = Position::after(slice.position.batch.next());
        }
        self.recorder.stop(Stage::CheckpointCopy, Some(begun));
        assert!(slice.position.batch >= image.anchor.batch, "C1: the image is of what came since");
        if slice.count > 0 || slice.kind == SliceKind::Keys {
            self.write_slice(image, &slice)?;
        }
        image.cursor = slice.next;
        Ok(Progress::UnderWay)
    }

    /// The caller sees to it that nothing is applied meanwhile.
    fn copy_next(&self, image: &mut Image, position: Position) -> Copied {
        image.body.clear();
        let (kind, count, next) = match &image.cursor {
            Cursor::Extents(from) => {
                let lines = self.core.space.lines(*from, LINES);
                encode_lines(&lines, &mut image.body);
                let next = match lines.last() {
                    Some((last, _)) if lines.len() == LINES => {
                        Cursor::Extents(ExtentNo(last.0 + 1))
                    }
                    _ => Cursor::Runs(PageNo(0)),
                };
                (SliceKind::Extents, lines.len() as u64, next)
            }
            Cursor::Runs(from) => {
                let runs = self.core.space.live_runs(*from, LINES);
                for &(page, run) in &runs {
                    let (pages, incarnation) = (run.pages, run.incarnation);
                    RunLine { page, pages, incarnation }.encode(&mut image.body);
                }
                let next = match runs.last() {
                    Some((last, _)) if runs.len() == LINES => Cursor::Runs(last.plus(1)),
                    _ => Cursor::Keys(Vec::new()),
                };
                (SliceKind::Runs, runs.len() as u64, next)
            }
            Cursor::Keys(from) => {
                encode_from(from, &mut image.body);
                let slice =
                    self.core.index.copy_slice(from, self.pace.slice_bytes, &mut image.body);
                let next = slice.next.map_or(Cursor::Root, Cursor::Keys);
                (SliceKind::Keys, slice.entries, next)
            }
            Cursor::Root => unreachable!("the root is not a slice"),
        };
        Copied { kind, count, position, next }
    }

    fn write_slice(&self, image: &mut Image, slice: &Copied) -> Result<()> {
        let header = SliceHeader {
            store: self.core.store,
            image: image.writer.id(),
            index: image.writer.slices(),
            kind: slice.kind,
            position: slice.position,
            body_len: image.body.len() as u32,
            count: slice.count,
        };
        image.writer.append(&self.core, &header, &image.body)?;
        image.newest = image.newest.max(slice.position.batch);
        Ok(())
    }

    /// Writes the root and puts the image in force.
    fn finish(&self, image: &mut Image, work: &mut Work) -> Result<Progress> {
        let root = image.writer.finish(&self.core, image.newest)?;
        // C2: what the image shows, no power cut can undo.
        if !seeded(Bug::RootBeforeDurable) {
            self.log.sync_to(image.newest)?;
        }
        if !seeded(Bug::SuperblockBeforeImage) {
            self.core.volume.barrier()?;
        }
        let late = seeded(Bug::AnchorTooLate).then(|| self.log.settled());
        let checkpoint =
            Checkpoint { anchor: late.unwrap_or(image.anchor), root, image: image.writer.id() };
        self.write_superblock(|superblock| {
            superblock.previous = Some(superblock.checkpoint);
            superblock.checkpoint = checkpoint;
        })?;
        self.log.prove_by_checkpoint(image.anchor.batch);
        // C4: no superblock of the newest generation names them any more.
        let freed = std::mem::take(&mut work.previous);
        work.previous = std::mem::replace(&mut work.newest, image.writer.take_extents());
        let (newest, previous) = (work.newest.len(), work.previous.len());
        self.core.space.put_image_in_force(newest, previous, &freed);
        self.keep_log();
        work.bytes = image.writer.bytes();
        work.since = image.begun;
        work.overdue = false;
        self.wanted.store(false, Ordering::Relaxed);
        self.recorder.stop(Stage::Checkpoint, Some(image.started));
        self.core.volume.events.tell(|| {
            let (cause, took) = (image.cause, image.started.elapsed());
            Event::CheckpointEnded { cause, bytes: work.bytes, took }
        });
        Ok(Progress::Complete)
    }

    fn write_superblock(&self, change: impl FnOnce(&mut Superblock)) -> Result<()> {
        let mut superblock = self.superblock.lock();
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::Closed);
        }
        self.write_next(&mut superblock, change)
    }

    /// Writes the superblock after `superblock`, changed by `change`, to the older of the two
    /// places.
    fn write_next(
        &self,
        superblock: &mut Superblock,
        change: impl FnOnce(&mut Superblock),
    ) -> Result<()> {
        let mut next = superblock.clone();
        change(&mut next);
        next.generation = next.generation.next();
        next.pages = self.core.volume.len_pages();
        next.spares = self.core.space.prepared_spares(MAX_SPARES);
        creation::write(&self.core.volume, &self.core.pool, &next)?;
        self.log.set_generation(next.generation);
        *superblock = next;
        Ok(())
    }
}

/// A slice that was copied out.
struct Copied {
    kind: SliceKind,
    count: u64,
    position: Position,
    next: Cursor,
}

/// Time left to others per time that a step takes: the device, and at most a processor, are the image's
/// for a fortieth of it; for a tenth where that is too slow for what the log brings, and for a fifth where
/// a part of the image is missing that should be there by then.
const IDLE_AT_EASE: f64 = 39.0;
const IDLE_BEHIND: f64 = 9.0;
const IDLE_FAR_BEHIND: f64 = 4.0;
const FAR_BEHIND: f64 = 0.1;

impl Pace {
    fn is_due(&self, backlog: Backlog, image_bytes: u64) -> bool {
        self.share(backlog, image_bytes) >= 1.0
    }

    /// How far `backlog` has come on the way to the next checkpoint, which is at 1.
    fn share(&self, backlog: Backlog, image_bytes: u64) -> f64 {
        let log_bytes = backlog.log_bytes as f64;
        let replay = REPLAY_PER_RECORD.as_secs_f64() * backlog.records as f64;
        let least = log_bytes / self.least_log_bytes as f64;
        let long = log_bytes / (image_bytes * LOG_PER_IMAGE) as f64;
        least.min(long.max(replay / self.replay_time.as_secs_f64()))
    }

    /// Whether it is worth trying again, so much later, to find room.
    fn may_retry(&self, backlog: Backlog) -> bool {
        backlog.records == 0 || backlog.log_bytes >= self.least_log_bytes / 4
    }
}

fn encode_lines(lines: &[(ExtentNo, ExtentState)], out: &mut Vec<u8>) {
    for (extent, state) in lines {
        out.extend_from_slice(&extent.0.to_le_bytes());
        out.extend_from_slice(&state.encode());
    }
}

/// Where the keys of a slice begin; they end where those of the next do.
fn encode_from(from: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(from.len() as u32).to_le_bytes());
    out.extend_from_slice(from);
}
