//! One run: operations drawn at random, done to a store and to a model, and compared.

use crate::draw;
use crate::scan::Scan;
use crate::support::{
    Bytes, LONGEST_KEY, Model, Rng, assert_bytes, assert_entries, assert_same, brief, directory,
    shared, surely_fits,
};
use extentdb::{AlignedBuf, Db, Durability, Error, Options, Result, Snapshot, WriteBatch};
use std::io::Read;
use tempfile::TempDir;

/// Values up to this length are read wherever a scan meets them.
const READ_IN_SCANS: usize = 70 << 10;
const MOST_HELD: usize = 4;

/// The volume of a run, and how long it goes on.
#[derive(Clone)]
pub(crate) struct Profile {
    pub(crate) options: Options,
    pub(crate) extent_bytes: u64,
    pub(crate) longest_value: usize,
    pub(crate) ops: usize,
    /// Durabilities of the writes.
    pub(crate) modes: &'static [Durability],
}

pub(crate) struct Run<'p> {
    profile: &'p Profile,
    rng: Rng,
    dir: TempDir,
    keys: Vec<Vec<u8>>,
    db: Db,
    model: Model,
    snapshots: Vec<(Snapshot, Model)>,
    scans: Vec<Scan>,
}

impl<'p> Run<'p> {
    pub(crate) fn new(profile: &'p Profile, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let dir = directory();
        let keys = draw::keys(&mut rng, profile.extent_bytes);
        let db = profile.options.open(dir.path().join("data.vol")).expect("a new volume");
        assert_eq!(db.info().extent_bytes, profile.extent_bytes, "the profile is what it says");
        Self {
            profile,
            rng,
            dir,
            keys,
            db,
            model: Model::new(),
            snapshots: Vec::new(),
            scans: Vec::new(),
        }
    }

    /// Does all operations, then compares everything, as it is and after reopening.
    pub(crate) fn finish(mut self) {
        for _ in 0..self.profile.ops {
            self.step();
            assert_eq!(self.db.len(), self.model.len() as u64);
        }
        self.verify_held();
        self.verify();
        self.reopen();
        self.verify();
    }

    fn step(&mut self) {
        match self.rng.below(1000) {
            0..540 if !self.has_room() => self.reads(),
            0..260 => self.put(),
            260..340 => self.delete(),
            340..400 => self.batch(),
            400..450 => self.put_if_absent(),
            450..540 => self.compare_and_swap(),
            540..700 => self.reads(),
            700..770 => self.get_range(),
            770..800 => self.get_reader(),
            800..840 => self.multi_get(),
            840..900 => self.scan(),
            900..930 => self.hold_snapshot(),
            930..950 => self.hold_scan(),
            950..970 => self.look_at_held(),
            970..985 => self.db.sync().expect("a sync"),
            985..990 => self.verify_held(),
            _ => self.reopen(),
        }
    }

    /// Half of the volume is left alone: what is reserved, and adjacent pages for the longest value.
    fn has_room(&self) -> bool {
        let metrics = self.db.metrics();
        let room = metrics.free_bytes + (metrics.max_bytes - metrics.volume_bytes);
        room >= metrics.max_bytes / 2
    }

    fn key(&mut self) -> Vec<u8> {
        if self.rng.one_in(12) {
            return draw::new_key(&mut self.rng);
        }
        self.rng.pick(&self.keys).clone()
    }

    fn value(&mut self, key: &[u8]) -> Bytes {
        let len = draw::value_len(&mut self.rng, key.len(), self.profile.longest_value);
        shared(self.rng.bytes(len))
    }

    fn view(&mut self) -> Db {
        let mode = *self.rng.pick(self.profile.modes);
        self.db.with_durability(mode)
    }

    /// Log bytes that a change takes at most: value and key, or key and announcements.
    fn log_bytes(&self, key: &[u8], value: Option<&[u8]>) -> usize {
        let extent = self.profile.extent_bytes as usize;
        let len = value.map_or(0, <[u8]>::len);
        let inline = if len <= extent / 8 { len } else { 0 };
        key.len() + inline + 64 + (len / extent + 2) * 32
    }

    /// Whether the write was done; `BatchTooLarge` and `Full` are answers only where they can be true.
    fn accepted<T>(&self, result: Result<T>, log_bytes: usize) -> Option<T> {
        match result {
            Ok(done) => Some(done),
            Err(Error::BatchTooLarge { .. })
                if !surely_fits(self.profile.extent_bytes as usize, log_bytes) =>
            {
                None
            }
            // What is held may be half of a small volume, whose other half is not for puts.
            Err(Error::Full { pinned_by: Some(_) })
                if !(self.snapshots.is_empty() && self.scans.is_empty()) =>
            {
                None
            }
            Err(error) => panic!("a write of at most {log_bytes} log bytes: {error}"),
        }
    }

    fn put(&mut self) {
        let key = self.key();
        let value = self.value(&key);
        let view = self.view();
        let result = match self.rng.below(4) {
            0 => view.put_reader(&key, value.len() as u64, &value[..]),
            1 => view.put_aligned(&key, AlignedBuf::from_slice(&value).expect("memory")),
            _ => view.put(&key, &value),
        };
        let log_bytes = self.log_bytes(&key, Some(&value));
        if self.accepted(result, log_bytes).is_some() {
            self.model.insert(shared(&key), value);
        }
        self.look_at(&key);
    }

    fn delete(&mut self) {
        let key = self.key();
        let result = self.view().delete(&key);
        if self.accepted(result, self.log_bytes(&key, None)).is_some() {
            self.model.remove(&key[..]);
        }
        self.look_at(&key);
    }

    /// The changes of a batch fall on few keys, so that some of them override others.
    fn batch(&mut self) {
        let few: Vec<Vec<u8>> = (0..1 + self.rng.below(8)).map(|_| self.key()).collect();
        let mut batch = WriteBatch::new();
        let mut after = self.model.clone();
        let mut log_bytes = 0;
        for _ in 0..self.rng.below(16) {
            let key = self.rng.pick(&few).clone();
            if self.rng.one_in(3) {
                batch.delete(&key);
                after.remove(&key[..]);
                log_bytes += self.log_bytes(&key, None);
            } else {
                let value = self.value(&key);
                batch.put(&key, &value);
                log_bytes += self.log_bytes(&key, Some(&value));
                after.insert(shared(&key), value);
            }
        }
        let result = self.view().write(&batch);
        if self.accepted(result, log_bytes).is_some() {
            self.model = after;
        }
        for key in &few {
            self.look_at(key);
        }
    }

    fn put_if_absent(&mut self) {
        let key = self.key();
        let value = self.value(&key);
        let result = self.view().put_if_absent(&key, &value);
        let log_bytes = self.log_bytes(&key, Some(&value));
        if let Some(stored) = self.accepted(result, log_bytes) {
            assert_eq!(stored, !self.model.contains_key(&key[..]), "key {}", brief(&key));
            if stored {
                self.model.insert(shared(&key), value);
            }
        }
        self.look_at(&key);
    }

    fn compare_and_swap(&mut self) {
        let key = self.key();
        let current = self.model.get(&key[..]).cloned();
        let expected = match self.rng.below(5) {
            0 => None,
            1 => Some(self.value(&key)),
            _ => current.clone(),
        };
        let new = (!self.rng.one_in(4)).then(|| self.value(&key));
        let result = self.view().compare_and_swap(&key, expected.as_deref(), new.as_deref());
        let log_bytes = self.log_bytes(&key, new.as_deref());
        match self.accepted(result, log_bytes) {
            Some(Ok(())) => {
                assert_bytes(current.as_deref(), expected.as_deref(), "a swap that was done");
                match new {
                    Some(value) => drop(self.model.insert(shared(&key), value)),
                    None => drop(self.model.remove(&key[..])),
                }
            }
            Some(Err(mismatch)) => {
                assert_ne!(current, expected, "a swap that was refused");
                assert_bytes(mismatch.current.as_deref(), current.as_deref(), "a mismatch");
            }
            None => {}
        }
        self.look_at(&key);
    }

    fn look_at(&self, key: &[u8]) {
        let expected = self.model.get(key).map(|value| &value[..]);
        let found = self.db.get(key).expect("a get");
        assert_bytes(found.as_deref(), expected, &format!("key {}", brief(key)));
    }

    fn reads(&mut self) {
        let key = self.key();
        self.look_at(&key);
        let expected = self.model.get(&key[..]);
        assert_eq!(self.db.contains_key(&key).expect("a lookup"), expected.is_some());
        let len = expected.map(|value| value.len() as u64);
        assert_eq!(self.db.value_len(&key).expect("a lookup"), len);
    }

    fn get_range(&mut self) {
        let key = self.key();
        let value = self.model.get(&key[..]).cloned();
        let len = value.as_ref().map_or(0, |value| value.len());
        let edge = *self.rng.pick(&[1, 512, 4096, 64 << 10]);
        let near = |rng: &mut Rng| {
            let at = rng.below(len + 2);
            if rng.one_in(2) { at } else { (at / edge * edge + rng.below(3)).saturating_sub(1) }
        };
        let start = near(&mut self.rng);
        let wanted = if self.rng.one_in(8) { usize::MAX } else { near(&mut self.rng) };
        let found = self.db.get_range(&key, start as u64, wanted as u64).expect("a get");
        let expected = value.as_ref().map(|value| {
            let end = start.saturating_add(wanted).min(len);
            &value[start.min(len)..end.max(start.min(len))]
        });
        let what = format!("{wanted} bytes from {start} of {len} of key {}", brief(&key));
        assert_bytes(found.as_deref(), expected, &what);
    }

    fn get_reader(&mut self) {
        let key = self.key();
        let expected = self.model.get(&key[..]).cloned();
        let reader = self.db.get_reader(&key).expect("a reader");
        let found = reader.map(|mut reader| {
            let mut found = Vec::new();
            assert_eq!(reader.read_to_end(&mut found).expect("a read") as u64, reader.len());
            found
        });
        assert_bytes(found.as_deref(), expected.as_deref(), "a value that was streamed");
    }

    fn multi_get(&mut self) {
        let keys: Vec<Vec<u8>> = (0..self.rng.below(12)).map(|_| self.key()).collect();
        let found = self.db.multi_get(&keys);
        assert_eq!(found.len(), keys.len());
        for (key, found) in keys.iter().zip(found) {
            let expected = self.model.get(&key[..]).map(|value| &value[..]);
            assert_bytes(found.expect("a get").as_deref(), expected, "one of many");
        }
    }

    /// A scan of the store, or of the newest snapshot.
    fn begin_scan(&mut self) -> Scan {
        let frozen = if self.rng.one_in(3) { self.snapshots.last() } else { None };
        let model = frozen.map_or(&self.model, |(_, model)| model);
        match self.rng.below(8) {
            0 => Scan::all(frozen.map_or_else(|| self.db.iter(), |(s, _)| s.iter()), model),
            1 | 2 => {
                let prefix = draw::prefix(&mut self.rng, &self.keys);
                let entries =
                    frozen.map_or_else(|| self.db.prefix(&prefix), |(s, _)| s.prefix(&prefix));
                Scan::prefix(entries, model, &prefix)
            }
            _ => {
                let lower = draw::bound(&mut self.rng, &self.keys);
                let range = (lower, draw::bound(&mut self.rng, &self.keys));
                let own = range.clone();
                let entries = match frozen {
                    Some((snapshot, _)) => snapshot.range::<Vec<u8>, _>(own),
                    None => self.db.range::<Vec<u8>, _>(own),
                };
                Scan::range(entries, model, &range)
            }
        }
    }

    fn scan(&mut self) {
        let read = *self.rng.pick(&[0, 100, READ_IN_SCANS]);
        self.begin_scan().finish(&mut self.rng, read);
    }

    fn hold_scan(&mut self) {
        if self.scans.len() == MOST_HELD {
            let scan = self.scans.remove(0);
            scan.finish(&mut self.rng, READ_IN_SCANS);
        }
        let scan = self.begin_scan();
        self.scans.push(scan);
    }

    fn hold_snapshot(&mut self) {
        if self.snapshots.len() == MOST_HELD {
            let at = self.rng.below(MOST_HELD);
            let (snapshot, model) = self.snapshots.remove(at);
            assert_entries(snapshot.iter(), model.iter());
        }
        self.snapshots.push((self.db.snapshot(), self.model.clone()));
    }

    /// Reads something in each snapshot, and goes on with each scan.
    fn look_at_held(&mut self) {
        for (snapshot, model) in &self.snapshots {
            assert_eq!(snapshot.len(), model.len() as u64);
            for _ in 0..4 {
                let key = self.rng.pick(&self.keys);
                let expected = model.get(&key[..]).map(|value| &value[..]);
                let found = snapshot.get(key).expect("a get");
                assert_bytes(found.as_deref(), expected, "a snapshot's value");
                let len = expected.map(|value| value.len() as u64);
                assert_eq!(snapshot.value_len(key).expect("a lookup"), len);
            }
        }
        for scan in &mut self.scans {
            scan.walk(&mut self.rng, 5, READ_IN_SCANS);
        }
    }

    fn verify_held(&mut self) {
        for (snapshot, model) in self.snapshots.drain(..) {
            assert_eq!(snapshot.len(), model.len() as u64);
            assert_entries(snapshot.iter(), model.iter());
        }
        for scan in std::mem::take(&mut self.scans) {
            scan.finish(&mut self.rng, READ_IN_SCANS);
        }
    }

    fn reopen(&mut self) {
        let options = draw::other_options(&mut self.rng, &self.profile.options);
        let path = self.dir.path().join("data.vol");
        if self.rng.one_in(2) {
            self.db.clone().close().expect("a close");
            assert!(matches!(self.db.get("a"), Err(Error::Closed)));
            // What is held says that it is closed, and is in nobody's way.
            self.db = options.open(path).expect("the same volume");
            for (snapshot, _) in self.snapshots.drain(..) {
                assert!(matches!(snapshot.get("a"), Err(Error::Closed)));
            }
            self.scans.clear();
        } else {
            self.snapshots.clear();
            self.scans.clear();
            // The handle goes first: another one replaces it until the volume is open again.
            let stand_in = Db::open(self.dir.path().join("stand-in.vol")).expect("a volume");
            drop(std::mem::replace(&mut self.db, stand_in));
            self.db = options.open(path).expect("the same volume");
        }
        let report = self.db.open_report();
        assert_eq!(report.keys, self.model.len() as u64);
        assert!(!report.created && report.dropped_tail.is_none(), "{report:?}");
        assert!(report.repaired.is_empty() && report.warnings.is_empty(), "{report:?}");
    }

    /// Everything, and keys that were never written.
    fn verify(&mut self) {
        assert_same(&self.db, &self.model);
        for len in [0, 1, 2, 16, 33, 5000, LONGEST_KEY, LONGEST_KEY + 1, 100_000] {
            let key = self.rng.bytes(len);
            let expected = self.model.get(&key[..]).map(|value| &value[..]);
            let found = self.db.get(&key).expect("a get");
            assert_bytes(found.as_deref(), expected, "a key that was never written");
        }
    }
}
