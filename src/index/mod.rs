//! The sorted in-memory index: every key and where its value is.
//!
//! A B+ tree of shared nodes. An edit changes nodes in place while nothing else shows them and
//! copies the path to the change when a [`View`] does, so a view costs memory only for what
//! changed since. In reading order:
//!
//! - `key`: keys and how they compare; `load`: how full a node may and must be;
//! - `keys`: a sorted run of keys, the part that leaves and inner nodes have in common;
//! - `leaf`, `inner`, `node`, `tree`: the tree; `edit`: changing it;
//! - `view`, `range`, `cursor`: reading it.

mod cursor;
mod edit;
mod inner;
mod key;
mod keys;
mod leaf;
mod load;
mod node;
mod range;
mod tree;
mod view;

#[cfg(test)]
mod check;
#[cfg(test)]
mod tests;

pub(crate) use edit::Edit;
pub(crate) use key::{Key, MAX_KEY_BYTES};
pub(crate) use range::Range;
pub(crate) use view::View;

use crate::format::location::Location;
use crate::sync::RwLock;
use tree::Tree;

/// All keys of a store, in order, and where their values are.
pub(crate) struct Index {
    tree: RwLock<Tree>,
}

impl Index {
    /// An index without keys.
    pub(crate) fn new() -> Self {
        Self { tree: RwLock::new(Tree::new()) }
    }

    /// Where the value of `key` is.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Location> {
        self.tree.read().get(key)
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> u64 {
        self.tree.read().len()
    }

    /// The index as it is now, unmoved by later edits.
    pub(crate) fn view(&self) -> View {
        View::new(self.tree.read().clone())
    }

    /// Runs `change` with exclusive access; gets and views see all of it or none. `change` must
    /// not call back into this index.
    pub(crate) fn edit<R>(&self, change: impl FnOnce(&mut Edit<'_>) -> R) -> R {
        change(&mut Edit::new(&mut self.tree.write()))
    }
}
