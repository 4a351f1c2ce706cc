//! Ten lines that work: `cargo run --example quick_start [VOLUME]`.

use extentdb::Db;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let path = std::env::args_os().nth(1).map_or(dir.path().join("data.vol"), Into::into);
    let db = Db::open(&path)?;
    db.put("greeting", "hello")?; // Durable when it returns.
    let value = db.get("greeting")?.expect("was just put");
    println!("{}", std::str::from_utf8(&value)?);
    for entry in db.prefix("gree") {
        println!("{:?}", entry?);
    }
    db.delete("greeting")?;
    db.close()?;
    Ok(())
}
