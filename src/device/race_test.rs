//! A race on purpose: `scripts/sanitize thread` must report it, or shows nothing.

use super::buffer::AlignedBuf;

struct Shared(*mut u8);

// SAFETY: none. It is what is to be reported.
unsafe impl Sync for Shared {}

#[test]
#[ignore = "it is a race"]
fn a_race_is_reported() {
    let mut buf = AlignedBuf::new(4096).unwrap();
    let shared = Shared(buf.as_mut_ptr());
    let write = |value| {
        let shared = &shared;
        // SAFETY: in bounds, and the buffer outlives the threads; that two write it is what is to be reported.
        unsafe { shared.0.write(value) };
    };
    std::thread::scope(|scope| {
        scope.spawn(move || write(1));
        scope.spawn(move || write(2));
    });
}
