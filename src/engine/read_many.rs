//! Many values at once: their reads are issued together, and each is verified while others are
//! under way.

use super::Engine;
use super::read::Caching;
use super::wanted::Wanted;
use crate::device::ReadRequest;
use crate::error::{Error, Result};
use crate::format::location::Location;
use crate::value::Value;

/// A key, and where its value is.
pub(crate) type Located<'a> = (&'a [u8], Location);

impl Engine {
    /// The values that are `wanted`, in their order, each as [`fetch_by`](Self::fetch_by) would
    /// give it.
    pub(crate) fn fetch_many(
        &self,
        caching: Caching,
        wanted: &[Located<'_>],
    ) -> Vec<Result<Value>> {
        if let Err(error) = self.check_usable() {
            return wanted.iter().map(|_| Err(error.clone())).collect();
        }
        let wanted: Vec<Wanted<'_>> =
            wanted.iter().map(|&(key, location)| Wanted::new(key, location)).collect();
        let mut values: Vec<Option<Result<Value>>> =
            wanted.iter().map(|wanted| self.in_memory(caching, wanted).map(Ok)).collect();
        let absent = |values: &[Option<_>]| -> Vec<usize> {
            (0..values.len()).filter(|&at| values[at].is_none()).collect()
        };
        let mut attempts = 2;
        let missing = absent(&values);
        if missing.len() > 1 {
            self.read_together(caching, &wanted, &missing, &mut values);
            attempts = 1;
        }
        // One alone, or what failed its verification and is read once more.
        for at in absent(&values) {
            values[at] = Some(self.read_whole(caching, &wanted[at], attempts));
        }
        values.into_iter().map(|value| value.expect("each was read")).collect()
    }

    /// Reads those of the `wanted` that are `missing`. What fails its verification stays missing.
    fn read_together(
        &self,
        caching: Caching,
        wanted: &[Wanted<'_>],
        missing: &[usize],
        values: &mut [Option<Result<Value>>],
    ) {
        let mut refused: Vec<(usize, Error)> = Vec::new();
        let mut requests = missing.iter().filter_map(|&tag| {
            let Wanted { key, location, .. } = wanted[tag];
            match self.core.pool.take(Self::pages_of(key, location)) {
                Ok(buf) => Some(ReadRequest { tag, page: location.page(), buf }),
                Err(error) => {
                    refused.push((tag, error));
                    None
                }
            }
        });
        self.core.volume.read_many(&mut requests, &mut |request, outcome| {
            let ReadRequest { tag, mut buf, .. } = request;
            let wanted = &wanted[tag];
            let verified = outcome.map(|()| {
                let verified = self.verify_whole(wanted, &mut buf);
                verified.inspect_err(|what| self.read_again(wanted.location.page(), what)).ok()
            });
            let value = verified
                .map(|range| range.map(|range| self.take_value(caching, wanted, buf, range)));
            values[tag] = value.transpose();
        });
        for (tag, error) in refused {
            values[tag] = Some(Err(error));
        }
    }
}
