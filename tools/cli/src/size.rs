//! Sizes in bytes, as people write and read them.

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// The bytes that `text` stands for: a whole number, and a unit of 1024 (K, KiB, M, MiB, ...).
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "give a whole number of bytes".to_owned())?;
    let power = power_of(unit.trim()).ok_or("units are K, M, G, T, or KiB, MiB, GiB, TiB")?;
    number.checked_mul(1 << (10 * power)).ok_or_else(|| "the size is too large".to_owned())
}

fn power_of(unit: &str) -> Option<usize> {
    if unit.is_empty() {
        return Some(0);
    }
    UNITS.iter().position(|known| {
        unit.eq_ignore_ascii_case(known)
            || (unit.len() == 1 && unit.eq_ignore_ascii_case(&known[..1]))
    })
}

/// `bytes` with a unit.
pub(crate) fn show(bytes: u64) -> String {
    let mut scaled = bytes as f64;
    let mut unit = 0;
    while scaled >= 1023.95 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{scaled:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        let cases = [
            ("0", 0),
            ("17", 17),
            ("17B", 17),
            ("4K", 4096),
            ("4KiB", 4096),
            ("4 kib", 4096),
            ("3M", 3 << 20),
            ("64GiB", 64 << 30),
            ("16T", 16 << 40),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "K", "-1", "1.5G", "4KB", "4 X", "99999999999G"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_in_the_unit_that_fits() {
        let cases = [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), ((1 << 20) - 1, "1.0 MiB")];
        for (bytes, text) in cases {
            assert_eq!(show(bytes), text);
        }
    }
}
