//! What is measured, in order.

use crate::args::Args;
use crate::cell::{Cell, Work};
use crate::peer::Setup;
use crate::shape::KEY_BYTES;
use extentdb_measure::ycsb::Mix;

/// Bytes of the values, in all parts and in those that are measured with one size.
const SIZES: [usize; 4] = [128, 1 << 10, 16 << 10, 1 << 20];
const USUAL_SIZE: usize = 1 << 10;
const WRITERS: [usize; 4] = [1, 16, 64, 256];
const READERS: [usize; 2] = [1, 16];
const LOADERS: usize = 4;
const HOT_READERS: usize = 2;
const YCSB_THREADS: usize = 16;
const CHURN_WRITERS: usize = 64;
const SCANS: [usize; 2] = [100, 10_000];

/// The data is this many times the memory.
const BEYOND_MEMORY: u64 = 4;
/// A process needs this much, whatever the data.
const LEAST_MEMORY: u64 = 64 << 20;

/// The cells of one size of values, which are measured on the same stores.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) load: Cell,
    pub(crate) cells: Vec<Cell>,
}

/// All that `args` asks for.
pub(crate) fn stages(args: &Args) -> Vec<Stage> {
    let sizes = match args.values.is_empty() {
        true => &SIZES[..],
        false => &args.values,
    };
    // The usual size comes first: most is measured with it.
    let mut sizes: Vec<_> = sizes.to_vec();
    sizes.sort_by_key(|size| *size != USUAL_SIZE);
    let stages = sizes.into_iter().map(|size| stage(args, size));
    stages.filter(|stage| !stage.cells.is_empty()).collect()
}

fn stage(args: &Args, value_bytes: usize) -> Stage {
    let most = (args.most_mib << 20) / (KEY_BYTES + value_bytes) as u64;
    let keys = args.keys.min(most).max(1);
    let load = Cell { work: Work::Load, threads: LOADERS, value_bytes, keys, memory: None };
    let memory = memory_for(&load);
    let free = |work, threads| Cell { work, threads, ..load.clone() };
    let tight = |work, threads| Cell { memory: Some(memory), ..free(work, threads) };
    let mut cells = Vec::new();
    if value_bytes == USUAL_SIZE {
        cells.extend(READERS.map(|threads| tight(Work::Get, threads)));
        cells.push(tight(Work::MultiGet, 1));
        cells.extend(SCANS.map(|records| tight(Work::Scan { records }, 1)));
        cells.push(free(Work::HotGet, HOT_READERS));
    }
    cells.extend(WRITERS.map(|threads| free(Work::Put, threads)));
    if value_bytes == USUAL_SIZE {
        cells.extend(Mix::ALL.map(|mix| tight(Work::Ycsb { mix }, YCSB_THREADS)));
        cells.push(free(Work::Open, CHURN_WRITERS));
        cells.push(free(Work::Churn, CHURN_WRITERS));
    }
    let is_asked =
        |cell: &Cell| args.only.is_empty() || cell.part().is_some_and(|p| args.only.contains(&p));
    cells.retain(is_asked);
    Stage { load, cells }
}

fn memory_for(cell: &Cell) -> u64 {
    (cell.dataset_bytes() / BEYOND_MEMORY).max(LEAST_MEMORY)
}

/// What the stores may use in `cell`. It is the same whether memory is limited or not: what one
/// process left to be read back must fit where the next one is limited.
pub(crate) fn setup(cell: &Cell) -> Setup {
    let memory = memory_for(cell);
    Setup {
        cache_bytes: memory / 4,
        buffer_bytes: memory / 8,
        value_bytes: cell.value_bytes,
        dataset_bytes: cell.dataset_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn all_is_measured_unless_told_otherwise() {
        let cells = |line: &str| {
            let args = Args::parse_from(line.split(' '));
            stages(&args).into_iter().map(|stage| stage.cells.len()).collect::<Vec<_>>()
        };
        assert_eq!(cells("compare"), [18, 4, 4, 4]);
        assert_eq!(cells("compare --only churn,gets"), [3]);
        assert_eq!(cells("compare --only puts --values 128"), [4]);
    }

    #[test]
    fn data_is_beyond_memory_where_it_is_to_be() {
        let stages = stages(&Args::parse_from(["compare"]));
        let get = &stages[0].cells[0];
        assert_eq!(get.memory.unwrap() * 4, get.dataset_bytes());
        assert_eq!(stages[3].load.keys, 1023);
    }
}
