//! The charts of one run.

use crate::churn::interval::Interval;
use crate::churn::report::RunReport;
use crate::measure::html::{Axis, Chart, Line, Scale};
use crate::measure::row::Unit;

/// Part of the intervals whose amplification is within the chart; the rest is at its top.
const WITHIN: f64 = 0.98;

/// Rate, latencies, space and write amplification of `run` over time.
pub(super) fn charts(run: &RunReport) -> String {
    let intervals = &run.intervals;
    let seconds = Scale::seconds(intervals.last().map_or(0.0, |last| last.seconds));
    [rate(intervals, seconds), latency(intervals, seconds), space(intervals, seconds)]
        .into_iter()
        .chain([amplification(run, seconds)])
        .map(|chart| chart.figure())
        .collect()
}

fn rate(intervals: &[Interval], seconds: Scale) -> Chart<'static> {
    let line = line("", intervals, |i| Some(i.records_per_s));
    let highest = values(&line).fold(0.0, f64::max);
    Chart {
        title: "puts a second",
        lines: vec![line],
        mark: None,
        x: seconds,
        y: Scale { axis: Axis::linear(highest), show: |rate| format!("{rate:.0}") },
    }
}

fn latency(intervals: &[Interval], seconds: Scale) -> Chart<'static> {
    let in_s = |ns: Option<u64>| ns.map(|ns| ns as f64 / 1e9);
    let median = line("median", intervals, |i| in_s(i.put_p50_ns));
    let longest = line("longest", intervals, |i| in_s(i.put_max_ns));
    let axis = Axis::log(values(&median).chain(values(&longest)));
    Chart {
        title: "put latency",
        lines: vec![median, longest],
        mark: None,
        x: seconds,
        y: Scale { axis, show: |seconds| Unit::Seconds.show(seconds) },
    }
}

fn space(intervals: &[Interval], seconds: Scale) -> Chart<'static> {
    let utilization = line("utilization", intervals, |i| i.space.utilization);
    let used = line("used for allowed", intervals, |i| Some(i.space.used_for_allowed()));
    let highest = values(&used).fold(1.0, f64::max);
    Chart {
        title: "space",
        lines: vec![utilization, used],
        mark: None,
        x: seconds,
        y: Scale { axis: Axis::linear(highest), show: |ratio| format!("{ratio:.1}") },
    }
}

fn amplification(run: &RunReport, seconds: Scale) -> Chart<'static> {
    let line = line("by interval", &run.intervals, |i| i.amplification);
    let mut sorted: Vec<f64> = values(&line).collect();
    sorted.sort_by(f64::total_cmp);
    let within = sorted.get((sorted.len() as f64 * WITHIN) as usize).copied();
    let highest = within.unwrap_or(1.0).max(run.law.unwrap_or(1.0) * 1.2);
    Chart {
        title: "write amplification",
        lines: vec![line],
        mark: run.law.map(|law| ("law".to_owned(), law)),
        x: seconds,
        y: Scale { axis: Axis::linear(highest), show: |ratio| format!("{ratio:.2}") },
    }
}

fn line(
    name: &'static str,
    intervals: &[Interval],
    value: impl Fn(&Interval) -> Option<f64>,
) -> Line<'static> {
    Line { name, points: intervals.iter().map(|i| (i.seconds, value(i))).collect() }
}

fn values<'l>(line: &'l Line<'_>) -> impl Iterator<Item = f64> + use<'l> {
    line.points.iter().filter_map(|(_, value)| *value)
}
