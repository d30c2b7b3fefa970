//! The command from outside, and what keeps the tree tidy.

mod tidy;
