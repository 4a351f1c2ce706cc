//! Whether bytes that were read are the record that they are taken for: by checksum, place, life of
//! the extent, and key.

use super::core::Core;
use super::wanted::Wanted;
use crate::format::ids::{Incarnation, PAGE_BYTES, PageNo, pages_for};
use crate::format::location::{Home, Location};
use crate::format::log_page::{self, LogHeader, PageKind, pages_for_stream};
use crate::format::value_record::{self, ValueIdentity, record_len};
use crate::seeded::{Bug, seeded};
use std::ops::Range;

/// Why bytes that were read are not the value.
pub(super) type Fault = &'static str;

/// Pages that hold the record of `key` at `location`, from the key on in the log; its value has no
/// pages of its own.
pub(super) fn pages_of_record(key: &[u8], location: Location) -> usize {
    let at = location.offset() as usize;
    match location.home() {
        Home::Log => pages_for_stream(at + key.len() + location.value_len() as usize),
        Home::Value => {
            let end = at + record_len(key.len(), location.value_len());
            pages_for(end as u64) as usize
        }
        Home::Large => unreachable!("a large value has pages of its own"),
    }
}

impl Core {
    /// Verifies `buf`, the pages of the record of `key` in the log, and moves what they hold together.
    /// Where in them the value is.
    pub(super) fn verify_log(
        &self,
        wanted: &Wanted<'_>,
        buf: &mut [u8],
    ) -> Result<Range<usize>, Fault> {
        let &Wanted { key, location, .. } = wanted;
        self.verify_log_pages(location.page(), wanted.life(&self.space), buf)?;
        let at = log_page::join_payloads(buf) + location.offset() as usize;
        let start = at + key.len();
        let own = buf[at..start] == *key;
        own.then(|| start..start + location.value_len() as usize).ok_or("another key")
    }

    fn verify_log_pages(
        &self,
        first: PageNo,
        incarnation: Option<Incarnation>,
        buf: &[u8],
    ) -> Result<(), Fault> {
        let mut before: Option<LogHeader> = None;
        for (i, page) in buf.chunks_exact(PAGE_BYTES).enumerate() {
            let header = log_page::open(page, self.store, first.plus(i as u64))
                .ok_or("the page fails its checksum or is not the one that was written here")?;
            let sound = header.kind == PageKind::Batch
                && (Some(header.incarnation) == incarnation || seeded(Bug::EarlierLifeRead))
                && before.is_none_or(|before| {
                    header.batch == before.batch && header.index == before.index + 1
                });
            if !sound {
                return Err("the page is of an earlier life of its extent");
            }
            before = Some(header);
        }
        Ok(())
    }

    /// Verifies `buf`, the pages of the packed record of `key`. Where in them the value is.
    pub(super) fn verify_packed(
        &self,
        wanted: &Wanted<'_>,
        buf: &[u8],
    ) -> Result<Range<usize>, Fault> {
        let &Wanted { key, location, .. } = wanted;
        let at = location.offset() as usize;
        let end = at + record_len(key.len(), location.value_len());
        let identity = self.identity_of_packed(wanted).ok_or("there is no such extent")?;
        value_record::open(&buf[at..end], identity, key, location.value_len())
            .map(|range| at + range.start..at + range.end)
            .ok_or("the packed record is damaged or not the one that was written here")
    }

    pub(super) fn identity_of_packed(&self, wanted: &Wanted<'_>) -> Option<ValueIdentity> {
        Some(ValueIdentity {
            store: self.store,
            page: wanted.location.page(),
            offset: wanted.location.offset(),
            incarnation: wanted.life(&self.space)?,
        })
    }
}
