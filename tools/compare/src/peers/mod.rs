//! The stores, each behind [`Peer`](crate::peer::Peer), set up as its own guides say for durable
//! writes and data beyond memory. None compresses: the values are random bytes.

pub(crate) mod extentdb;
pub(crate) mod fjall;
pub(crate) mod lmdb;
pub(crate) mod raw;
pub(crate) mod redb;
#[cfg_attr(not(feature = "rocksdb"), path = "no_rocksdb.rs")]
pub(crate) mod rocksdb;
pub(crate) mod sharded;
