//! TCP sequence numbers (RFC 9293 §3.4) laid out on a line that does not wrap.

/// Where the sequence number `sequence` lies, as an offset in the stream, when offset `near` has sequence number
/// `base + near` (modulo 2³²). The answer is the one closest to `near`: within 2³¹ of it.
pub(crate) fn offset(base: u32, near: i64, sequence: u32) -> i64 {
    let there = base.wrapping_add(near as u32);
    near.saturating_add(i64::from(sequence.wrapping_sub(there) as i32))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::offset;

    #[test]
    fn wraps() {
        assert_eq!(offset(u32::MAX, 0, 0), 1);
        assert_eq!(offset(u32::MAX - 9, 5, 4), 14);
        assert_eq!(offset(0, 0, u32::MAX), -1);
        assert_eq!(offset(7, 1 << 33, 7_u32.wrapping_sub(1)), (1 << 33) - 1);
    }

    proptest! {
        #[test]
        fn finds_any_offset_within_half_the_space(base: u32, near in 0..1_i64 << 48, by in -(1_i64 << 31)..1 << 31) {
            let sequence = base.wrapping_add((near + by) as u32);
            prop_assert_eq!(offset(base, near, sequence), near + by);
        }
    }
}
