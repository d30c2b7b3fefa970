//! What developers run: `cargo xtask interop`, `cargo xtask bench`, `cargo xtask faults`.

fn main() {}
