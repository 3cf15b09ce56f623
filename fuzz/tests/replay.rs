//! Plays all seeds without a fuzzer: what CI does on a machine that has none, and where a finding becomes a test.

#[test]
fn all_seeds_hold() {
    for (name, holds) in bascule_fuzz::TARGETS {
        let seeds = bascule_fuzz::seeds::of(name);
        for (number, seed) in seeds.iter().enumerate() {
            let shown = String::from_utf8_lossy(seed);
            let held = std::panic::catch_unwind(|| holds(seed));
            assert!(held.is_ok(), "{name}, seed {number}: {shown:?}");
        }
    }
}
