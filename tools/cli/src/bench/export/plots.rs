//! The plots of one operation: its percentiles, and what they were over time, on each side.

use super::track::{Stretch, Track};
use crate::measure::html::{Axis, Chart, Line, Scale};
use crate::measure::row::Unit;
use std::time::SystemTime;

/// Points of a curve of percentiles for each halving of the distance to 100 %.
const STEPS: u32 = 4;
/// Latency at the end of the curve is that of a single operation: nothing is beyond it.
const MOST_NINES: f64 = 6.0;

/// The plots of an operation, one track of it for each side.
pub(super) fn plots(sides: &[&Track]) -> String {
    percentiles(sides).figure() + &over_time(sides).figure() + &rates(sides).figure()
}

/// Latency by the number of nines of the percentile.
fn percentiles<'t>(sides: &[&'t Track]) -> Chart<'t> {
    let curve = |track: &&'t Track| Line { name: track.side, points: curve(track) };
    let lines: Vec<_> = sides.iter().map(curve).collect();
    let most = lines.iter().flat_map(|line| &line.points).map(|(nines, _)| *nines);
    let x = Scale { axis: Axis::whole(most.fold(1.0, f64::max)), show: show_nines };
    Chart { title: "latency by percentile", y: latency_scale(&lines), lines, mark: None, x }
}

fn curve(track: &Track) -> Vec<(f64, Option<f64>)> {
    let steps = track.latencies.iter_quantiles(STEPS);
    let end = nines(1.0 - 1.0 / track.latencies.len() as f64);
    let points = steps.map(|step| {
        let nines = nines(step.quantile_iterated_to()).min(end).min(MOST_NINES);
        (nines, Some(step.value_iterated_to() as f64 / 1e9))
    });
    points.collect()
}

/// 1 of 90 %, 2 of 99 %, and so on.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(f64::MIN_POSITIVE).log10()
}

/// The percentile that has so many nines.
fn show_nines(nines: f64) -> String {
    let nines = nines as usize;
    match nines {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        _ => format!("99.{} %", "9".repeat(nines - 2)),
    }
}

/// What 99 of 100 did not exceed in each interval.
fn over_time<'t>(sides: &[&'t Track]) -> Chart<'t> {
    let begun = first(sides);
    let line = |track: &&'t Track| {
        let p99 = |stretch: &Stretch| stretch.quantile_ns(0.99).map(|ns| ns as f64 / 1e9);
        Line { name: track.side, points: points(track, begun, p99) }
    };
    let lines: Vec<_> = sides.iter().map(line).collect();
    let x = Scale::seconds(last(&lines));
    Chart { title: "latency over time, 99 of 100", y: latency_scale(&lines), lines, mark: None, x }
}

/// Operations a second of each interval.
fn rates<'t>(sides: &[&'t Track]) -> Chart<'t> {
    let begun = first(sides);
    let line = |track: &&'t Track| {
        let rate = |stretch: &Stretch| Some(stretch.ops() as f64 / stretch.length.as_secs_f64());
        Line { name: track.side, points: points(track, begun, rate) }
    };
    let lines: Vec<_> = sides.iter().map(line).collect();
    let highest = values(&lines).fold(0.0, f64::max);
    let y = Scale { axis: Axis::linear(highest), show: |rate| format!("{rate:.0}") };
    let x = Scale::seconds(last(&lines));
    Chart { title: "operations a second over time", lines, mark: None, x, y }
}

/// What `value` says of each interval of `track`, from its beginning to its end; slices are apart.
fn points(
    track: &Track,
    begun: SystemTime,
    value: impl Fn(&Stretch) -> Option<f64>,
) -> Vec<(f64, Option<f64>)> {
    let (mut points, mut ended) = (Vec::new(), f64::NEG_INFINITY);
    for stretch in &track.stretches {
        let from = stretch.begun.duration_since(begun).unwrap_or_default().as_secs_f64();
        let length = stretch.length.as_secs_f64();
        // Half an interval is longer than what clocks are apart.
        if from > ended + length / 2.0 {
            points.push((from, None));
        }
        points.extend([(from, value(stretch)), (from + length, value(stretch))]);
        ended = from + length;
    }
    points
}

fn first(sides: &[&Track]) -> SystemTime {
    let begun = sides.iter().flat_map(|track| &track.stretches).map(|stretch| stretch.begun);
    begun.min().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn last(lines: &[Line<'_>]) -> f64 {
    lines.iter().flat_map(|line| &line.points).map(|(at, _)| *at).fold(0.0, f64::max)
}

fn values(lines: &[Line<'_>]) -> impl Iterator<Item = f64> {
    lines.iter().flat_map(|line| &line.points).filter_map(|(_, value)| *value)
}

fn latency_scale(lines: &[Line<'_>]) -> Scale {
    Scale { axis: Axis::log(values(lines)), show: |seconds| Unit::Seconds.show(seconds) }
}

#[cfg(test)]
mod tests {
    use super::super::track::tests::track;
    use super::*;

    #[test]
    fn percentiles_are_by_their_nines() {
        let curve = curve(&track(["a", "b", ""], "store"));
        let at = |nines: f64| curve.iter().find(|(x, _)| *x >= nines).unwrap().1.unwrap();
        assert!((at(1.0) - 90e-6).abs() < 2e-6 && (at(2.0) - 99e-6).abs() < 2e-6);
        let (end, longest) = curve[curve.len() - 1];
        assert!((end - 800_f64.log10()).abs() < 1e-9, "{end}");
        assert!((longest.unwrap() - 100e-6).abs() < 1e-6);
        assert_eq!([0.0, 1.0, 2.0, 4.0].map(show_nines), ["0 %", "90 %", "99 %", "99.99 %"]);
    }

    #[test]
    fn slices_are_apart_over_time() {
        let track = track(["a", "b", ""], "store");
        let points = points(&track, first(&[&track]), |stretch| Some(stretch.ops() as f64));
        let gaps = points.iter().filter(|(_, value)| value.is_none()).count();
        assert_eq!((points.len(), gaps), (18, 2));
        assert_eq!((points[1], points[17]), ((0.0, Some(100.0)), (3.0, Some(100.0))));
    }

    #[test]
    fn every_side_has_a_line_in_every_plot() {
        let (store, raw) = (track(["a", "b", ""], "store"), track(["a", "b", ""], "raw"));
        let html = plots(&[&store, &raw]);
        assert_eq!(html.matches("<svg").count(), 3);
        assert_eq!(
            (html.matches(">store</span>").count(), html.matches(">raw</span>").count()),
            (3, 3)
        );
    }
}
