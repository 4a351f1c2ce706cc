//! What is left of the free extents, and to whom, so that a volume never wedges.
//!
//! Everybody leaves the share of images. Log that nothing can come to refer to is *barren*: deletes,
//! moves, proofs, the headers of epochs. A checkpoint, which takes no log, makes all of it free but
//! for the extent of the tail; so two extents are enough for any number of such records. Copies
//! leave those two, and puts two more for copies. docs/design.md, section 13, has the argument.

use super::table::Table;
use crate::format::extent_state::Role;
use crate::seeded::{Bug, seeded};

/// Extents for barren log: one in use, and the one that is being filled next.
const BARREN_EXTENTS: usize = 2;
/// Extents for copies: one that is filled, and one for what a crash may leave half filled.
const COPY_EXTENTS: usize = 2;

/// Extents that puts of large values leave to the log beside: it goes on to another before the last
/// can be given up, and would have values moved for it.
const LOG_EXTENTS: usize = 2;

/// What a free extent is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Part of an image.
    Image,
    /// Log for records that nothing can come to refer to.
    Barren,
    /// What the collector moves.
    Copies,
    /// Large values that move. What is logged of that is barren; and a move gives back at least as
    /// many extents as it takes.
    LargeCopies,
    /// Values in the log.
    Put,
    /// Large values.
    LargePut,
}

/// How many extents images have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Images {
    pub(super) newest: usize,
    pub(super) previous: usize,
    /// The one that is being written.
    pub(super) next: usize,
}

impl Images {
    /// Free extents that images of `image` extents each may yet take, until one is in force and
    /// another could be written: the previous one is given up where it is in the way.
    fn share(self, image: usize) -> usize {
        (image + image.saturating_sub(self.newest)).saturating_sub(self.previous + self.next)
    }

    /// The longest image for which `free` extents are the share, if any is.
    fn longest(self, free: usize) -> usize {
        let alone = free + self.previous + self.next;
        if alone <= self.newest { alone } else { (alone + self.newest) / 2 }
    }
}

/// Log extents in which nothing is live.
#[derive(Debug, Clone, Copy, Default)]
struct Empty {
    /// Those that the log has left: a checkpoint makes them free.
    left: usize,
    /// That of the tail.
    tail: usize,
}

impl Table {
    /// Free extents that `claim` leaves to others, where an image takes `image` of them.
    pub(super) fn floor(&self, claim: Claim, image: usize) -> usize {
        let empty = self.empty_log();
        let beside = match claim {
            _ if seeded(Bug::NothingReserved) => return 0,
            Claim::Image => return 0,
            Claim::Barren => 0,
            // What is barren already is of those that are meant for it.
            Claim::Copies | Claim::LargeCopies => {
                BARREN_EXTENTS.saturating_sub(empty.left + empty.tail)
            }
            Claim::Put => self.left_by_puts(empty),
            Claim::LargePut => self.left_by_puts(empty) + LOG_EXTENTS,
        };
        self.images.share(image) + beside
    }

    /// The longest image, in extents, with which puts are admitted; `None` if they are not whatever
    /// it takes.
    pub(super) fn longest_image(&self) -> Option<usize> {
        let free = self.free().checked_sub(self.left_by_puts(self.empty_log()))?;
        Some(self.images.longest(free))
    }

    /// Extents that puts leave beside the share of images. The tail does not count: they go there.
    fn left_by_puts(&self, empty: Empty) -> usize {
        let for_copies = COPY_EXTENTS - usize::from(self.extents.iter().any(|extent| extent.open));
        BARREN_EXTENTS.saturating_sub(empty.left) + for_copies
    }

    fn empty_log(&self) -> Empty {
        let log = self.extents.iter().filter(|extent| extent.state.role == Role::Log);
        let tail = log.clone().map(|extent| extent.state.incarnation).max();
        log.filter(|extent| extent.is_empty()).fold(Empty::default(), |empty, it| {
            match Some(it.state.incarnation) == tail {
                true => Empty { tail: 1, ..empty },
                false => Empty { left: empty.left + 1, ..empty },
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_is_the_share_of_the_longest_image_it_allows() {
        for newest in 0..5 {
            for previous in 0..5 {
                for next in 0..3 {
                    let images = Images { newest, previous, next };
                    for free in 0..20 {
                        let longest = images.longest(free);
                        assert!(images.share(longest) <= free, "{images:?}, {free}");
                        assert!(images.share(longest + 1) > free, "{images:?}, {free}");
                    }
                }
            }
        }
    }

    /// Once an image is in force, and the one before it given up, as much is left beyond the share
    /// as before it was written.
    #[test]
    fn a_checkpoint_costs_nothing_beyond_the_share() {
        for newest in 0..5 {
            for previous in 0..5 {
                for image in 1..5 {
                    for written in 1..=image {
                        let before = Images { newest, previous, next: 0 };
                        let after = Images { newest: written, previous: 0, next: 0 };
                        let free = before.share(image);
                        let left = free + newest + previous - written;
                        assert!(left >= after.share(image), "{before:?}, {image}, {written}");
                        assert!(free + previous >= written, "there is room for it");
                    }
                }
            }
        }
    }
}
