//! A forked child has a handle that refuses; whatever it calls, drops, and however it ends, the
//! parent goes on.

#![allow(clippy::unwrap_used)]

mod common;

use common::{again, assert_holds, disk_dir, fill, role};
use extentdb::{AlignedBuf, Db, Durability, Error, Result, WriteBatch};
use std::fmt::Debug;
use std::process::Stdio;

/// How a child ends.
const ENDS: [&str; 4] = ["quietly", "exit", "close", "panic"];

/// What a forked child finds wrong.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn forked<T: Debug>(&mut self, what: &str, outcome: Result<T>) {
        if !matches!(outcome, Err(Error::Forked)) {
            self.0.push(format!("{what}: {outcome:?}"));
        }
    }

    fn holds(&mut self, what: &str, is_so: bool) {
        if !is_so {
            self.0.push(what.to_owned());
        }
    }
}

fn write_in_child(db: &Db, found: &mut Findings) {
    let mut batch = WriteBatch::new();
    batch.put("child", "v");
    for durability in [Durability::Synced, Durability::Written, Durability::Buffered] {
        let db = db.with_durability(durability);
        found.forked("put", db.put("child", "v"));
        found.forked("put large", db.put("child", vec![1; 100_000]));
        found.forked("delete", db.delete("key00001"));
        found.forked("delete absent", db.delete("absent"));
        found.forked("write", db.write(&batch));
        found.forked("write nothing", db.write(&WriteBatch::new()));
        found.forked("put_if_absent", db.put_if_absent("child", "v"));
        found.forked("put_if_absent present", db.put_if_absent("key00001", "v"));
        found.forked("cas", db.compare_and_swap("child", None, Some(b"v")));
        found.forked("put_reader", db.put_reader("child", 5, std::io::repeat(1)));
        found.forked("put_async", db.put_async("child", "v").wait());
        found.forked("put_async large", db.put_async("child", vec![1; 100_000]).wait());
        found.forked("delete_async", db.delete_async("absent").wait());
        found.forked("write_async", db.write_async(&batch).wait());
        found.forked("put_if_absent_async", db.put_if_absent_async("child", "v").wait());
        if let Ok(buf) = AlignedBuf::from_slice(b"v") {
            found.forked("put_aligned", db.put_aligned("child", buf));
        }
    }
    found.forked("sync", db.sync());
    found.forked("sync_async", db.sync_async().wait());
}

fn read_in_child(db: &Db, found: &mut Findings) {
    found.forked("get", db.get("key00001"));
    found.forked("get_async", db.get_async("key00001").wait());
    found.forked("get absent", db.get("absent"));
    found.forked("get_range", db.get_range("key00001", 0, 5));
    found.forked("get_reader", db.get_reader("key00001"));
    found.forked("contains_key", db.contains_key("key00001"));
    found.forked("value_len", db.value_len("key00001"));
    for outcome in db.multi_get(&["key00001", "absent"]) {
        found.forked("multi_get", outcome);
    }
    for mut iter in [db.iter(), db.prefix("key"), db.range("a".."z")] {
        found.holds("an iterator gives an error", matches!(iter.next(), Some(Err(Error::Forked))));
    }
    let key = db.iter().keys().next();
    found.holds("keys give an error", matches!(key, Some(Err(Error::Forked))));
    let snapshot = db.snapshot();
    found.forked("snapshot get", snapshot.get("key00001"));
    found.holds("an empty snapshot", snapshot.is_empty());
    found.forked("check", db.check());
    found.holds("no keys", db.is_empty() && !db.health().is_healthy());
    found.holds("a report", db.open_report().created);
    found.holds("metrics", db.metrics().keys == 0);
    found.holds("info", db.info().volume_bytes > 0);
}

/// In the child of a fork: never returns.
fn child(db: Db, end: &str) -> ! {
    let mut found = Findings::default();
    write_in_child(&db, &mut found);
    read_in_child(&db, &mut found);
    for what in &found.0 {
        eprintln!("in the child: {what}");
    }
    let code = if found.0.is_empty() { 0 } else { 1 };
    match end {
        "exit" => {
            drop(db);
            std::process::exit(code)
        }
        "close" => {
            if !matches!(db.close(), Err(Error::Forked)) {
                end_now(2)
            }
            end_now(code)
        }
        "panic" => {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _unwound = db;
                std::panic::resume_unwind(Box::new("unwinds"));
            }));
            end_now(if caught.is_err() { code } else { 3 })
        }
        _ => end_now(code),
    }
}

fn end_now(code: i32) -> ! {
    // SAFETY: ends the child without running the parent's exit handlers.
    unsafe { libc::_exit(code) }
}

/// Forks; the child goes to [`child`]. Returns its exit code.
fn fork_child(db: &Db, end: &str) -> i32 {
    // SAFETY: the C library's fork leaves its allocator usable in the child, which calls the
    // handle, which is what is tested here, and ends.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        child(db.clone(), end);
    }
    let mut status = 0;
    for _ in 0..500 {
        // SAFETY: `status` is a live local.
        let waited = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) };
        if waited == pid {
            let exited = libc::WIFEXITED(status);
            return if exited { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) };
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // SAFETY: kills the child that was started here and not waited for.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    panic!("the child hangs");
}

/// Runs in a process of its own, so that no other test's threads are forked away.
#[test]
fn parent() {
    let Some(path) = role() else { return };
    let db = Db::open(&path).unwrap();
    let mut pairs = fill(&db, 50, 3000);
    db.put("large", vec![1; 300_000]).unwrap();
    pairs.push((b"large".to_vec(), vec![1; 300_000]));
    for (round, end) in ENDS.into_iter().cycle().take(12).enumerate() {
        // Some children are forked with records in memory that were never written.
        let buffered = (format!("buffered{round:02}").into_bytes(), vec![1; 2000]);
        db.with_durability(Durability::Buffered).put(&buffered.0, &buffered.1).unwrap();
        pairs.push(buffered);
        assert_eq!(fork_child(&db, end), 0, "a child that ends by {end}");
        let pair = (format!("parent{round:02}").into_bytes(), vec![2; 2000]);
        db.put(&pair.0, &pair.1).unwrap();
        pairs.push(pair);
        assert_holds(&db, &pairs);
        let error = common::refusal(Db::open(&path));
        assert!(matches!(error, Error::Locked { .. }), "the lock is still held: {error}");
    }
    db.close().unwrap();
    assert_holds(&Db::open(&path).unwrap(), &pairs);
    println!("PARENT DONE");
}

#[test]
fn whatever_it_calls_and_however_it_ends() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let mut command = again("parent", path.to_str().unwrap());
    let output = command.stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("PARENT DONE"), "{text}\n{complaints}");
    let db = Db::open(&path).unwrap();
    assert!(db.get("child").unwrap().is_none());
    assert!(db.contains_key("parent11").unwrap());
}
