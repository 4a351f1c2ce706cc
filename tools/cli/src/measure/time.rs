//! Times, as people read them.

/// A time, from ns to s.
pub(crate) fn show(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_fits() {
        let cases =
            [(999, "999 ns"), (1_500, "1.5 us"), (2_340_000, "2.34 ms"), (3 << 30, "3.22 s")];
        for (ns, text) in cases {
            assert_eq!(show(ns), text);
        }
    }
}
