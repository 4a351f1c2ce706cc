//! A histogram as the text that HdrHistogram's `outputPercentileDistribution` writes.

use super::histogram::Histogram;
use std::fmt::Write;

/// Lines for each halving of the distance to 100 %, as many as the tools write.
const TICKS: u32 = 5;
/// Buckets in which values are told apart to 3 significant digits.
const SUB_BUCKETS: u64 = 2048;

impl Histogram {
    /// The percentile distribution, in microseconds, in the `.hgrm` format that HdrHistogram's
    /// `outputPercentileDistribution` writes and its plotter reads.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let metrics = db.metrics();
    /// let text = metrics.histogram(extentdb::Stage::Open).expect("it is open").to_hgrm();
    /// assert!(text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_hgrm(&self) -> String {
        let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
        let mut total = 0;
        for it in self.0.iter_quantiles(TICKS) {
            total += it.count_since_last_iteration();
            let (value, quantile) = (us(it.value_iterated_to() as f64), it.quantile_iterated_to());
            // Writing to a string does not fail.
            let _ = write!(text, "{value:12.3} {quantile:2.12} {total:10}");
            let _ = match quantile < 1.0 {
                true => writeln!(text, " {:14.2}", 1.0 / (1.0 - quantile)),
                false => writeln!(text),
            };
        }
        let (mean, deviation) = (us(self.0.mean()), us(self.0.stdev()));
        let _ = writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
        let (max, samples) = (us(self.0.max() as f64), self.samples());
        let _ = writeln!(text, "#[Max     = {max:12.3}, Total count    = {samples:12}]");
        let buckets = self.0.buckets();
        let _ = writeln!(text, "#[Buckets = {buckets:12}, SubBuckets     = {SUB_BUCKETS:12}]");
        text
    }
}

fn us(ns: f64) -> f64 {
    ns / 1000.0
}

#[cfg(test)]
mod tests {
    use crate::metrics::histogram::Histogram;
    use crate::metrics::recorder::histogram_of_ns;

    #[test]
    fn it_reads_as_the_tools_write_it() {
        let mut counts = histogram_of_ns();
        for (ns, count) in [(1000, 5), (1200, 3), (1500, 1), (1999, 1)] {
            counts.record_n(ns, count).unwrap();
        }
        let expected = "       Value     Percentile TotalCount 1/(1-Percentile)

       1.000 0.000000000000          5           1.00
       1.000 0.100000000000          5           1.11
       1.000 0.200000000000          5           1.25
       1.000 0.300000000000          5           1.43
       1.000 0.400000000000          5           1.67
       1.000 0.500000000000          5           2.00
       1.200 0.550000000000          8           2.22
       1.200 0.600000000000          8           2.50
       1.200 0.650000000000          8           2.86
       1.200 0.700000000000          8           3.33
       1.200 0.750000000000          8           4.00
       1.200 0.775000000000          8           4.44
       1.500 0.800000000000          9           5.00
       1.500 0.825000000000          9           5.71
       1.500 0.850000000000          9           6.67
       1.500 0.875000000000          9           8.00
       1.500 0.887500000000          9           8.89
       1.999 0.900000000000         10          10.00
       1.999 1.000000000000         10
#[Mean    =        1.210, StdDeviation   =        0.305]
#[Max     =        1.999, Total count    =           10]
#[Buckets =            1, SubBuckets     =         2048]
";
        let text = Histogram::of(counts).unwrap().to_hgrm();
        assert_eq!(text, expected, "{text}");
    }
}
