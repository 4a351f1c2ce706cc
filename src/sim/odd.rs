//! Devices that err, or take their time, as tests need it.

use super::device::SimDevice;
use super::workload::Shape;
use crate::device::{BufferPool, Device, DeviceInfo, DeviceWrites, Part};
use crate::engine::{Background, Engine, Medium};
use crate::format::ids::PageNo;
use crate::sync::Arc;
use std::io;

/// A device on which some calls do something of their own first.
#[derive(Debug)]
pub(super) struct Odd<T> {
    pub(super) device: SimDevice,
    pub(super) own: T,
}

impl<T: Own + 'static> Odd<T> {
    /// A new store on it, without threads of its own.
    pub(super) fn create(self, shape: Shape) -> Arc<Engine> {
        let medium = Medium {
            device: Arc::new(self),
            info: DeviceInfo::simulated(false),
            len_bytes: 0,
            pool: BufferPool::new(1 << 20),
        };
        Engine::open_on(medium, &shape.options(), Background::Manual).unwrap()
    }
}

/// What they do.
pub(super) trait Own: Send + Sync + std::fmt::Debug {
    fn read(&self) -> io::Result<()> {
        Ok(())
    }

    /// Before a write from `page` on.
    fn write(&self, _page: PageNo) -> io::Result<()> {
        Ok(())
    }

    fn barrier(&self) -> io::Result<()> {
        Ok(())
    }

    /// Before writes that were under way are over.
    fn wait(&self) -> io::Result<()> {
        Ok(())
    }
}

struct OddWrites<'a, T: Own> {
    writes: Box<dyn DeviceWrites + 'a>,
    own: &'a T,
}

impl<T: Own> DeviceWrites for OddWrites<'_, T> {
    fn push(&mut self, page: PageNo, parts: Vec<Part>) {
        self.writes.push(page, parts);
    }

    fn wait(&mut self) -> io::Result<()> {
        self.own.wait().and(self.writes.wait())
    }
}

impl<T: Own> Device for Odd<T> {
    fn len_pages(&self) -> u64 {
        self.device.len_pages()
    }

    fn read(&self, page: PageNo, buf: &mut [u8]) -> io::Result<()> {
        self.own.read()?;
        self.device.read(page, buf)
    }

    fn write(&self, page: PageNo, buf: &[u8]) -> io::Result<()> {
        self.own.write(page)?;
        self.device.write(page, buf)
    }

    fn begin_writes(&self) -> Box<dyn DeviceWrites + '_> {
        Box::new(OddWrites { writes: self.device.begin_writes(), own: &self.own })
    }

    fn barrier(&self) -> io::Result<()> {
        self.own.barrier()?;
        self.device.barrier()
    }

    fn grow(&self, pages: u64) -> io::Result<()> {
        self.device.grow(pages)
    }

    fn shrink(&self, pages: u64) -> io::Result<()> {
        self.device.shrink(pages)
    }

    fn discard(&self, page: PageNo, count: u64) -> io::Result<()> {
        self.device.discard(page, count)
    }

    fn allocate(&self, page: PageNo, count: u64) -> io::Result<()> {
        self.device.allocate(page, count)
    }

    fn may_have_holes(&self) -> io::Result<bool> {
        self.device.may_have_holes()
    }

    fn close(&self) {
        self.device.close();
    }
}
