//! Fuzzes `checks::name_tag`.
#![no_main]

use dockhand_oci_fuzz::checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::name_tag(bytes);
});
