//! An interval log of HdrHistogram: each interval of each track, tagged, compressed (V2).

use super::track::{Stretch, Track};
use anyhow::{Context, Error, Result};
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::io::Write;
use std::time::{Duration, SystemTime};

/// Latencies are in ns; the longest of each interval is shown in ms.
const NS_PER_MS: f64 = 1e6;

/// Writes the intervals of all `tracks` in the order of time.
pub(super) fn write(tracks: &[Track], out: &mut impl Write) -> Result<()> {
    let mut stretches: Vec<(String, &Stretch)> = Vec::new();
    for track in tracks {
        stretches.extend(track.stretches.iter().map(|stretch| (track.tag(), stretch)));
    }
    stretches.sort_by_key(|(_, stretch)| stretch.begun);
    let begun = stretches.first().map_or(SystemTime::UNIX_EPOCH, |(_, first)| first.begun);
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!("[extentdb {} bench; latencies in ns]", env!("CARGO_PKG_VERSION")))
        .with_start_time(begun)
        .with_max_value_divisor(NS_PER_MS)
        .begin_log_with(out, &mut serializer)?;
    for (tag, stretch) in stretches {
        let since = stretch.begun.duration_since(begun).unwrap_or(Duration::ZERO);
        let tag = Tag::new(&tag).context("a tag")?;
        log.write_histogram(&stretch.latencies(), since, stretch.length, Some(tag))
            .map_err(|error| Error::msg(error.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::track::tests::{epoch, track};
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn a_log_is_read_as_it_was_written() {
        let tracks = [track(["phases", "get", ""], "store"), track(["phases", "get", ""], "raw")];
        let mut log = Vec::new();
        write(&tracks, &mut log).unwrap();
        let (mut starts, mut intervals) = (Vec::new(), Vec::new());
        for entry in IntervalLogIterator::new(&log) {
            match entry.unwrap() {
                LogEntry::StartTime(time) => starts.push(time),
                LogEntry::Interval(interval) => intervals.push(interval),
                other => panic!("{other:?}"),
            }
        }
        let since_epoch = epoch().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!((starts, intervals.len()), (vec![since_epoch], 16));
        assert!(intervals.is_sorted_by_key(|interval| interval.start_timestamp()));
        for tag in ["phases-get-store", "phases-get-raw"] {
            let of_tag = intervals.iter().filter(|interval| interval.tag() == Tag::new(tag));
            let mut all = Histogram::<u64>::new(3).unwrap();
            for interval in of_tag {
                assert_eq!(interval.duration(), Duration::from_millis(250));
                let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
                let one: Histogram<u64> =
                    Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
                assert!((interval.max() - one.max() as f64 / 1e6).abs() < 0.001);
                all.add(one).unwrap();
            }
            assert_eq!(all, tracks[0].latencies);
        }
    }

    #[test]
    fn a_run_without_intervals_has_an_empty_log() {
        let mut log = Vec::new();
        write(&[], &mut log).unwrap();
        assert!(log.starts_with(b"#[Histogram log format version 1.3]\n"));
    }
}
