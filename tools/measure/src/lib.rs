//! Random choices of the tools that measure extentdb: the command-line tool and the comparison with
//! other stores draw the same keys, in the same proportions.

pub mod random;
pub mod ycsb;
pub mod zipf;
