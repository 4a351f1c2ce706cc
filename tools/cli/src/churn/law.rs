//! What garbage collection costs at least, where keys are overwritten uniformly at random and the
//! emptiest extent is always collected next (Menon, 1995; Desnoyers, 2012).

/// The write amplification of greedy collection where `utilization`, above 0 and below 1, of the
/// space is live.
///
/// With a part v of the collected extent live, utilization is (v - 1) / ln v, and each extent
/// collected has room for 1 - v of an extent of new records.
pub(super) fn greedy(utilization: f64) -> f64 {
    assert!(utilization > 0.0 && utilization < 1.0, "some of the space is live");
    1.0 / (1.0 - live_of_victim(utilization))
}

/// The part of the emptiest extent that is live, by bisection: utilization grows with it.
fn live_of_victim(utilization: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    // Halved as often as a float can tell.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if (middle - 1.0) / middle.ln() < utilization { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_are_met() {
        for (utilization, amplification) in [(0.70, 1.88), (0.75, 2.20), (0.80, 2.69)] {
            let found = greedy(utilization);
            assert!((found - amplification).abs() < 0.005, "{utilization}: {found}");
        }
    }

    #[test]
    fn it_costs_little_where_little_is_live_and_ever_more_towards_all() {
        assert!(greedy(0.1) < 1.001);
        let steps = (1..100).map(|percent| greedy(f64::from(percent) / 100.0));
        assert!(steps.is_sorted());
        assert!(greedy(0.99) > 49.0);
    }
}
