//! What an extent is for: its line in the extent table.

use super::bytes::{get_u32, get_u64};
use super::ids::{Epoch, Incarnation};

/// What an extent holds. The values are on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Role {
    /// Nothing.
    Free = 0,
    /// Log pages.
    Log = 1,
    /// Packed records that the collector copied.
    Value = 2,
    /// Large values.
    Large = 3,
    /// Slices of a checkpoint image.
    Checkpoint = 4,
    /// The superblocks.
    Super = 5,
}

/// One line of the extent table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ExtentState {
    pub(crate) role: Role,
    pub(crate) incarnation: Incarnation,
}

impl ExtentState {
    /// Bytes of a line.
    pub(crate) const BYTES: usize = 16;

    /// An extent that never held anything.
    pub(crate) const FREE: Self =
        Self { role: Role::Free, incarnation: Incarnation { epoch: Epoch(0), serial: 0 } };

    /// The encoded line: role, three zeros, epoch, serial.
    pub(crate) fn encode(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[0] = self.role as u8;
        out[4..8].copy_from_slice(&self.incarnation.epoch.0.to_le_bytes());
        out[8..16].copy_from_slice(&self.incarnation.serial.to_le_bytes());
        out
    }

    /// Reads a line; `None` if it is not one.
    pub(crate) fn decode(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let role = match bytes[0] {
            0 => Role::Free,
            1 => Role::Log,
            2 => Role::Value,
            3 => Role::Large,
            4 => Role::Checkpoint,
            5 => Role::Super,
            _ => return None,
        };
        let incarnation =
            Incarnation { epoch: Epoch(get_u32(bytes, 4)), serial: get_u64(bytes, 8) };
        (bytes[1..4] == [0; 3]).then_some(Self { role, incarnation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_round_trip() {
        for role in 0..=5 {
            let mut bytes = [0; ExtentState::BYTES];
            bytes[0] = role;
            bytes[4] = 7;
            bytes[15] = 1;
            assert_eq!(ExtentState::decode(&bytes).unwrap().encode(), bytes);
        }
        assert_eq!(ExtentState::decode(&[6; ExtentState::BYTES]), None);
    }
}
