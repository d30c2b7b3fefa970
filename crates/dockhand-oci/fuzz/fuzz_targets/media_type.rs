//! Fuzzes `checks::media_type`.
#![no_main]

use dockhand_oci_fuzz::checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::media_type(bytes);
});
