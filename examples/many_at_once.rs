//! A service on tokio that takes orders from many clients: each is durable before its client is told,
//! and all of them share one thread and a few flushes.
//!
//! `cargo run --release --example many_at_once [VOLUME]`.

use extentdb::{Db, Result};
use std::env;
use std::time::{Duration, Instant};
use tokio::runtime;
use tokio::task::LocalSet;

const CLIENTS: u32 = 256;
const ORDERS: u32 = 100;

/// One client's connection: places an order, waits until it is durable, places the next.
async fn serve(db: Db, client: u32) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    for number in 0..ORDERS {
        let begun = Instant::now();
        let key = format!("order/{client:03}/{number:05}");
        db.put_async(&key, [b'x'; 1000]).await?;
        longest = longest.max(begun.elapsed());
    }
    let last = format!("order/{client:03}/{:05}", ORDERS - 1);
    assert!(db.get_async(last).await?.is_some());
    Ok(longest)
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let path = env::args_os().nth(1).map_or(dir.path().join("orders.vol"), Into::into);
    let db = Db::open(&path)?;
    let runtime = runtime::Builder::new_current_thread().build()?;
    let begun = Instant::now();
    let longest = LocalSet::new().block_on(&runtime, async {
        let serve = |client| tokio::task::spawn_local(serve(db.clone(), client));
        let clients: Vec<_> = (0..CLIENTS).map(serve).collect();
        let mut longest = Duration::ZERO;
        for client in clients {
            longest = longest.max(client.await??);
        }
        Ok::<_, Box<dyn std::error::Error>>(longest)
    })?;
    let rate = f64::from(CLIENTS * ORDERS) / begun.elapsed().as_secs_f64();
    let flushes = db.metrics().barriers;
    println!(
        "{rate:.0} durable orders/s on one thread, {flushes} flushes, the longest took {longest:?}"
    );
    db.close()?;
    Ok(())
}
