//! The map of blocks, by hand and at random.

use proptest::prelude::*;

use super::*;
use crate::LARGEST_FILE;
use crate::geometry::BLOCK;

fn full(map: &mut BlockMap, index: usize) {
    let have = map.length(index) as u32;
    map.set(index, Block { have, crc: 1 });
}

#[test]
fn the_contiguous_prefix_grows_over_blocks_that_came_early() {
    let mut map = BlockMap::new(Some(3 * BLOCK + 10), BLOCK);
    full(&mut map, 1);
    assert_eq!(map.contiguous_end(), 0);
    map.set(0, Block { have: 100, crc: 7 });
    assert_eq!(map.contiguous_end(), 100);
    full(&mut map, 0);
    assert_eq!(map.contiguous_end(), 2 * BLOCK);
    full(&mut map, 2);
    full(&mut map, 3);
    assert!(map.is_complete());
    map.invalidate(1);
    assert_eq!((map.contiguous_end(), map.missing()), (BLOCK, BLOCK));
}

#[test]
fn a_block_beyond_the_end_takes_no_memory_and_no_place_among_the_checksums() {
    let mut map = BlockMap::new(Some(3 * BLOCK), BLOCK);
    map.set(usize::MAX, Block { have: 1, crc: 1 });
    map.set(3, Block { have: BLOCK as u32, crc: 1 });
    assert_eq!((map.present(), map.checksums().crc32.len()), (0, 3));
}

#[test]
fn claims_are_taken_from_the_front_and_do_not_overlap() {
    let mut map = BlockMap::new(Some(10 * BLOCK), BLOCK);
    let (_, first) = map.assign(4 * BLOCK).expect("bytes are missing");
    let (_, second) = map.assign(BLOCK / 2).expect("bytes are missing");
    assert_eq!((first.next, first.end), (0, 4 * BLOCK));
    assert_eq!((second.next, second.end), (4 * BLOCK, 5 * BLOCK));
    let (_, rest) = map.assign(u64::MAX).expect("bytes are missing");
    assert_eq!((rest.next, rest.end), (5 * BLOCK, 10 * BLOCK));
    assert_eq!(map.assign(1), None);
}

#[test]
fn a_released_claim_is_given_out_again_from_where_it_stood() {
    let mut map = BlockMap::new(Some(2 * BLOCK), BLOCK);
    let (id, _) = map.assign(u64::MAX).expect("bytes are missing");
    map.set(0, Block { have: 5, crc: 1 });
    assert_eq!(map.advance(id, 5), Some(2 * BLOCK));
    map.release(id);
    assert_eq!(map.advance(id, 6), None);
    assert_eq!(map.assign(u64::MAX).map(|(_, span)| span.next), Some(5));
}

#[test]
fn the_largest_claim_loses_its_second_half_to_a_thief() {
    let mut map = BlockMap::new(Some(8 * BLOCK), BLOCK);
    let (victim, _) = map.assign(u64::MAX).expect("bytes are missing");
    let (_, stolen) = map.steal(BLOCK, u64::MAX).expect("there is enough to share");
    assert_eq!((stolen.next, stolen.end), (4 * BLOCK, 8 * BLOCK));
    assert_eq!(map.advance(victim, 1), Some(4 * BLOCK));
    assert_eq!(map.steal(4 * BLOCK, u64::MAX), None);
}

#[test]
fn a_thief_begins_with_a_block_also_where_its_victim_is_in_the_middle_of_one() {
    let mut map = BlockMap::new(Some(9 * BLOCK + 5), BLOCK);
    let (victim, _) = map.assign(u64::MAX).expect("bytes are missing");
    map.advance(victim, BLOCK / 2);
    let (_, stolen) = map.steal(BLOCK, u64::MAX).expect("there is enough to share");
    // A block is stored from its beginning: what comes for its second half alone would be of no use.
    assert_eq!((stolen.next, stolen.end), (5 * BLOCK, 9 * BLOCK + 5));
}

#[test]
fn of_a_long_claim_a_thief_takes_what_comes_soon_and_frees_the_rest() {
    let mut map = BlockMap::new(Some(100 * BLOCK), BLOCK);
    let (victim, _) = map.assign(u64::MAX).expect("bytes are missing");
    let (_, stolen) = map.steal(BLOCK, 3 * BLOCK).expect("there is enough to share");
    assert_eq!((stolen.next, stolen.end), (3 * BLOCK, 6 * BLOCK));
    assert_eq!(map.advance(victim, 0), Some(3 * BLOCK));
    let (_, rest) = map.assign(u64::MAX).expect("the rest is free");
    assert_eq!((rest.next, rest.end), (6 * BLOCK, 100 * BLOCK));
}

#[test]
fn a_file_of_unknown_length_ends_where_it_is_told_to() {
    let mut map = BlockMap::new(None, BLOCK);
    assert!(map.assign(1).is_some());
    assert!(map.assign(1).is_none());
    map.set(0, Block { have: BLOCK as u32, crc: 1 });
    map.set(1, Block { have: 3, crc: 1 });
    assert!(!map.is_complete());
    map.end_here();
    assert!(map.is_complete());
    assert_eq!(map.total(), Some(BLOCK + 3));
}

/// A sync failed before the end came: the end is where the gap begins, and what lies behind it is dropped.
#[test]
fn an_unknown_length_ends_at_a_voided_gap() {
    let mut map = BlockMap::new(None, BLOCK);
    map.set(0, Block { have: BLOCK as u32, crc: 1 });
    map.set(1, Block { have: BLOCK as u32, crc: 2 });
    map.set(2, Block { have: 7, crc: 3 });
    map.invalidate(1);
    map.end_here();
    assert_eq!((map.total(), map.present(), map.missing()), (Some(BLOCK), BLOCK, 0));
    assert!(map.is_complete() && !map.has_unassigned());
    assert_eq!(map.checksums().crc32, [1]);
}

#[test]
fn memory_is_taken_by_bytes_and_not_by_sizes() {
    let mut map = BlockMap::new(Some(LARGEST_FILE), BLOCK);
    let (_, span) = map.assign(BLOCK).expect("bytes are missing");
    assert_eq!((span.next, span.end), (0, BLOCK));
    map.set(0, Block { have: BLOCK as u32, crc: 1 });
    assert!(map.blocks.capacity() < 100, "{} blocks", map.blocks.capacity());
}

proptest! {
    #[test]
    fn whatever_is_claimed_filled_stolen_and_voided_the_sums_hold(
        total in 1..40 * BLOCK,
        steps in proptest::collection::vec((0..5_u8, any::<u16>()), 1..200),
    ) {
        let mut map = BlockMap::new(Some(total), BLOCK);
        let mut open = Vec::new();
        for (kind, number) in steps {
            match kind {
                0 => open.extend(map.assign(u64::from(number) * 64).map(|(id, _)| id)),
                1 => open.extend(map.steal(BLOCK, u64::from(number) * 64).map(|(id, _)| id)),
                2 => map.invalidate(usize::from(number) % total.div_ceil(BLOCK) as usize),
                3 if !open.is_empty() => map.release(open.swap_remove(usize::from(number) % open.len())),
                _ => full(&mut map, usize::from(number) % total.div_ceil(BLOCK) as usize),
            }
            let sum: u64 = map.blocks.iter().map(|block| u64::from(block.have)).sum();
            prop_assert_eq!(sum, map.present());
            prop_assert!(map.contiguous_end() <= total);
            let mut spans: Vec<_> = map.segments.values().copied().collect();
            spans.sort_by_key(|span| span.next);
            for pair in spans.windows(2) {
                prop_assert!(pair[0].end <= pair[1].next, "segments overlap: {:?}", pair);
            }
        }
    }
}
