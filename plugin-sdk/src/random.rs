//! Draws that are fast and not secret: seeded by the host once for each instance, and by the test natively.

/// An even draw of 64 bits.
pub fn bits() -> u64 {
    imp::bits()
}

/// An even draw from 0 to `limit` - 1; 0 where the limit is 0.
pub fn below(limit: u32) -> u32 {
    // Lemire's multiplication, with 32 bits since wasm has no wider one; its bias is under limit / 2^32.
    (((bits() >> 32) * u64::from(limit)) >> 32) as u32
}

/// One step of splitmix64: an even, well-mixed sequence from any seed (Steele, Lea, Flood 2014).
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(target_family = "wasm")]
mod imp {
    use std::cell::Cell;
    use std::hash::{BuildHasher, RandomState};

    thread_local! { static STATE: Cell<Option<u64>> = const { Cell::new(None) } }

    pub(super) fn bits() -> u64 {
        // The standard library seeds its hash maps from WASI's random numbers: no other import is needed.
        let mut state = STATE.get().unwrap_or_else(|| RandomState::new().hash_one(0_u8));
        let drawn = super::next(&mut state);
        STATE.set(Some(state));
        drawn
    }
}

#[cfg(not(target_family = "wasm"))]
mod imp {
    pub(super) fn bits() -> u64 {
        crate::testing::world::with(|world| super::next(&mut world.random))
    }
}
