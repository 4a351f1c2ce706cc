//! Counts, as people write them.

/// The count that `text` stands for: 10000000, 10_000_000, 10^7 or 1e7.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || "give a whole number, such as 10000000, 10_000_000, 10^7 or 1e7".to_owned();
    let text = text.replace('_', "");
    if let Some((base, power)) = text.split_once('^') {
        return power_of(base, power, 1).ok_or_else(wrong);
    }
    if let Some((factor, power)) = text.split_once(['e', 'E']) {
        let factor = factor.parse().map_err(|_| wrong())?;
        return power_of("10", power, factor).ok_or_else(wrong);
    }
    text.parse().map_err(|_| wrong())
}

/// `factor` times `base` to the `power`.
fn power_of(base: &str, power: &str, factor: u64) -> Option<u64> {
    let base: u64 = base.parse().ok()?;
    base.checked_pow(power.parse().ok()?)?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_written_in_two_ways() {
        let cases =
            [("17", 17), ("1_000", 1000), ("10^7", 10_000_000), ("2^10", 1024), ("3e6", 3_000_000)];
        for (text, count) in cases {
            assert_eq!(parse(text), Ok(count), "{text}");
        }
    }

    #[test]
    fn what_is_no_count_is_refused() {
        for text in ["", "-1", "1.5e3", "10^", "^2", "e7", "10^20", "9e19", "ten"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
