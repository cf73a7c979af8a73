//! Where the packets of the store ended.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident $name:literal,)*) => {
        /// What became of the packets that the store was given. All of them only grow.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct PacketCounters {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl PacketCounters {
            /// Visits every row by its name.
            pub fn each(&self, visit: &mut dyn FnMut(&'static str, u64)) {
                $(visit($name, self.$field);)*
            }

            /// Adds those of another store.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }
        }

        /// The same while they are counted.
        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $(pub(super) $field: AtomicU64,)*
        }

        impl Tally {
            pub(super) fn read(&self) -> PacketCounters {
                PacketCounters { $($field: self.$field.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Packets written to segments.
    stored "stored",
    /// Of them, those that belong to no stream.
    without_stream "withoutStream",
    /// Packets not written because they repeat one of another capture point.
    copies "copies",
    /// Packets not written because the disk did not keep up and the buffer was full.
    refused_buffer "refusedBuffer",
    /// Packets not written because the disk refused them.
    refused_disk "refusedDisk",
    /// Packets removed again, oldest first, to keep within the size limit.
    evicted_for_bytes "evictedForBytes",
    /// Packets removed again because of their age.
    evicted_for_age "evictedForAge",
    /// Packets removed again to make room on a full disk.
    evicted_for_disk "evictedForDisk",
    /// Packets that lay in segments of an earlier run, found again at the start.
    recovered "recovered",
    /// Packets that are missing in a copy of their stream because the disk, or the limit of what scripts write,
    /// refused them.
    pin_refused "pinRefused",
    /// Packets that are missing in a copy because too much waited to be copied.
    pin_backlog "pinBacklog",
    /// Packets that are missing in a copy because they have another link type than its first.
    pin_link_type "pinLinkType",
    /// Copies that are not continued because there were too many.
    pins_forgotten "pinsForgotten",
}

/// Adds to a row.
pub(super) fn count(row: &AtomicU64, n: u64) {
    row.fetch_add(n, Relaxed);
}
