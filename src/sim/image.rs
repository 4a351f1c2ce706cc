//! Crash images: the devices that a moment can leave behind.

use super::device::{Page, SECTOR_BYTES};
use super::random::Random;
use super::trace::{Moment, Pages};
use crate::format::ids::PAGE_BYTES;
use crate::sync::Arc;

/// Most pending pages of which every combination of old, new and torn is tried: 3^6 images.
const EXHAUSTIVE: usize = 6;
/// Random combinations beyond that.
const SAMPLES: usize = 60;

/// What became of one pending page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Old,
    New,
    Torn,
    /// Some version in between, where the page was written more than once.
    Earlier,
}

/// Calls `visit` with every image that `moment` stands for: all of them where few pages are
/// pending, else the telling ones and a sample.
pub(crate) fn for_each_image(moment: &Moment, random: &mut Random, visit: &mut dyn FnMut(Pages)) {
    for_every_image(moment, EXHAUSTIVE, random, visit);
}

/// The same, with all of them up to `exhaustive` pending pages.
pub(crate) fn for_every_image(
    moment: &Moment,
    exhaustive: usize,
    random: &mut Random,
    visit: &mut dyn FnMut(Pages),
) {
    let count = moment.pending.len();
    let mut visit_fates = |fates: &[Fate], random: &mut Random| {
        visit(moment.image(fates, random));
    };
    if count <= exhaustive {
        for number in 0..3_usize.pow(count as u32) {
            let fates: Vec<_> = (0..count).map(|i| ternary(number, i)).collect();
            visit_fates(&fates, random);
        }
    } else {
        for pivot in 0..=count {
            let prefix: Vec<_> = (0..count).map(|i| one_of(i < pivot)).collect();
            let suffix: Vec<_> = (0..count).map(|i| one_of(i >= pivot)).collect();
            let single: Vec<_> = (0..count).map(|i| one_of(i == pivot)).collect();
            let others: Vec<_> = (0..count).map(|i| one_of(i != pivot)).collect();
            for fates in [prefix, suffix, single, others] {
                visit_fates(&fates, random);
            }
        }
        for _ in 0..SAMPLES {
            let fates: Vec<_> = (0..count).map(|_| ternary(random.below(3) as usize, 0)).collect();
            visit_fates(&fates, random);
        }
    }
    if moment.pending.values().any(|versions| versions.len() > 1) {
        for _ in 0..8 {
            let fate = |random: &mut Random| match random.below(4) {
                0 => Fate::Old,
                1 => Fate::New,
                2 => Fate::Torn,
                _ => Fate::Earlier,
            };
            let fates: Vec<_> = (0..count).map(|_| fate(random)).collect();
            visit_fates(&fates, random);
        }
    }
    for_each_length(moment, random, visit);
}

/// The images of a device of each length that it may have, where there are several: the length is
/// metadata of its own.
fn for_each_length(moment: &Moment, random: &mut Random, visit: &mut dyn FnMut(Pages)) {
    if moment.lengths.len() == 1 {
        return;
    }
    for &len in &moment.lengths {
        for fate in [Fate::Old, Fate::New] {
            let mut image = moment.image(&vec![fate; moment.pending.len()], random);
            image.grow(len);
            image.truncate(len);
            visit(image);
        }
    }
}

fn one_of(new: bool) -> Fate {
    if new { Fate::New } else { Fate::Old }
}

fn ternary(number: usize, digit: usize) -> Fate {
    match number / 3_usize.pow(digit as u32) % 3 {
        0 => Fate::Old,
        1 => Fate::New,
        _ => Fate::Torn,
    }
}

impl Moment {
    fn image(&self, fates: &[Fate], random: &mut Random) -> Pages {
        let mut image = self.durable.clone();
        if random.below(2) == 0 {
            image.forget_what_was_cut_off();
        }
        let longest = self.lengths.iter().max().copied().unwrap_or(0);
        image.grow(longest);
        for ((&at, versions), fate) in self.pending.iter().zip(fates) {
            let old = image.get(at).unwrap_or_else(|| Arc::new([0; PAGE_BYTES]));
            let newest = &versions[versions.len() - 1];
            let page = match fate {
                Fate::Old => continue,
                Fate::New => Arc::clone(newest),
                // Garbage in the very first page of a new file cannot be told from a foreign
                // file, which is not touched: the one creation that the user has to clean up.
                Fate::Torn => torn(&old, newest, at > 0 || old[..] != [0; PAGE_BYTES], random),
                Fate::Earlier => {
                    Arc::clone(&versions[random.below(versions.len() as u64) as usize])
                }
            };
            image.set(at, page);
        }
        // The length is metadata of its own: it may lag behind the data (F3c).
        if self.lengths.len() > 1 && random.below(2) == 0 {
            image.truncate(self.lengths[random.below(self.lengths.len() as u64) as usize]);
        }
        image
    }
}

/// A page of which some sectors are new, and now and then garbage (F5).
pub(super) fn torn(old: &Page, new: &Page, may_be_garbage: bool, random: &mut Random) -> Page {
    let mut page = **old;
    let mask = 1 + random.below(254);
    let garbage = may_be_garbage && random.below(8) == 0;
    for sector in 0..PAGE_BYTES / SECTOR_BYTES {
        let range = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
        if mask & (1 << sector) != 0 {
            page[range].copy_from_slice(&new[sector * SECTOR_BYTES..][..SECTOR_BYTES]);
        } else if garbage {
            page[range].iter_mut().for_each(|byte| *byte = random.below(256) as u8);
        }
    }
    Arc::new(page)
}
