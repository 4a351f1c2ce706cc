//! One thread that works with a store.

use super::choice::Choice;
use super::store::Store;
use crate::measure::random::Random;
use crate::measure::shape::Shape;
use anyhow::{Context, Result, ensure};

/// A thread's own choices, and the memory that it uses again.
pub(super) struct Client<'a> {
    store: &'a Store,
    choice: &'a Choice,
    random: Random,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<'a> Client<'a> {
    /// A client that puts and gets keys of `choice`. Each `seed` makes other choices.
    pub(super) fn new(store: &'a Store, choice: &'a Choice, seed: u64) -> Self {
        Self { store, choice, random: Random::new(seed), key: Vec::new(), value: Vec::new() }
    }

    /// A durable put of one key.
    pub(super) fn put(&mut self) -> Result<()> {
        let (shape, number) = (self.store.shape(), self.choice.next(&mut self.random));
        let key = shape.key(number, &mut self.key);
        let random = &mut self.random;
        let value = shape.value((number, 1), shape.value_bytes, random, &mut self.value);
        Ok(self.store.db.put(key, value)?)
    }

    /// A get of one key, whose value must be there.
    pub(super) fn get(&mut self) -> Result<()> {
        let (shape, number) = (self.store.shape(), self.choice.next(&mut self.random));
        let value = self.store.db.get(shape.key(number, &mut self.key))?;
        let value = value.context("a key that was put is absent")?;
        ensure!(Shape::version(number, &value).is_some_and(|v| v <= 1), "another's value");
        Ok(())
    }
}
