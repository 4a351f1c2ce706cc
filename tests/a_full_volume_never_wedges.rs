//! At its limit a volume refuses puts, and nothing else: deletes are always possible, what they give
//! back can be used again, and so it goes on for ever.

mod support;

use extentdb::{Db, Durability, Error, Options, WriteBatch};
use std::path::{Path, PathBuf};
use support::{Bytes, Model, Rng, assert_same, directory, for_seeds, shared};

/// A volume, and what is done to it at its limit.
#[derive(Debug, Clone, Copy)]
struct Edge {
    extent_bytes: u64,
    extents: u64,
    large_min: u32,
    /// Lengths that values have at most, each as likely.
    lengths: &'static [usize],
    operations: usize,
    /// How often it is opened again.
    reopen_every: usize,
}

impl Edge {
    fn options(&self) -> Options {
        Options::new()
            .extent_bytes(self.extent_bytes)
            .volume_bytes(self.extents * self.extent_bytes)
            .large_min(self.large_min)
    }
}

/// A store at its limit, and what it holds.
struct Run {
    edge: Edge,
    path: PathBuf,
    /// None while it is opened again.
    db: Option<Db>,
    model: Model,
    rng: Rng,
    next_key: u32,
    puts: u32,
    refused: u32,
    deletes: u32,
}

impl Run {
    fn new(edge: Edge, path: &Path, seed: u64) -> Self {
        let db = edge.options().open(path).expect("a new volume");
        let db = Some(db);
        let (path, model, rng) = (path.to_owned(), Model::new(), Rng::new(seed));
        Self { edge, path, db, model, rng, next_key: 0, puts: 0, refused: 0, deletes: 0 }
    }

    fn db(&self) -> &Db {
        self.db.as_ref().expect("a store")
    }

    fn new_key(&mut self) -> Bytes {
        self.next_key += 1;
        // Of no order: so values that die together lie apart.
        shared(self.next_key.wrapping_mul(0x9e37_79b1).to_be_bytes())
    }

    fn old_key(&mut self) -> Option<Bytes> {
        let from = (self.rng.next() as u32).to_be_bytes();
        let after = self.model.range(shared(from)..).next();
        after.or_else(|| self.model.iter().next()).map(|(key, _)| key.clone())
    }

    fn value(&mut self) -> Bytes {
        let longest = *self.rng.pick(self.edge.lengths);
        let len = self.rng.below(longest + 1);
        shared(self.rng.bytes(len))
    }

    fn view(&mut self) -> Db {
        let durability = match self.rng.below(50) {
            0 => Durability::Synced,
            1..10 => Durability::Written,
            _ => Durability::Buffered,
        };
        self.db().with_durability(durability)
    }

    /// Whether it was admitted; it has no effect where it was not.
    fn put(&mut self, key: Bytes, value: Bytes) -> bool {
        let view = self.view();
        let put = match self.model.get(&key) {
            Some(seen) if self.rng.one_in(4) => {
                let swapped = view.compare_and_swap(&key, Some(seen), Some(&value));
                swapped.map(|swapped| swapped.expect("nobody else writes"))
            }
            _ => view.put(&key, &value),
        };
        match put {
            Ok(()) => {
                self.puts += 1;
                self.model.insert(key, value);
                true
            }
            Err(Error::Full { pinned_by: None }) => {
                self.refused += 1;
                let kept = self.db().get(&key).expect("reads go on");
                assert!(kept.as_deref() == self.model.get(&key).map(|value| &**value));
                false
            }
            Err(error) => panic!("a put: {error}"),
        }
    }

    /// Deletes a key, in one of the ways there are.
    fn delete(&mut self) {
        let Some(key) = self.old_key() else { return };
        let view = self.view();
        let deleted = match self.rng.below(4) {
            0 => {
                let mut batch = WriteBatch::new();
                batch.delete(&key);
                for _ in 0..self.rng.below(5) {
                    if let Some(other) = self.old_key() {
                        batch.delete(&other);
                        self.model.remove(&other);
                    }
                }
                view.write(&batch)
            }
            1 => {
                let seen = self.model[&key].clone();
                view.compare_and_swap(&key, Some(&seen), None)
                    .map(|swapped| swapped.expect("nobody else writes"))
            }
            _ => view.delete(&key),
        };
        deleted.unwrap_or_else(|error| {
            panic!("delete {} is refused: {error}\n{}", self.deletes, self.db().metrics())
        });
        self.deletes += 1;
        self.model.remove(&key);
    }

    /// Puts new keys until there is no room; how many bytes of values that were.
    fn fill(&mut self) -> usize {
        let mut bytes = 0;
        let mut refused = 0;
        // Where a long value has no room, a short one may.
        while refused < 20 {
            let (key, value) = (self.new_key(), self.value());
            let len = value.len();
            if self.put(key, value) {
                bytes += len;
            } else {
                refused += 1;
            }
        }
        bytes
    }

    /// Deletes until a put is admitted again: before all is deleted.
    fn put_after_deletes(&mut self) {
        let (key, value) = (self.new_key(), self.value());
        while !self.put(key.clone(), value.clone()) {
            assert!(!self.model.is_empty(), "nothing is left, and there is no room");
            for _ in 0..10 {
                self.delete();
            }
        }
    }

    fn reopen(&mut self, closed: bool) {
        let options = self.edge.options();
        let db = self.db.take().expect("a store");
        // The last handle closes the store as well where nobody did.
        if closed {
            db.close().expect("a close");
        } else {
            drop(db);
        }
        self.db = Some(options.open(&self.path).expect("a full volume opens"));
        assert_eq!(self.db().len(), self.model.len() as u64);
    }

    fn operate(&mut self, at: usize) {
        if at.is_multiple_of(self.edge.reopen_every) {
            let closed = self.rng.one_in(2);
            self.reopen(closed);
        }
        match self.rng.below(20) {
            0..9 => {
                let (key, value) = (self.new_key(), self.value());
                self.put(key, value);
            }
            9..14 => {
                if let Some(key) = self.old_key() {
                    let value = self.value();
                    self.put(key, value);
                }
            }
            14..19 => self.delete(),
            _ if self.rng.one_in(100) => self.put_after_deletes(),
            _ => {}
        }
    }

    fn check(&self) {
        assert_same(self.db(), &self.model);
        let report = self.db().check().expect("a check");
        assert!(report.is_clean(), "{report:?}");
    }
}

fn run(edge: Edge) {
    for_seeds([1], |seed| {
        let dir = directory();
        let mut run = Run::new(edge, &dir.path().join("data.vol"), seed);
        let at_first = run.fill();
        for at in 1..=edge.operations {
            run.operate(at);
        }
        println!(
            "{at_first} bytes; {} puts, {} refused, {} deletes",
            run.puts, run.refused, run.deletes
        );
        assert!(run.refused > 100, "it is full all the time");
        run.check();
        while !run.model.is_empty() {
            run.delete();
        }
        let again = run.fill();
        assert!(again * 4 >= at_first * 3, "{again} bytes fit now, and {at_first} did at first");
        run.check();
        run.reopen(true);
        run.check();
    });
}

#[test]
fn of_small_values() {
    run(Edge {
        extent_bytes: 256 << 10,
        extents: 16,
        large_min: 32 << 10,
        lengths: &[1000],
        operations: 50_000,
        reopen_every: 4000,
    });
}

#[test]
fn of_small_extents() {
    run(Edge {
        extent_bytes: 64 << 10,
        extents: 16,
        large_min: 8 << 10,
        lengths: &[10, 1000],
        operations: 20_000,
        reopen_every: 1000,
    });
}

#[test]
fn of_the_smallest_extents() {
    run(Edge {
        extent_bytes: 16 << 10,
        extents: 24,
        large_min: 2 << 10,
        lengths: &[10, 1000],
        operations: 5000,
        reopen_every: 250,
    });
}

#[test]
fn of_values_of_all_sizes() {
    run(Edge {
        extent_bytes: 256 << 10,
        extents: 24,
        large_min: 8 << 10,
        lengths: &[100, 4000, 100_000],
        operations: 25_000,
        reopen_every: 2500,
    });
}
