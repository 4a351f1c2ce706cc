//! The axis of a chart: where a value lies on it, and which values are named.

/// The most values that are named.
const TICKS: f64 = 6.0;

/// An axis from `low` to `high`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    ticks: Ticks,
}

/// Which values are named, and how values lie between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ticks {
    /// Multiples of 1, 2 or 5 times a power of ten.
    Round,
    /// Whole numbers.
    Whole,
    /// Powers of ten, on a logarithmic axis.
    Powers,
}

impl Axis {
    /// From 0 to `high`, or to 1 where that is not above it.
    pub(crate) fn linear(high: f64) -> Self {
        Self { low: 0.0, high: if high > 0.0 { high } else { 1.0 }, ticks: Ticks::Round }
    }

    /// From 0 to the next whole number from `high` on, at least 1, each of which is named.
    pub(crate) fn whole(high: f64) -> Self {
        Self { low: 0.0, high: high.ceil().max(1.0), ticks: Ticks::Whole }
    }

    /// Logarithmic, in whole powers of ten that hold the positive ones of `values`.
    pub(crate) fn log(values: impl Iterator<Item = f64>) -> Self {
        let positive = values.filter(|value| *value > 0.0);
        let (low, high) = positive
            .fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), v| (low.min(v), high.max(v)));
        let (low, high) = if high > 0.0 { (low, high) } else { (1.0, 10.0) };
        let (low, high) = (low.log10().floor(), high.log10().ceil());
        Self { low: 10_f64.powf(low), high: 10_f64.powf(high.max(low + 1.0)), ticks: Ticks::Powers }
    }

    /// Where `value` is: 0 at the beginning of the axis, 1 at its end. Beyond, it is at the end.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let place = if self.ticks == Ticks::Powers {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        place.clamp(0.0, 1.0)
    }

    /// The values that are named.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let step = match self.ticks {
            Ticks::Round => round_up((self.high - self.low) / TICKS),
            Ticks::Whole => 1.0,
            Ticks::Powers => {
                let powers = (self.high / self.low).log10().round() as i32;
                return (0..=powers).map(|power| self.low * 10_f64.powi(power)).collect();
            }
        };
        let steps = ((self.high - self.low) / step + 1e-9) as u32;
        (0..=steps).map(|n| self.low + f64::from(n) * step).collect()
    }
}

/// The next 1, 2 or 5 times a power of ten from `step` on.
fn round_up(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * 0.999_999);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_begins_at_zero() {
        let axis = Axis::linear(50.0);
        assert_eq!((axis.place(0.0), axis.place(25.0), axis.place(60.0)), (0.0, 0.5, 1.0));
        assert_eq!(axis.ticks(), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(Axis::linear(0.0).place(0.5), 0.5);
        assert_eq!(Axis::linear(7.0).ticks(), [0.0, 2.0, 4.0, 6.0]);
    }

    #[test]
    fn whole_numbers_are_all_named() {
        assert_eq!(Axis::whole(2.1).ticks(), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(Axis::whole(0.0).ticks(), [0.0, 1.0]);
        assert_eq!(Axis::whole(4.0).place(1.0), 0.25);
    }

    #[test]
    fn a_logarithmic_axis_has_whole_powers() {
        let axis = Axis::log([0.0, 0.002, 0.5].into_iter());
        assert_eq!(axis.ticks().len(), 4);
        assert!((axis.place(0.1) - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!((axis.place(0.0), axis.place(5.0)), (0.0, 1.0));
        assert_eq!(Axis::log(std::iter::empty()).ticks(), [1.0, 10.0]);
        assert_eq!(Axis::log(std::iter::once(1.0)).ticks(), [1.0, 10.0]);
    }
}
