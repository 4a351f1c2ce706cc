//! Web sessions, shared by threads: `cargo run --release --example session_store [VOLUME]`.
//!
//! `session/ID` holds a session, `of/USER/ID` lists those of a user, `logins/USER` counts them.

use extentdb::{Db, Result, WriteBatch};
use std::thread;

const THREADS: u32 = 8;
const LOGINS: u32 = 100;
const USERS: u32 = 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let path = std::env::args_os().nth(1).map_or(dir.path().join("sessions.vol"), Into::into);
    let db = Db::open(&path)?;

    thread::scope(|scope| {
        let db = &db;
        let workers: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || work(db, n))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;

    for user in 0..USERS {
        let open = sessions_of(&db, user)?;
        let logins = db.get(logins_key(user))?.map_or(0, |value| decode(&value));
        println!("user {user}: {logins} logins, {} sessions open", open.len());
        for id in &open {
            logout(&db, user, id)?;
        }
        db.delete(logins_key(user))?;
    }
    println!("\n{}", db.metrics());
    db.close()?;
    Ok(())
}

fn work(db: &Db, thread: u32) -> Result<()> {
    for login in 0..LOGINS {
        let user = (thread + login) % USERS;
        let id = format!("{thread:02}-{login:04}");
        if login_as(db, user, &id)? && login % 4 != 0 {
            logout(db, user, &id)?;
        }
    }
    Ok(())
}

/// Opens a session, unless there is one of that name.
fn login_as(db: &Db, user: u32, id: &str) -> Result<bool> {
    // Whoever wins here owns the name; only then are the other keys touched.
    if !db.put_if_absent(format!("session/{id}"), vec![b'.'; 700])? {
        return Ok(false);
    }
    db.put(format!("of/{user}/{id}"), "")?;
    count_login(db, user)?;
    Ok(true)
}

fn count_login(db: &Db, user: u32) -> Result<()> {
    let mut current = db.get(logins_key(user))?;
    loop {
        let next = current.as_deref().map_or(0, decode) + 1;
        let new = next.to_le_bytes();
        match db.compare_and_swap(logins_key(user), current.as_deref(), Some(&new))? {
            Ok(()) => return Ok(()),
            Err(mismatch) => current = mismatch.current,
        }
    }
}

/// The session and its listing go at once, for readers and for crashes.
fn logout(db: &Db, user: u32, id: &str) -> Result<()> {
    let mut batch = WriteBatch::new();
    batch.delete(format!("session/{id}"));
    batch.delete(format!("of/{user}/{id}"));
    db.write(&batch)
}

fn sessions_of(db: &Db, user: u32) -> Result<Vec<String>> {
    let prefix = format!("of/{user}/");
    let id = |key: Vec<u8>| String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
    db.prefix(&prefix).keys().map(|key| key.map(id)).collect()
}

fn logins_key(user: u32) -> String {
    format!("logins/{user}")
}

fn decode(value: &[u8]) -> u32 {
    u32::from_le_bytes(value.try_into().expect("counts have four bytes"))
}
