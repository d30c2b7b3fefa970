//! What holds for any input: the checks that the fuzz targets run, over bytes that proptest makes.

#[expect(
    unreachable_pub,
    reason = "the fuzz targets take this file in as a public module"
)]
mod checks;

mod fuzz;
