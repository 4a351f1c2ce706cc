//! Deliberate bugs, for the tests to find: `sim::catalogue` says which test finds each. At most one
//! is there, in a process of its own whose environment names it. Outside of tests there is none,
//! and what asks for one is compiled out.

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A deliberate bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Bug {
            $($(#[$doc])* $name,)*
        }

        #[cfg(test)]
        impl Bug {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

bugs! {
    /// D is what was written when a barrier returned, not when it began.
    DurableAtReturn,
    /// A batch counts as written though one before it is not.
    WrittenOutOfOrder,
    /// A barrier is not issued.
    AckWithoutBarrier,
    /// A batch is acknowledged as its barrier begins.
    AckBeforeBarrier,
    /// A `Synced` write is acknowledged when it is written.
    AckAtWritten,
    /// A `Written` write is acknowledged from memory.
    WrittenAckedInMemory,
    /// A failed write counts as done.
    WriteErrorSwallowed,
    /// A failed barrier counts as done.
    BarrierErrorSwallowed,
    /// A failed barrier is tried again.
    BarrierRetried,
    /// Two barriers at once through the page cache: of a lost write one of them hears.
    BarriersOverlap,
    /// The handle goes on after a failed transfer.
    FailureNotRemembered,
    /// A panic with a batch in hand is nobody's business.
    PanicUnnoticed,
    /// An `ENOTCONN` of the system's is taken for a handle that was closed.
    SystemErrorIsClosed,
    /// Who closes the store where it says that it failed waits for threads that wait for him.
    CloseWaitsForItself,
    /// Any amount of weaker writes waits for a flush.
    WindowUnbounded,
    /// `sync` waits for nothing.
    SyncDoesNothing,
    /// A batch starts where the one before it ends, on the same page.
    PageWrittenAgain,
    /// Evidence goes to where the last batch is.
    EvidenceOverBatch,
    /// A batch is written while evidence is on its way to the same page.
    EvidenceOvertaken,
    /// The log enters an extent before a page that names it is durable.
    RotationDoesNotWait,
    /// The log enters an extent that was not prepared.
    PreparationSkipped,
    /// A superblock may name a length before that is durable.
    LengthBeforeBarrier,
    /// Two who find no room grow a volume one after the other, the second for nothing.
    GrowthRepeated,
    /// Nobody leaves space for what gives space back.
    NothingReserved,
    /// A footer is written before its batches are durable.
    FooterBeforeDurable,
    /// A footer is taken though it begins after a gap.
    FooterWithGap,
    /// A footer is taken though the log did not go on where it says.
    FooterNotFollowed,
    /// An open goes on in an extent of which the successor has the beginning of a batch.
    TornSuccessorForgotten,
    /// The barrier before an open reads is not issued.
    OpenWithoutBarrier,
    /// The epoch's header is not made durable.
    EpochWithoutBarrier,
    /// An open goes on in the epoch before.
    EpochReissued,
    /// An open erases what it drops, before its epoch is durable.
    DroppedErased,
    /// An open takes keys that the index lacks from the values that are there.
    KeysFromValues,
    /// Nobody looks for proof at a break.
    ProofNotSought,
    /// Proof is looked for in the extent of the break only.
    ProofInOneExtent,
    /// What a later epoch wrote does not prove that it began.
    LaterEpochNoProof,
    /// What a page behind the break proves durable before it is not taken for proved.
    ProofNotCarriedBack,
    /// Batches are counted instead: a break is corruption if a later batch is there that must have
    /// waited for it.
    BatchesCounted,
    /// A page that cannot be read is one of zeros.
    UnreadableIsTorn,
    /// What an earlier epoch left at the end of the log, or another volume, is reported as dropped.
    VoidIsDropped,
    /// The pages of a batch after its first are taken as they are.
    BatchPagesUnchecked,
    /// A batch of which pages are missing is taken as far as it is there.
    PartOfBatchTaken,
    /// Large values of unproved batches are not verified.
    LargeNotVerified,
    /// A value that nobody verifies is not made durable before its record is written.
    LongNotBarriered,
    /// A batch counts as written while a value of its records still is on its way.
    ValueNotAwaited,
    /// A record that is acknowledged from memory shows those before it, written or not.
    UnwrittenValueSeen,
    /// Records of the log before a slice's position are applied again, and conditional ones with the
    /// answer that the image gives.
    PositionIgnored,
    /// Deletes are not replayed.
    DeletesNotReplayed,
    /// The older superblock counts.
    OlderSuperblock,
    /// A superblock of another volume counts.
    OtherVolumesSuperblock,
    /// A creation that was cut short begins anew, over its own marker.
    MarkerRewritten,
    /// A marker is believed that superblocks have replaced.
    OldMarkerBelieved,
    /// A superblock goes where the newest is.
    SuperblockInPlace,
    /// A superblock is not made durable.
    SuperblockWithoutBarrier,
    /// The superblock names an image that may not be whole yet.
    SuperblockBeforeImage,
    /// An image shows what is not durable.
    RootBeforeDurable,
    /// A slice states a later position than it has.
    PositionTooLate,
    /// The log goes on from where the image ended.
    AnchorTooLate,
    /// A slice is copied while batches are applied.
    SliceNotAtRest,
    /// A slice's position does not count the batch that is open.
    OpenBatchNotCounted,
    /// The previous image is given up when the next begins.
    OldImageFreedEarly,
    /// The newest image is given up when the next begins.
    NewestImageFreedEarly,
    /// The log is kept for the newest checkpoint only.
    OlderLogNotKept,
    /// Log extents are used again though a checkpoint needs them.
    KeptLogIgnored,
    /// The older image is not known to be there after an open.
    OlderImageForgotten,
    /// The log's successor is looked at before it is known what is dead.
    SuccessorAdoptedFirst,
    /// What an older superblock calls the checkpoint before is taken to be there.
    GivenUpAdopted,
    /// After an open by the older superblock the next names a checkpoint that was given up.
    GivenUpNamed,
    /// The older checkpoint serves where the log of the newest is proved to go on.
    ProvedLogGivenUp,
    /// Copies of the collector's are not made durable before the log refers to them.
    CopiesWithoutBarrier,
    /// A record is moved wherever it is by now.
    RelocateUnconditional,
    /// A record is moved to where it was deleted.
    RelocateCreates,
    /// A move is decided when it is ordered: replay does it whatever came before.
    RelocateReplayedUnconditionally,
    /// A record that the collector puts again is put whatever came before.
    RewriteUnconditional,
    /// Replay moves a value by moves that come after its time.
    MovesOutOfTime,
    /// A list of moves to copies that were dropped goes on growing.
    DroppedCopiesListed,
    /// The same of large values that leave their extents.
    LargeCopiesWithoutBarrier,
    /// A large value is moved wherever it is by now.
    LargeMoveUnconditional,
    /// The copy of a large value that was overtaken stays.
    LargeCopyLost,
    /// Extents that are being emptied are given out.
    WithheldUsed,
    /// Space is free when what removed the last reference is durable.
    FreedBeforeProof,
    /// Space is free at once.
    FreedAtOnce,
    /// Space is free though someone may be reading it.
    ReadersIgnored,
    /// Space is free though a swap is under way that expects what is in it.
    SwapHoldsNothing,
    /// Space is free though views show what is in it.
    HeldIgnored,
    /// The same of large values.
    HeldLargeIgnored,
    /// A reader of a value lets go of the view that it is of.
    ReaderHoldsNothing,
    /// Large extents are not announced.
    LargeUnannounced,
    /// Value extents are not announced.
    ValuesUnannounced,
    /// A value extent counts as announced though the log had no room for that.
    AnnouncedOnce,
    /// All lives that begin in one epoch have one number.
    IncarnationReissued,
    /// The superblock says what is free.
    StoredFreeMap,
    /// The collector copies what fails its checksum under a new one.
    DamageCopied,
    /// A footer is taken to list all of its extent.
    PartOfExtentListed,
    /// The end of a file is given back though a checkpoint names it.
    NamedGivenBack,
    /// Extents that were taken since a checkpoint are thought not to be named by it.
    TakenUnnoticed,
    /// The end of a file is cut off, and the superblocks name it.
    CutBeforeSuperblocks,
    /// The end of a file is cut off, and the older superblock names it.
    OneSuperblockShorter,
    /// What waits to be free is discarded.
    DiscardedBeforeFree,
    /// What was discarded is written to, and has no space.
    HolesUsed,
    /// What may have been discarded before an open is taken to have space.
    HolesForgotten,
    /// What a superblock lists as prepared is discarded.
    PreparedDiscarded,
    /// A condition is decided when it is ordered.
    ConditionDecidedEarly,
    /// A swap takes effect if the key is there at all.
    SwapIgnoresLocation,
    /// `put_if_absent` takes effect in any case.
    AbsenceNotRequired,
    /// What is not durable is visible though all is `Synced`.
    VisibleBeforeDurable,
    /// Nobody leads a batch of tasks alone.
    CommitterNotSummoned,
    /// A task is not woken when its batch is done.
    TaskNotWoken,
    /// The flusher looks again and again while another thread retires what is durable.
    FlusherSpins,
    /// What a listener has not heard when the store closes it never does.
    LastEventsNotTold,
    /// Batches are applied by whoever comes first.
    AppliedOutOfOrder,
    /// A `Buffered` write is applied when it is durable.
    BufferedAppliedLate,
    /// A value that is not written yet is looked for on the device.
    UnwrittenNotFound,
    /// A log page is read without its checksum.
    LogChecksumIgnored,
    /// A packed record is read without its checksum.
    PackedChecksumIgnored,
    /// A large value is read without its checksums.
    LargeChecksumIgnored,
    /// A log page of an earlier life of its extent is read.
    EarlierLifeRead,
    /// A value is found in the cache that was at its location in an earlier life of the extent.
    EarlierLifeCached,
    /// A packed record of another key is read.
    OtherKeyRead,
    /// What cannot be read is absent.
    ErrorIsAbsence,
    /// A scan passes over what cannot be read.
    ScanPassesOver,
    /// Views show what is written after them.
    ViewsMove,
    /// A volume is opened twice in one process.
    SecondHandle,
    /// A forked child's handle works.
    ForkUnnoticed,
    /// Nothing is written. Every test of the device in memory must notice.
    Canary,
    /// Nothing is different. No test may notice.
    #[cfg(test)]
    Harmless,
}

/// Whether `bug` is to be there: never.
#[cfg(not(test))]
pub(crate) const fn seeded(_: Bug) -> bool {
    false
}

/// Whether `bug` is to be there.
#[cfg(test)]
pub(crate) fn seeded(bug: Bug) -> bool {
    chosen() == Some(bug)
}

/// Names the bug that is to be there.
#[cfg(test)]
pub(crate) const VARIABLE: &str = "EXTENTDB_BUG";

#[cfg(test)]
fn chosen() -> Option<Bug> {
    static CHOSEN: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    let named = |name: String| {
        let bug = Bug::ALL.iter().find(|bug| format!("{bug:?}") == name);
        *bug.unwrap_or_else(|| panic!("{VARIABLE}={name}: there is no such bug"))
    };
    *CHOSEN.get_or_init(|| std::env::var(VARIABLE).ok().map(named))
}
