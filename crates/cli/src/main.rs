//! The `kubeshark` command.
fn main() {}
