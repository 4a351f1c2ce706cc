//! Where values went while the log was written that is replayed: by where they were, as moves do not
//! say whose they are.
//!
//! That is enough (G3): while a key is at a place, the place is that put's alone. So the first move
//! from there, after what put the key there and before the next record of the key, is its own.

use crate::format::ids::BatchNo;
use crate::format::image::Position;
use crate::format::location::Location;
use crate::format::moves::{Move, Moves, place_of};
use crate::seeded::{Bug, seeded};
use crate::sync;

/// Moves below which a thread is not worth it.
const LEAST_PER_THREAD: usize = 50_000;
/// Bytes of the volume that share an entry of the table.
const SPAN_SHIFT: u32 = 21;

/// One move, and the record of the log that it is part of.
#[derive(Debug, Clone, Copy)]
struct Line {
    change: Move,
    index: u32,
    batch: BatchNo,
}

impl Line {
    fn order(&self) -> (u64, BatchNo, u32) {
        (self.change.from, self.batch, self.index)
    }
}

/// Moves that the log lists, collected while it is replayed.
#[derive(Debug, Default)]
pub(super) struct Moved(Vec<Line>);

impl Moved {
    /// Adds those of a relocation, which is record number `index` of `batch`.
    pub(super) fn add(&mut self, moves: &[u8], batch: BatchNo, index: u32) {
        let moves = Moves::new(moves).into_iter().flatten().flatten();
        self.0.extend(moves.map(|change| Line { change, index, batch }));
    }

    /// Number of moves.
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Makes them ready to be followed.
    pub(super) fn sorted(self) -> Trails {
        let Self(mut lines) = self;
        let share = lines.len().div_ceil(sync::cores()).max(LEAST_PER_THREAD);
        let parts: Vec<&mut [Line]> = lines.chunks_mut(share).collect();
        sync::for_each_parallel(parts, |part| part.sort_unstable_by_key(Line::order));
        // Merges what is sorted already.
        lines.sort_by_key(Line::order);
        let span_of = |line: &Line| (line.change.from >> SPAN_SHIFT) as usize;
        let mut starts = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            if starts.len() <= span_of(line) {
                starts.resize(span_of(line) + 1, at as u32);
            }
        }
        Trails { lines, starts }
    }
}

/// Moves in the order of where they are from, and then as in the log.
#[derive(Debug)]
pub(super) struct Trails {
    lines: Vec<Line>,
    /// For each span of the volume, the first move from there or from later ones.
    starts: Vec<u32>,
}

impl Trails {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Where a value is in the end, or when record number `index` of `batch` has its turn, if it was
    /// put to `location` before `since`, and is its key's until then.
    pub(super) fn follow(
        &self,
        location: Location,
        mut since: Position,
        until: Option<(BatchNo, u32)>,
    ) -> Location {
        let mut location = location;
        while let Some(line) = self.next(location, since)
            && (until.is_none_or(|until| (line.batch, line.index) < until)
                || seeded(Bug::MovesOutOfTime))
            && let Some(to) = line.change.of(location)
        {
            location = to;
            since = Position { batch: line.batch, records: line.index + 1 };
        }
        location
    }

    /// The first move from `location` at or after `since`.
    fn next(&self, location: Location, since: Position) -> Option<&Line> {
        let from = place_of(location)?;
        let span = (from >> SPAN_SHIFT) as usize;
        let start = *self.starts.get(span)? as usize;
        let end = self.starts.get(span + 1).map_or(self.lines.len(), |&end| end as usize);
        let lines = &self.lines[start..end];
        let first = lines.partition_point(|line| {
            let at = line.change.from;
            at < from || (at == from && since.covers(line.batch, line.index))
        });
        lines.get(first).filter(|line| line.change.from == from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ids::PageNo;
    use crate::format::moves::List;

    fn at(page: u64) -> Location {
        Location::value(PageNo(page), 8, 100)
    }

    /// Each move, of a value of 100 bytes, is a record of its own.
    fn trails(moves: &[(u64, u32, Location, Location)]) -> Trails {
        let mut moved = Moved::default();
        for &(batch, index, from, to) in moves {
            let mut list = List::new(to);
            list.push(b"k", from);
            moved.add(list.bytes(), BatchNo(batch), index);
        }
        moved.sorted()
    }

    const START: Position = Position { batch: BatchNo(0), records: 0 };

    #[test]
    fn a_value_goes_from_place_to_place() {
        let log = Location::log(PageNo(900), 81, 100);
        let trails = trails(&[(7, 3, at(500), at(2)), (3, 1, log, at(500)), (9, 0, at(3), at(4))]);
        assert_eq!(trails.follow(log, START, None), at(2));
        assert_eq!(trails.follow(at(500), START, None), at(2));
        assert_eq!(trails.follow(at(501), START, None), at(501));
        assert_eq!(trails.follow(at(1 << 20), START, None), at(1 << 20));
        let large = Location::large(PageNo(900), 100);
        assert_eq!(trails.follow(large, START, None), large);
    }

    #[test]
    fn only_moves_of_its_time_count() {
        // The place is used again between the two.
        let trails = trails(&[(3, 1, at(5), at(6)), (8, 2, at(5), at(7)), (9, 0, at(6), at(5))]);
        let position = |batch, records| Position { batch: BatchNo(batch), records };
        assert_eq!(trails.follow(at(5), START, Some((BatchNo(3), 1))), at(5));
        assert_eq!(trails.follow(at(5), START, Some((BatchNo(3), 2))), at(6));
        assert_eq!(trails.follow(at(5), position(3, 1), Some((BatchNo(9), 0))), at(6));
        assert_eq!(trails.follow(at(5), START, None), at(5), "it came back, after the second");
        assert_eq!(trails.follow(at(5), position(3, 2), None), at(7));
        assert_eq!(trails.follow(at(5), position(8, 3), None), at(5));
    }

    #[test]
    fn many_moves_are_found_wherever_they_are_from() {
        let from = |i: u64| Location::value(PageNo(i * 37 % 65_536), (i % 512 * 8) as u16, 9);
        let to = |i: u64| Location::value(PageNo(70_000 + i), 8, 9);
        let mut moved = Moved::default();
        for i in 0..60_000 {
            let mut list = List::new(to(i));
            list.push(b"k", from(i));
            moved.add(list.bytes(), BatchNo(1 + i), 0);
        }
        assert_eq!(moved.len(), 60_000);
        let trails = moved.sorted();
        assert!((0..60_000).all(|i| trails.follow(from(i), START, None) == to(i)));
    }
}
