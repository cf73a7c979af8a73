//! The program in pods of a real two-node cluster, installed by its chart.

mod release;
mod workers;
