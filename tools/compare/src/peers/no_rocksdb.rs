//! In place of RocksDB where it is left out.

use crate::peer::{Peer, Setup};
use anyhow::{Result, bail};
use std::path::Path;

pub(crate) fn open(_: &Path, _: &Setup, _: bool) -> Result<Box<dyn Peer>> {
    bail!("this was compiled without the feature `rocksdb`")
}
