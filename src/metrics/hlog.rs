//! Histograms of one interval after the other, in HdrHistogram's log format.
//!
//! A line holds a histogram in the encoding "V2", in a zlib stream, in base 64. The stream is not
//! compressed: a run of zeros in the counts is one number already, and a crate that compresses is more
//! than a few kilobytes a line are worth
//! (docs/decisions/0029-histograms-are-exported-by-hand.md).

use super::histogram::Histogram;
use super::snapshot::Metrics;
use crate::sync::{self, Instant};
use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What an encoded histogram begins with, and one in a zlib stream.
const V2: u32 = 0x1c84_9313;
const V2_IN_ZLIB: u32 = 0x1c84_9314;
/// Header of a zlib stream that took no time to compress.
const ZLIB: [u8; 2] = [0x78, 0x01];
/// Most bytes of a block that is stored as it is.
const STORED: usize = 65_535;
/// Bytes over which a checksum of zlib's can be summed up without a remainder.
const SUMMED: usize = 5552;

/// Writes the latencies of all stages, interval by interval, as a `.hlog` file: HdrHistogram's interval
/// log, format version 1.3, which its log processor and analyser read.
///
/// ```
/// use extentdb::IntervalLog;
///
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// let file = std::fs::File::create(dir.path().join("latencies.hlog"))?;
/// let mut log = IntervalLog::begin(file, db.metrics())?;
/// for second in 0..3 {
///     db.put("now", second.to_string())?; // A service does its work for a second.
///     log.add(db.metrics())?;
/// }
/// let text = std::fs::read_to_string(dir.path().join("latencies.hlog"))?;
/// assert_eq!(text.lines().filter(|line| line.starts_with("Tag=put-flush,")).count(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct IntervalLog<W> {
    to: W,
    begun: Instant,
    /// When the last interval ended, after `begun`.
    ended: Duration,
    last: Metrics,
}

impl<W: Write> IntervalLog<W> {
    /// Begins a log, and the first interval, with `metrics` that were just taken.
    ///
    /// # Errors
    /// Those of `to`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let mut text = Vec::new();
    /// extentdb::IntervalLog::begin(&mut text, db.metrics())?;
    /// assert!(text.starts_with(b"#[Histogram log format version 1.3]\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn begin(mut to: W, metrics: Metrics) -> io::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = seconds(now);
        writeln!(to, "#[Histogram log format version 1.3]")?;
        writeln!(to, "#[StartTime: {now:.3} (seconds since epoch)]")?;
        writeln!(
            to,
            r#""StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram""#
        )?;
        Ok(Self { to, begun: sync::now(), ended: Duration::ZERO, last: metrics })
    }

    /// Ends an interval with `metrics` that were just taken, and begins the next: a line for each stage
    /// with samples in it, its name the tag. The longest latency is in milliseconds, those in the
    /// histogram are in nanoseconds.
    ///
    /// # Errors
    /// Those of `to`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let mut text = Vec::new();
    /// let mut log = extentdb::IntervalLog::begin(&mut text, db.metrics())?;
    /// db.put("k", "v")?;
    /// log.add(db.metrics())?;
    /// assert!(String::from_utf8(text)?.contains("\nTag=put-write,0.000,"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add(&mut self, metrics: Metrics) -> io::Result<()> {
        let now = self.begun.elapsed();
        let (start, length) = (seconds(self.ended), seconds(now.saturating_sub(self.ended)));
        for (stage, histogram) in &metrics.since(&self.last).histograms {
            let tag = stage.to_string().replace(' ', "-");
            let max_ms = histogram.0.max() as f64 / 1e6;
            let encoded = base64(&in_zlib(&encode(histogram)));
            writeln!(self.to, "Tag={tag},{start:.3},{length:.3},{max_ms:.3},{encoded}")?;
        }
        (self.ended, self.last) = (now, metrics);
        self.to.flush()
    }
}

impl<W> fmt::Debug for IntervalLog<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntervalLog").field("ended", &self.ended).finish_non_exhaustive()
    }
}

fn seconds(span: Duration) -> f64 {
    span.as_secs_f64()
}

/// The histogram in the encoding V2: a header, and the counts, in which runs of zeros are negative.
fn encode(Histogram(counts): &Histogram) -> Vec<u8> {
    let mut payload = Vec::new();
    let (mut zeros, mut left) = (0, counts.len());
    // Nothing comes after the last that is counted.
    for it in counts.iter_all() {
        if left == 0 {
            break;
        }
        let count = it.count_at_value();
        if count == 0 {
            zeros += 1;
            continue;
        }
        if zeros > 0 {
            // A single zero is itself.
            push_number(if zeros == 1 { 0 } else { -zeros }, &mut payload);
            zeros = 0;
        }
        push_number(count as i64, &mut payload);
        left -= count;
    }
    let mut bytes = V2.to_be_bytes().to_vec();
    bytes.extend((payload.len() as u32).to_be_bytes());
    let normalizing_offset = 0_u32;
    bytes.extend(normalizing_offset.to_be_bytes());
    bytes.extend(u32::from(counts.sigfig()).to_be_bytes());
    bytes.extend(counts.low().to_be_bytes());
    bytes.extend(counts.high().to_be_bytes());
    let ratio = 1.0_f64;
    bytes.extend(ratio.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Zigzag, then seven bits a byte; the ninth byte has eight.
fn push_number(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    for _ in 0..8 {
        if rest < 0x80 {
            break;
        }
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// `bytes` in a zlib stream, as they are, and what says so.
fn in_zlib(bytes: &[u8]) -> Vec<u8> {
    let mut stream = ZLIB.to_vec();
    let last = bytes.chunks(STORED).count() - 1;
    for (at, block) in bytes.chunks(STORED).enumerate() {
        let len = block.len() as u16;
        stream.push(u8::from(at == last));
        stream.extend(len.to_le_bytes());
        stream.extend((!len).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(bytes).to_be_bytes());
    let mut framed = V2_IN_ZLIB.to_be_bytes().to_vec();
    framed.extend((stream.len() as u32).to_be_bytes());
    framed.extend(stream);
    framed
}

/// The checksum of a zlib stream.
fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for some in bytes.chunks(SUMMED) {
        for &byte in some {
            a += u32::from(byte);
            b += a;
        }
        (a, b) = (a % 65_521, b % 65_521);
    }
    b << 16 | a
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::recorder::histogram_of_ns;
    use crate::metrics::{Recorder, Stage};
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    fn decoded(bytes: &[u8]) -> hdrhistogram::Histogram<u64> {
        Deserializer::new().deserialize(&mut &bytes[..]).unwrap()
    }

    #[test]
    fn the_crate_reads_what_is_encoded() {
        let mut state = 7_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for values in [1, 2, 3, 100, 20_000] {
            let mut counts = histogram_of_ns();
            for _ in 0..values {
                let exponent = 1 + random(36);
                counts.record(1 + random(1 << exponent)).unwrap();
            }
            counts.record_n(500, 1 << 50).unwrap();
            let histogram = Histogram::of(counts).unwrap();
            let plain = encode(&histogram);
            assert_eq!(decoded(&plain), *histogram.0);
            assert_eq!(decoded(&in_zlib(&plain)), *histogram.0);
        }
    }

    #[test]
    fn long_streams_are_of_several_blocks() {
        let bytes: Vec<u8> = (0..200_000_u64).map(|i| ((i * i) >> 3) as u8).collect();
        let framed = in_zlib(&bytes);
        let blocks = bytes.len().div_ceil(STORED);
        assert_eq!(framed.len(), 8 + 2 + blocks * 5 + bytes.len() + 4);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(framed[framed.len() - 4..], adler32(&bytes).to_be_bytes());
    }

    #[test]
    fn base_64_is_that_of_the_rfc() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in vectors {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xef, 0xbe]), "/+++");
    }

    #[test]
    fn the_crate_reads_a_log_of_intervals() {
        let recorder = Recorder::new();
        let lap = |stage| recorder.stop(stage, recorder.start_always());
        lap(Stage::Put);
        let mut text = Vec::new();
        let mut log = IntervalLog::begin(&mut text, recorder.snapshot()).unwrap();
        (0..3).for_each(|_| lap(Stage::Put));
        lap(Stage::PutFlush);
        log.add(recorder.snapshot()).unwrap();
        log.add(recorder.snapshot()).unwrap();
        lap(Stage::PutFlush);
        log.add(recorder.snapshot()).unwrap();
        let mut found = Vec::new();
        for entry in IntervalLogIterator::new(&text) {
            match entry.unwrap() {
                LogEntry::StartTime(start) => assert!(start.as_secs() > 1_700_000_000),
                LogEntry::BaseTime(_) => panic!("there is none"),
                LogEntry::Interval(interval) => {
                    let tag = interval.tag().unwrap().as_str().to_owned();
                    let bytes = un_base64(interval.encoded_histogram());
                    let histogram = decoded(&bytes);
                    assert!(interval.max() >= histogram.max() as f64 / 1e6 - 0.001);
                    found.push((tag, histogram.len()));
                }
            }
        }
        let expected = [("put", 3), ("put-flush", 1), ("put-flush", 1)];
        assert_eq!(found, expected.map(|(tag, count)| (tag.to_owned(), count)));
    }

    fn un_base64(text: &str) -> Vec<u8> {
        let digit = |c: u8| match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let digits: Vec<u8> = text.bytes().filter(|&c| c != b'=').map(digit).collect();
        let mut bits = 0_u32;
        let mut bytes = Vec::new();
        for (at, digit) in digits.into_iter().enumerate() {
            bits = bits << 6 | u32::from(digit);
            let have = (at + 1) * 6 - bytes.len() * 8;
            if have >= 8 {
                bytes.push((bits >> (have - 8)) as u8);
            }
        }
        bytes
    }
}
