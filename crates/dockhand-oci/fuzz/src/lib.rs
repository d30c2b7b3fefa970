//! The checks of `tests/it/checks.rs`, for the fuzz targets to call.

#[path = "../../tests/it/checks.rs"]
pub mod checks;
