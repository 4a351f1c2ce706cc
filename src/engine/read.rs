//! From a location to verified bytes: one device read of exactly the pages that hold them.

use super::Engine;
use super::cache::Place;
use super::verify::{self, Fault};
use super::wanted::Wanted;
use crate::device::AlignedBuf;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::format::large::{self, BLOCK_BYTES, LargeHeader, LargeIdentity, LargeShape};
use crate::format::location::{Home, Location};
use crate::metrics::{Counter, Stage};
use crate::seeded::{Bug, seeded};
use crate::value::Value;
use std::ops::Range;

/// How often the device is asked before what it says is taken for its last word.
const ATTEMPTS: usize = 2;

/// What a read has to do with the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caching {
    /// The value may be read again: it is looked for, and kept.
    Keep,
    /// It is one of many that are read once: it is looked for, and nothing more.
    Look,
    /// What the device holds is what is asked for.
    Bypass,
}

impl Engine {
    /// The value of `key` at `location`.
    pub(crate) fn fetch(&self, key: &[u8], location: Location) -> Result<Value> {
        self.fetch_by(Caching::Keep, key, location)
    }

    /// The value of `key` at `location`, by way of the cache as `caching` says.
    pub(crate) fn fetch_by(
        &self,
        caching: Caching,
        key: &[u8],
        location: Location,
    ) -> Result<Value> {
        self.check_usable()?;
        let wanted = Wanted::new(key, location);
        match self.in_memory(caching, &wanted) {
            Some(value) => Ok(value),
            None => self.read_whole(caching, &wanted, ATTEMPTS),
        }
    }

    /// The value, if that takes no read.
    pub(super) fn in_memory(&self, caching: Caching, wanted: &Wanted<'_>) -> Option<Value> {
        let &Wanted { key, location, .. } = wanted;
        if let Some(place) = self.place_in_cache(caching, wanted) {
            let counts = caching == Caching::Keep;
            let found = self.cache.get(place, key, counts);
            if counts {
                let hit = found.is_some();
                self.recorder.count(Counter::CacheHits, u64::from(hit));
                self.recorder.count(Counter::CacheMisses, u64::from(!hit));
            }
            if found.is_some() {
                return found;
            }
        }
        let is_in_log = location.home() == Home::Log;
        let unwritten = || self.log.read_unwritten(location, key.len()).map(Value::from);
        is_in_log.then(unwritten).flatten()
    }

    /// Where the cache would have the value.
    fn place_in_cache(&self, caching: Caching, wanted: &Wanted<'_>) -> Option<Place> {
        let &Wanted { key, location, .. } = wanted;
        let may_be = caching != Caching::Bypass
            && location.home() != Home::Large
            && self.cache.may_hold(key, location.value_len());
        let life = may_be.then(|| wanted.life(&self.core.space)).flatten();
        life.map(|incarnation| Place::new(location, incarnation))
    }

    /// Bytes `wanted` of the value, reading no more of a large one than they need.
    pub(crate) fn fetch_range(
        &self,
        key: &[u8],
        location: Location,
        wanted: Range<u64>,
    ) -> Result<Value> {
        let len = u64::from(location.value_len());
        let wanted = wanted.start.min(len)..wanted.end.min(len).max(wanted.start.min(len));
        if location.home() != Home::Large || wanted == (0..len) {
            let whole = self.fetch(key, location)?;
            return Ok(whole.slice(wanted.start as usize..wanted.end as usize));
        }
        self.check_usable()?;
        self.fetch_blocks(key, location, wanted)
    }

    /// Pages that hold the whole value at `location`.
    pub(super) fn pages_of(key: &[u8], location: Location) -> usize {
        match location.home() {
            Home::Large => shape_of(key, location).pages() as usize,
            Home::Log | Home::Value => verify::pages_of_record(key, location),
        }
    }

    /// Reads the whole value from the device, `attempts` times if need be.
    pub(super) fn read_whole(
        &self,
        caching: Caching,
        wanted: &Wanted<'_>,
        attempts: usize,
    ) -> Result<Value> {
        let &Wanted { key, location, .. } = wanted;
        let mut buf = self.core.pool.take(Self::pages_of(key, location))?;
        let range = self.read_verified(location.page(), key, &mut buf, attempts, |buf| {
            self.verify_whole(wanted, buf)
        })?;
        Ok(self.take_value(caching, wanted, buf, range))
    }

    /// Verifies `buf`, the pages of the whole value. Where in them it is.
    pub(super) fn verify_whole(
        &self,
        wanted: &Wanted<'_>,
        buf: &mut [u8],
    ) -> Result<Range<usize>, Fault> {
        match wanted.location.home() {
            Home::Log => self.core.verify_log(wanted, buf),
            Home::Large => self.verify_large(wanted.key, wanted.location, buf),
            Home::Value => self.core.verify_packed(wanted, buf),
        }
    }

    /// The verified value, which is `range` of `buf`.
    pub(super) fn take_value(
        &self,
        caching: Caching,
        wanted: &Wanted<'_>,
        buf: AlignedBuf,
        range: Range<usize>,
    ) -> Value {
        let (key, keeps) = (wanted.key, caching == Caching::Keep);
        match keeps.then(|| self.place_in_cache(caching, wanted)).flatten() {
            // Beside its key, as it is on the device.
            Some(place) if self.cache.admits(place) => {
                self.cache.keep(place, &buf[range.start - key.len()..range.end], key.len())
            }
            _ => Value::from_pages(buf, range),
        }
    }

    fn verify_large(
        &self,
        key: &[u8],
        location: Location,
        buf: &[u8],
    ) -> Result<Range<usize>, Fault> {
        let start = shape_of(key, location).header_pages() as usize * PAGE_BYTES;
        let end = start + location.value_len() as usize;
        let (header, data) = buf.split_at(start);
        let header = self.open_header(header, key, location)?;
        let sound = header.verifies(0, &data[..end - start]) || seeded(Bug::LargeChecksumIgnored);
        if sound { Ok(start..end) } else { Err(BAD_BLOCK) }
    }

    /// Reads the header, then the blocks that hold `wanted`.
    fn fetch_blocks(&self, key: &[u8], location: Location, wanted: Range<u64>) -> Result<Value> {
        let header_buf = self.read_large_header(key, location)?;
        self.read_blocks(key, location, &header_buf, wanted)
    }

    /// The verified header pages of a large value.
    pub(crate) fn read_large_header(&self, key: &[u8], location: Location) -> Result<AlignedBuf> {
        let shape = shape_of(key, location);
        let mut buf = self.core.pool.take(shape.header_pages() as usize)?;
        self.read_verified(location.page(), key, &mut buf, ATTEMPTS, |buf| {
            self.open_header(buf, key, location).map(drop)
        })?;
        Ok(buf)
    }

    /// Bytes `wanted` of a large value, verified by its `header` pages.
    pub(crate) fn read_blocks(
        &self,
        key: &[u8],
        location: Location,
        header: &AlignedBuf,
        wanted: Range<u64>,
    ) -> Result<Value> {
        if wanted.is_empty() {
            return Ok(Value::from(Vec::new()));
        }
        let block = BLOCK_BYTES as u64;
        let first = wanted.start / block;
        let start = first * block;
        let end = wanted.end.next_multiple_of(block).min(u64::from(location.value_len()));
        let pages = (end - start).div_ceil(PAGE_BYTES as u64);
        let shape = shape_of(key, location);
        let at = location.page().plus(shape.header_pages() + start / PAGE_BYTES as u64);
        let mut buf = self.core.pool.take(pages as usize)?;
        self.read_verified(at, key, &mut buf, ATTEMPTS, |buf| {
            let header = self.open_header(header, key, location)?;
            let data = &buf[..(end - start) as usize];
            if header.verifies(first as usize, data) { Ok(()) } else { Err(BAD_BLOCK) }
        })?;
        let range = (wanted.start - start) as usize..(wanted.end - start) as usize;
        Ok(Value::from_pages(buf, range))
    }

    fn open_header<'b>(
        &self,
        pages: &'b [u8],
        key: &[u8],
        location: Location,
    ) -> Result<LargeHeader<'b>, Fault> {
        let run =
            self.core.space.large_at(location.page()).ok_or("the value is not known any more")?;
        let identity = LargeIdentity {
            store: self.core.store,
            page: location.page(),
            incarnation: run.incarnation,
        };
        large::open(pages, identity, key, location.value_len())
            .ok_or("the header of the large value is damaged or not its own")
    }

    /// What was read from `page` on is to be read once more.
    pub(super) fn read_again(&self, page: PageNo, what: Fault) {
        self.core.volume.events.tell(|| Event::ReadRetried { page: page.0, what });
    }

    /// Reads `buf` from `page` on and has it verified, once more from the device if that fails, up
    /// to `attempts` times in all; then it is corrupt, never absent.
    fn read_verified<T>(
        &self,
        page: PageNo,
        key: &[u8],
        buf: &mut AlignedBuf,
        attempts: usize,
        mut verify: impl FnMut(&mut [u8]) -> Result<T, Fault>,
    ) -> Result<T> {
        let mut what = "";
        for left in (0..attempts).rev() {
            let begun = self.recorder.start();
            self.core.volume.read(page, buf)?;
            let begun = self.recorder.lap(Stage::GetDevice, begun);
            let verified = verify(buf);
            self.recorder.stop(Stage::GetVerify, begun);
            match verified {
                Ok(found) => return Ok(found),
                Err(fault) => what = fault,
            }
            if left > 0 {
                self.read_again(page, what);
            }
        }
        let error = Error::Corrupt { page: page.0, key: Some(key.to_vec()), what };
        self.core.volume.events.tell(|| Event::Corrupt { error: error.clone() });
        Err(error)
    }
}

const BAD_BLOCK: Fault = "a block of the large value fails its checksum";

fn shape_of(key: &[u8], location: Location) -> LargeShape {
    LargeShape { key_len: key.len(), value_len: location.value_len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Purpose;
    use crate::extent::Claim;
    use crate::format::ids::ExtentNo;
    use crate::format::value_record::{self, record_len};
    use crate::options::Options;

    /// P3: one life for all that is done with what was asked for.
    #[test]
    fn the_life_of_an_extent_is_looked_up_once() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(&dir.path().join("data.vol"), &Options::new()).unwrap();
        let space = &engine.core.space;
        let extent = space.reserve_extent(Claim::Barren).unwrap();
        space.prepare(extent, &|_| true).unwrap();
        let page = PageNo(u64::from(space.extent_pages()) * u64::from(extent.0));
        let location = Location::log(page, 8, 100);
        let before = Wanted::new(b"key", location);
        let place = engine.place_in_cache(Caching::Keep, &before).unwrap();
        let life = space.open_log_extent(extent);
        assert_ne!(before.life(space), Some(life), "it was found in an earlier one");
        assert_eq!(engine.place_in_cache(Caching::Keep, &before), Some(place));
        let after = Wanted::new(b"key", location);
        assert_eq!(after.life(space), Some(life));
        assert_ne!(engine.place_in_cache(Caching::Keep, &after), Some(place));
        assert_ne!(engine.core.identity_of_packed(&after), engine.core.identity_of_packed(&before));
    }

    #[test]
    fn a_packed_record_is_read_as_it_is_or_corrupt() {
        let dir = tempfile::tempdir().unwrap();
        // Places are written again in one life, which nothing but a test does.
        let options = Options::new().cache_bytes(0);
        let engine = Engine::open(&dir.path().join("data.vol"), &options).unwrap();
        let space = &engine.core.space;
        let extent = ExtentNo(5);
        let page = PageNo(u64::from(space.extent_pages()) * u64::from(extent.0) + 3);
        let value: Vec<u8> = (0..5000).map(|i| (i % 251) as u8).collect();
        for (offset, len, pages) in [(0, 0, 1), (4072, 100, 2), (4088, 0, 2), (4048, 5000, 3)] {
            let value = &value[..len];
            let location = Location::value(page, offset, len as u32);
            let identity = engine.core.identity_of_packed(&Wanted::new(b"key", location)).unwrap();
            assert_eq!(Some(identity.incarnation), space.incarnation_of(extent));
            let mut buf = engine.core.pool.take(pages).unwrap();
            buf.fill(0xff);
            let at = usize::from(offset);
            let record = &mut buf[at..at + record_len(3, len as u32)];
            value_record::encode(identity, b"key", value, record);
            engine.core.volume.write(Purpose::Large, page, &buf).unwrap();

            assert_eq!(engine.fetch(b"key", location).unwrap(), value);
            let middle = engine.fetch_range(b"key", location, 30..60).unwrap();
            assert_eq!(middle, value[len.min(30)..len.min(60)]);
            let corrupt = |key: &[u8], location| {
                matches!(engine.fetch(key, location), Err(Error::Corrupt { .. }))
            };
            assert!(corrupt(b"kez", location));
            assert!(corrupt(b"key", Location::value(page, offset, len as u32 + 1)));
            assert!(corrupt(b"key", Location::value(page.plus(1), offset, len as u32)));
            buf[at] ^= 1;
            engine.core.volume.write(Purpose::Large, page, &buf).unwrap();
            assert!(corrupt(b"key", location));
        }
    }
}
