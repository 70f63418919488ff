#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    striae_fuzz::readers::check("encoded_weights", input);
});
