//! Whether calls on one key, some of them at the same time, could have happened one after the other
//! (Wing and Gong, 1993; with what has been tried remembered, Lowe, 2017).
//!
//! A crash keeps the effects of a prefix of that order, with all calls in it that had to survive.

use std::collections::HashSet;

/// A value, by its number; `None` is absence.
pub(crate) type Seen = Option<u64>;

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Get,
    /// Makes the key have this value, or none.
    Set(Seen),
    PutIfAbsent(u64),
    /// Replaces the first by the second.
    Swap(Seen, Seen),
}

/// What came back: what was seen, or whether it took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Saw(Seen),
    Done(bool),
}

/// A call: from one moment to another, if it ever returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) from: usize,
    pub(crate) until: Option<usize>,
    pub(crate) action: Action,
    pub(crate) answer: Option<Answer>,
    /// Whether it survives a crash once it has returned.
    pub(crate) durable: bool,
}

/// What was found after a crash.
pub(crate) type Recovered = Option<Seen>;

/// Most calls on one key.
const MOST: usize = 64;

impl Action {
    /// What is there after it where `before` was, and what it answers.
    fn on(self, before: Seen) -> (Seen, Answer) {
        match self {
            Self::Get => (before, Answer::Saw(before)),
            Self::Set(value) => (value, Answer::Done(true)),
            Self::PutIfAbsent(value) => match before {
                None => (Some(value), Answer::Done(true)),
                Some(_) => (before, Answer::Done(false)),
            },
            Self::Swap(expected, new) if before == expected => (new, Answer::Done(true)),
            Self::Swap(..) => (before, Answer::Done(false)),
        }
    }
}

/// The search for an order.
struct Search<'a> {
    calls: &'a [Call],
    /// Those that must be in any order: they returned.
    complete: u64,
    /// Those that must be in what was recovered.
    durable: u64,
    recovered: Recovered,
    tried: HashSet<(u64, Seen, bool)>,
}

impl Search<'_> {
    /// Whether the calls that are not `done` yet can follow where `state` is.
    fn goes_on(&mut self, done: u64, state: Seen, explained: bool) -> bool {
        let here = done & self.durable == self.durable && self.recovered == Some(state);
        let explained = explained || here || self.recovered.is_none();
        if explained && done & self.complete == self.complete {
            return true;
        }
        if !self.tried.insert((done, state, explained)) {
            return false;
        }
        let left = || self.calls.iter().enumerate().filter(|(at, _)| done & (1 << at) == 0);
        let first_end = left().filter_map(|(_, call)| call.until).min().unwrap_or(usize::MAX);
        let next: Vec<_> = left().filter(|(_, call)| call.from <= first_end).collect();
        next.into_iter().any(|(at, call)| {
            let (after, answer) = call.action.on(state);
            call.answer.is_none_or(|given| given == answer)
                && self.goes_on(done | 1 << at, after, explained)
        })
    }
}

/// Whether some order of `calls` gives all their answers, where the key was `start`, and explains
/// what was found after a crash.
pub(crate) fn is_linear(calls: &[Call], start: Seen, recovered: Recovered) -> bool {
    assert!(calls.len() <= MOST, "so many calls have bits");
    let bits = |which: &dyn Fn(&Call) -> bool| {
        calls.iter().enumerate().filter(|(_, call)| which(call)).map(|(at, _)| 1 << at).sum()
    };
    let mut search = Search {
        calls,
        complete: bits(&|call| call.until.is_some()),
        durable: bits(&|call| call.until.is_some() && call.durable),
        recovered,
        tried: HashSet::new(),
    };
    search.goes_on(0, start, false)
}

/// The calls as they were when power was cut after `count` events.
pub(crate) fn cut(calls: &[Call], count: usize) -> Vec<Call> {
    let before = calls.iter().filter(|call| call.from < count);
    before
        .map(|call| match call.until {
            Some(until) if until < count => *call,
            _ => Call { until: None, answer: None, ..*call },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(span: (usize, usize), action: Action, answer: Answer) -> Call {
        let (from, until) = span;
        Call { from, until: Some(until), action, answer: Some(answer), durable: true }
    }

    fn put(span: (usize, usize), value: u64) -> Call {
        call(span, Action::Set(Some(value)), Answer::Done(true))
    }

    fn get(span: (usize, usize), seen: Seen) -> Call {
        call(span, Action::Get, Answer::Saw(seen))
    }

    #[test]
    fn what_happened_at_once_may_have_any_order() {
        for seen in [Some(1), Some(2)] {
            assert!(is_linear(&[put((0, 9), 1), put((1, 8), 2), get((10, 11), seen)], None, None));
            assert!(is_linear(&[put((0, 9), 1), put((1, 8), 2), get((3, 4), seen)], None, None));
        }
        assert!(is_linear(&[put((0, 9), 1), get((1, 2), None), get((3, 4), Some(1))], None, None));
        let absent = |value| Action::PutIfAbsent(value);
        let both = [
            call((0, 5), absent(1), Answer::Done(false)),
            call((1, 6), absent(2), Answer::Done(true)),
        ];
        assert!(is_linear(&both, None, None));
    }

    #[test]
    fn a_wrong_history_is_rejected() {
        // An older value after a newer one.
        let back = [put((0, 1), 1), put((2, 3), 2), get((4, 5), Some(1))];
        assert!(!is_linear(&back, None, None));
        // A value that is seen, then not, then again.
        let flickers =
            [put((0, 20), 1), get((1, 2), Some(1)), get((3, 4), None), get((5, 6), Some(1))];
        assert!(!is_linear(&flickers, None, None));
        // A value from nowhere, and a lost update.
        assert!(!is_linear(&[get((0, 1), Some(7))], None, None));
        let swap = |span, to| call(span, Action::Swap(None, Some(to)), Answer::Done(true));
        assert!(!is_linear(&[swap((0, 5), 1), swap((1, 6), 2)], None, None));
        let gone = call((2, 3), Action::Set(None), Answer::Done(true));
        assert!(!is_linear(&[put((0, 1), 1), gone, get((4, 5), Some(1))], None, None));
        assert!(!is_linear(&[put((0, 1), 1), gone], None, Some(Some(1))), "it is back");
    }

    #[test]
    fn a_crash_keeps_a_prefix_with_all_that_was_durable() {
        let weak = |call: Call| Call { durable: false, ..call };
        let calls = [put((0, 1), 1), weak(put((2, 3), 2)), weak(put((4, 5), 3))];
        for (recovered, allowed) in
            [(None, false), (Some(1), true), (Some(2), true), (Some(3), true)]
        {
            assert_eq!(is_linear(&calls, None, Some(recovered)), allowed, "{recovered:?}");
        }
        // What never returned may have taken effect, and later calls have seen it.
        let pending = Call { until: None, answer: None, ..put((0, 1), 1) };
        assert!(is_linear(&[pending], None, Some(None)));
        assert!(is_linear(&[pending], None, Some(Some(1))));
        assert!(!is_linear(&[pending, get((2, 3), Some(1))], None, Some(None)), "L2");
        assert!(is_linear(&[pending, weak(get((2, 3), Some(1)))], None, Some(None)));
    }

    #[test]
    fn a_cut_takes_answers_back() {
        let calls = [put((0, 4), 1), put((5, 9), 2)];
        assert_eq!(cut(&calls, 5), [calls[0]]);
        assert_eq!(cut(&calls, 4), [Call { until: None, answer: None, ..calls[0] }]);
        assert_eq!(cut(&calls, 6)[1].until, None);
    }
}
