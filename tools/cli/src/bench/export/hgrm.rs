//! Percentiles in HdrHistogram's text form, which its plotters read. Values are in microseconds.

use hdrhistogram::Histogram;

const NS_PER_US: f64 = 1e3;
/// Lines for each halving of the distance to 100 %.
const STEPS: u32 = 5;
/// Buckets of a histogram are halves of these, and what is below them.
const SUB_BUCKETS: u32 = 2048;

/// The percentiles of `latencies`, which are in ns.
pub(super) fn text(latencies: &Histogram<u64>) -> String {
    let heads = ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"];
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", heads[0], heads[1], heads[2], heads[3]);
    let mut count = 0;
    for step in latencies.iter_quantiles(STEPS) {
        count += step.count_since_last_iteration();
        let (us, quantile) = (us(step.value_iterated_to() as f64), step.quantile_iterated_to());
        text += &format!("{us:12.3} {quantile:2.12} {count:10}");
        // The last line has no such distance.
        text += &match quantile {
            1.0 => "\n".to_owned(),
            _ => format!(" {:14.2}\n", 1.0 / (1.0 - quantile)),
        };
    }
    text + &foot(latencies)
}

fn foot(latencies: &Histogram<u64>) -> String {
    let (mean, deviation) = (us(latencies.mean()), us(latencies.stdev()));
    let (longest, count) = (us(latencies.max() as f64), latencies.len());
    let buckets = latencies.buckets();
    format!(
        "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]\n\
         #[Max     = {longest:12.3}, Total count    = {count:12}]\n\
         #[Buckets = {buckets:12}, SubBuckets     = {SUB_BUCKETS:12}]\n"
    )
}

fn us(ns: f64) -> f64 {
    ns / NS_PER_US
}

#[cfg(test)]
mod tests {
    use super::super::track::tests::track;
    use super::*;

    /// The lines of a file as a plotter reads them: value, percentile, count.
    fn lines(text: &str) -> Vec<(f64, f64, u64)> {
        let is_line = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let mut lines = text.lines().filter(is_line);
        let head: Vec<_> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(head, ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]);
        let read = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let number = |n: usize| fields[n].parse::<f64>().unwrap();
            if number(1) < 1.0 {
                let distance = 1.0 / (1.0 - number(1));
                assert!((number(3) - distance).abs() <= 0.01 + distance * 1e-6, "{line}");
            }
            (number(0), number(1), fields[2].parse().unwrap())
        };
        lines.map(read).collect()
    }

    #[test]
    fn percentiles_are_read_as_they_were() {
        let latencies = track(["a", "b", ""], "store").latencies;
        let text = text(&latencies);
        let lines = lines(&text);
        assert!(lines.is_sorted_by_key(|(us, _, _)| *us));
        assert!(lines.is_sorted_by_key(|(_, percentile, _)| *percentile));
        for (us, percentile, count) in &lines {
            let ns = latencies.value_at_quantile(*percentile) as f64;
            // Shares of 800 are not exact: it may be the next one, 1 us from it.
            assert!((us - ns / 1e3).abs() <= 1.1, "{us} is not {ns} ns at {percentile}");
            assert_eq!(*count, latencies.count_between(0, (us * 1e3).ceil() as u64), "{us}");
        }
        let (first, last) = (lines[0], lines[lines.len() - 1]);
        assert_eq!((first.1, last.1, last.2), (0.0, 1.0, 800));
        assert!((last.0 - 100.0).abs() < 0.2);
    }

    #[test]
    fn the_foot_has_the_known_form() {
        let text = text(&track(["a", "b", ""], "store").latencies);
        let foot: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert!(foot[0].starts_with("#[Mean    =       50.5"), "{}", foot[0]);
        assert!(foot[0].contains(", StdDeviation   =       28.8"), "{}", foot[0]);
        assert!(foot[1].ends_with(", Total count    =          800]"), "{}", foot[1]);
        assert!(foot[2].ends_with(", SubBuckets     =         2048]"), "{}", foot[2]);
        assert!(text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"));
    }
}
