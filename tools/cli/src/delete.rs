//! `extentdb delete`: removes keys.

use crate::Outcome;
use crate::args::DeleteArgs;
use crate::volume;
use anyhow::Result;
use extentdb::Durability;

/// Removes the keys; durable when this returns, all with one flush.
pub(crate) fn run(args: &DeleteArgs) -> Result<Outcome> {
    let keys = args.delete.iter().map(|key| args.keys.read(key)).collect::<Result<Vec<_>>>()?;
    let db = volume::open_existing(&args.volume, &args.open)?;
    let unsynced = db.with_durability(Durability::Buffered);
    for key in keys {
        unsynced.delete(key)?;
    }
    db.sync()?;
    drop(unsynced);
    db.close()?;
    Ok(Outcome::Done)
}
