//! The program in pods of a real two-node cluster, installed by its chart.

mod access;
mod hub;
mod release;
mod traffic;
