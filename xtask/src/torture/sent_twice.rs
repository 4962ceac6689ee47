//! How much of a file was sent more than once. Pure.

use std::ops::Range;

/// Bytes of these stretches beyond those that would have been enough to send all of them once.
pub(super) fn sent_twice(stretches: impl Iterator<Item = Range<u64>>) -> u64 {
    let mut stretches: Vec<_> = stretches.collect();
    stretches.sort_by_key(|stretch| stretch.start);
    let (mut again, mut end) = (0, 0);
    for stretch in stretches {
        again += end.min(stretch.end).saturating_sub(stretch.start);
        end = end.max(stretch.end);
    }
    again
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "a list of one stretch is meant")]
    fn what_overlaps_was_sent_twice() {
        let of = |stretches: &[Range<u64>]| sent_twice(stretches.iter().cloned());
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[3..9]), 0);
        assert_eq!(of(&[5..9, 0..5]), 0);
        assert_eq!(of(&[0..10, 4..6, 8..12]), 4);
        assert_eq!(of(&[0..10, 0..10, 0..10]), 20);
    }
}
