//! The sorted in-memory index: every key and where its value is.
//!
//! A B+ tree whose nodes are blocks of bytes, edited in place under one lock. In reading order:
//!
//! - `block`: the bytes of a node, which are also what checkpoints store; `in_place`: changing
//!   them; `draft`: entries on their way into blocks; `validate`: blocks from disk;
//! - `arena`: the memory of blocks; `spans`: where it has that from; `prefetch`: having it at hand;
//! - `tree`: the tree; `seek`: finding leaves; `loader`: building a tree from sorted entries;
//! - `state`, `pin`, `shared`: the tree and the past states that views show; `edit`, `in_order`: changing it;
//! - `view`, `range`, `page`, `walk`: reading it; `slice`: copying it for a checkpoint.
//!
//! Blocks are up to 6 KiB long, in steps of 256 bytes. Beside the standard library's map at 10
//! million random 16-byte keys (`scripts/measure-index`, medians of three runs): inserts 1.12 times
//! as fast, gets 1.50, scans by the page 5.2. Blocks of 2, 4 and 6 KiB take the same memory, within
//! half a byte a key, if the steps of 2 KiB are 128 bytes; with steps of 256 those take 2.4 bytes
//! more after churn. `docs/decisions/0010` has what was measured.

mod arena;
mod block;
mod draft;
mod edit;
mod in_order;
mod in_place;
mod loader;
mod page;
mod pin;
mod prefetch;
mod range;
mod seek;
mod shared;
mod slice;
mod spans;
mod state;
mod tree;
mod validate;
mod view;
mod walk;

#[cfg(test)]
mod check;
#[cfg(test)]
mod measure;
#[cfg(test)]
mod tests;

pub(crate) use edit::Edit;
pub(crate) use edit::Replaced;
#[cfg(test)]
pub(crate) use loader::Disorder;
pub(crate) use loader::Loader;
pub(crate) use page::Found;
pub(crate) use pin::{PinStats, Released};
pub(crate) use range::Range;
#[cfg(test)]
pub(crate) use slice::CompactLeaf;
pub(crate) use slice::{Leaves, Slice};
pub(crate) use tree::Tree;
#[cfg(test)]
pub(crate) use validate::validate;
pub(crate) use view::View;
pub(crate) use walk::Stored;

use crate::format::location::Location;
use crate::sync::Arc;
use shared::Shared;
use std::hint::black_box;

/// Longest key.
pub(crate) const MAX_KEY_BYTES: usize = 65_535;

/// All keys of a store, in order, and where their values are.
pub(crate) struct Index {
    shared: Arc<Shared>,
}

impl Index {
    /// An index without keys.
    pub(crate) fn new() -> Self {
        Self { shared: Arc::new(Shared::new(Tree::default())) }
    }

    /// Shows what was loaded in place of all it had. Nobody may have a view of it.
    pub(crate) fn replace_all(&self, loaded: Tree) {
        let mut state = self.shared.state.write();
        assert!(state.pins.is_empty(), "an index is loaded before it is viewed");
        let replaced = std::mem::replace(&mut state.tree, loaded);
        drop(state);
        drop(replaced);
    }

    /// Where the value of `key` is.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Location> {
        self.shared.read().get(key)
    }

    /// As [`get`](Self::get), for who can wait: [`let_readers_in`](Self::let_readers_in) takes no account of it.
    pub(crate) fn get_at_leisure(&self, key: &[u8]) -> Option<Location> {
        self.shared.state.read().get(key)
    }

    /// Where the values of `keys` are, all as of one moment.
    pub(crate) fn get_all<K: AsRef<[u8]>>(&self, keys: &[K]) -> Vec<Option<Location>> {
        let state = self.shared.state.read();
        keys.iter().map(|key| state.get(key.as_ref())).collect()
    }

    /// Has what an edit of `keys` will look at in the processor's caches.
    pub(crate) fn touch<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        let state = self.shared.state.read();
        for key in keys {
            black_box(state.get(key));
        }
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> u64 {
        self.shared.state.read().tree.len
    }

    /// The index as it is now, unmoved by later edits.
    pub(crate) fn view(&self) -> View {
        View::new(&self.shared)
    }

    /// Runs `change` with exclusive access; gets and views see all of it or none. `change` must
    /// not call back into this index, or let go of a view of it.
    pub(crate) fn edit<R>(&self, change: impl FnOnce(&mut Edit<'_>) -> R) -> R {
        change(&mut Edit::new(&mut self.shared.state.write()))
    }

    /// Between two edits of one thread: lets those in who wait to read, as the lock itself lets whoever
    /// is awake have it again.
    pub(crate) fn let_readers_in(&self) {
        self.shared.let_readers_in();
    }

    /// What was [`kept`](Replaced::kept) for views and no longer is since the last call, each
    /// location once; never what a view shows. Once the drop of a view has returned, all that no
    /// other view shows has been released; with other threads dropping views at the same time,
    /// once all of them have returned.
    pub(crate) fn take_released(&self) -> Vec<Released> {
        if self.has_released() {
            std::mem::take(&mut self.shared.state.write().released)
        } else {
            Vec::new()
        }
    }

    /// Whether [`take_released`](Self::take_released) has something to return.
    pub(crate) fn has_released(&self) -> bool {
        !self.shared.state.read().released.is_empty()
    }

    /// Calls `visit` with every entry in order whose key is in `from..until`. Nothing can be edited meanwhile.
    pub(crate) fn walk(&self, from: &[u8], until: Option<&[u8]>, visit: impl FnMut(Stored<'_>)) {
        self.shared.state.read().walk(from, until, visit);
    }

    /// Appends compact leaves to `out`: those from key `from` on until `max_bytes` are reached,
    /// one at least. If that is longer, as much of it as is not, one entry at least.
    pub(crate) fn copy_slice(&self, from: &[u8], max_bytes: usize, out: &mut Vec<u8>) -> Slice {
        self.shared.state.read().copy_slice(from, max_bytes, out)
    }

    /// Memory it takes, that of the past states that views show included.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let state = self.shared.state.read();
        state.tree.memory_bytes() + state.pin_stats().overlay_bytes
    }

    /// Number of keys, and the most that slices of all of them take, their heads apart.
    pub(crate) fn size(&self) -> (u64, u64) {
        let state = self.shared.state.read();
        (state.tree.len, state.tree.compact_bytes())
    }

    /// What views hold on to.
    pub(crate) fn pins(&self) -> PinStats {
        self.shared.state.read().pin_stats()
    }
}
