//! The command from outside, and what keeps the tree tidy.

mod cli;
mod tidy;
