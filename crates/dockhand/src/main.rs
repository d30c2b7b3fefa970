//! The `dockhand` command.
fn main() {}
