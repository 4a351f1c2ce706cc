//! What reaches the kernel, by strace: a lone small put is one write of one page and one flush,
//! in the calling thread; a large one is one write more, which goes on beside that of the record;
//! an uncached get is one read.

#![allow(clippy::unwrap_used)]

mod common;

use common::{again, disk_dir, role, skip};
use extentdb::Db;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

const ROUNDS: usize = 5;

/// Writes a marker that shows in the trace, with as few system calls as can be.
fn mark(text: &str) {
    // SAFETY: writes live bytes to the standard error output.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

/// What is traced.
#[test]
fn traced() {
    let Some(path) = role() else { return };
    let db = Db::open(path).unwrap();
    // The volume may grow for the first.
    db.put("first", vec![1; 100 << 10]).unwrap();
    for round in 0..ROUNDS {
        let key = format!("key{round}");
        let large = format!("large{round}");
        let (small_value, large_value) = (vec![1; 1024], vec![1; 100 << 10]);
        thread::sleep(Duration::from_millis(100));
        mark("BEGIN put\n");
        db.put(&key, &small_value).unwrap();
        mark("END\n");
        thread::sleep(Duration::from_millis(100));
        mark("BEGIN get\n");
        let value = db.get(&key).unwrap();
        mark("END\n");
        assert_eq!(value.as_deref(), Some(&small_value[..]));
        mark("BEGIN large put\n");
        db.put(&large, &large_value).unwrap();
        mark("END\n");
        thread::sleep(Duration::from_millis(100));
        mark("BEGIN large get\n");
        let value = db.get(&large).unwrap();
        mark("END\n");
        assert_eq!(value.as_deref(), Some(&large_value[..]));
    }
}

/// One operation: the system calls on the volume between its markers.
#[derive(Debug)]
struct Traced {
    what: String,
    /// `name bytes` of those in the calling thread.
    own: Vec<String>,
    /// Those of other threads, whole.
    others: Vec<String>,
}

fn parse(trace: &str) -> Vec<Traced> {
    let mut all: Vec<Traced> = Vec::new();
    let mut caller = None;
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some((_, what)) = call.split_once("\"BEGIN ") {
            let what = what.split("\\n").next().unwrap().to_owned();
            println!("{line}");
            caller = Some(thread.to_owned());
            all.push(Traced { what, own: Vec::new(), others: Vec::new() });
            continue;
        }
        let Some(own) = caller.as_ref().map(|caller| caller == thread) else { continue };
        println!("{line}");
        let current = all.last_mut().unwrap();
        if own && call.contains("\"END\\n\"") {
            caller = None;
        } else if own {
            // One that submits nothing waits.
            let call = summary(call);
            if !line.contains("unfinished") && call != "io_uring_enter 0" {
                current.own.push(call);
            }
        } else if !call.contains("resumed") {
            current.others.push(call.to_owned());
        }
    }
    all
}

/// The call's name, and what it returned.
fn summary(call: &str) -> String {
    let name = call.trim_start_matches("<... ").split(['(', ' ']).next().unwrap();
    let result = call.rsplit("= ").next().unwrap().split(' ').next().unwrap();
    format!("{name} {result}")
}

#[test]
fn as_the_kernel_sees_it() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let output = dir.path().join("trace");
    let Some(trace) = trace(&path, &output) else { return skip("strace is missing or forbidden") };
    let all = parse(&trace);
    assert_eq!(all.len(), 4 * ROUNDS);
    let has_ring = trace.contains("io_uring_enter(");
    let expected = |what: &str| -> &[&str] {
        match what {
            "put" => &["pwrite64 4096", "fdatasync 0"],
            "get" => &["pread64 4096"],
            // What a ring writes, strace does not see. Without one, the value is written when it is
            // waited for.
            "large put" if has_ring => &["io_uring_enter 1", "pwrite64 4096", "fdatasync 0"],
            "large put" => &["pwrite64 4096", "pwritev 106496", "fdatasync 0"],
            "large get" => &["pread64 106496"],
            _ => panic!("{what}"),
        }
    };
    for Traced { what, own, others } in &all {
        assert_eq!(own, expected(what), "{what}");
        // Evidence may follow a flush that took longer than the idle time, and nothing else.
        let evidence = |call: &String| call.starts_with("pwrite64") && call.contains("4096, ");
        assert!(others.len() <= 1 && others.iter().all(evidence), "{what}: {others:?}");
    }
    for what in ["put", "get", "large put", "large get"] {
        let alone = all.iter().filter(|op| op.what == what && op.others.is_empty()).count();
        println!("{what}: {alone} of {ROUNDS} with nothing from other threads");
        assert!(alone > 0, "{what}: other threads always meddle");
    }
}

fn trace(path: &Path, output: &Path) -> Option<String> {
    let inner = again("traced", path.to_str()?);
    let calls = "trace=pwrite64,pwritev,pwritev2,pread64,preadv,preadv2,fdatasync,fsync,write,\
                 sync_file_range,io_uring_enter,io_submit,fallocate";
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-e", calls, "-o", output.to_str()?]).arg(inner.get_program());
    command.args(inner.get_args());
    for (name, value) in inner.get_envs() {
        command.env(name, value?);
    }
    let outcome = command.output().ok()?;
    let text = String::from_utf8_lossy(&outcome.stderr);
    if !outcome.status.success() && text.contains("ptrace") {
        return None;
    }
    assert!(outcome.status.success(), "{text}");
    fs::read_to_string(output).ok()
}
