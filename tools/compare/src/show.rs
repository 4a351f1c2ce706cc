//! Figures as people read them.

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// `bytes` with a unit of 1024.
pub(crate) fn bytes(bytes: f64) -> String {
    let (mut scaled, mut unit) = (bytes, 0);
    while scaled >= 1023.95 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let digits = if unit == 0 || scaled.fract() == 0.0 { 0 } else { 1 };
    format!("{scaled:.digits$} {}", UNITS[unit])
}

/// A time, from ns to s.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        ..1e-6 => format!("{:.0} ns", seconds * 1e9),
        ..1e-3 => format!("{:.1} us", seconds * 1e6),
        ..1.0 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}

/// A number in three digits or so.
pub(crate) fn count(number: f64) -> String {
    match number {
        ..10.0 => format!("{number:.1}"),
        ..10_000.0 => format!("{number:.0}"),
        ..1e6 => format!("{:.1} k", number / 1e3),
        _ => format!("{:.2} M", number / 1e6),
    }
}

/// One for another.
pub(crate) fn ratio(ratio: f64) -> String {
    match ratio {
        ..0.1 => format!("{ratio:.3}"),
        ..10.0 => format!("{ratio:.2}"),
        ..100.0 => format!("{ratio:.1}"),
        _ => format!("{ratio:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_that_fits() {
        assert_eq!([bytes(17.0), bytes(1024.0), bytes(1536.0)], ["17 B", "1 KiB", "1.5 KiB"]);
        assert_eq!([seconds(25e-9), seconds(1.5e-6), seconds(3.2)], ["25 ns", "1.5 us", "3.20 s"]);
        assert_eq!([count(4.2), count(31_000.0), count(2.5e6)], ["4.2", "31.0 k", "2.50 M"]);
        assert_eq!(
            [ratio(0.034), ratio(1.0), ratio(12.3), ratio(333.3)],
            ["0.034", "1.00", "12.3", "333"]
        );
    }
}
