//! The seeds that are played, as tests. How many, and from which on, may be asked for through the environment.

use super::stats::Stats;
use super::world::{self, Failure};

/// Seeds that a test run plays.
const SEEDS: u64 = 1000;

/// Lines of the story of a failed run that are shown: its end. A run of one seed shows all.
const LINES_SHOWN: usize = 100;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |value| value.parse().expect("a number"))
}

/// Plays them all: what one of them breaks hides nothing of what the others do. Only the first tells its story.
fn play(seeds: impl Iterator<Item = u64>) -> (Stats, Vec<(u64, Failure)>) {
    let (mut stats, mut failures) = (Stats::default(), Vec::<(u64, Failure)>::new());
    for seed in seeds {
        match world::run(seed) {
            Ok(run) => stats.add(&run.stats),
            Err(failure) if failures.is_empty() => failures.push((seed, failure)),
            Err(failure) => failures.push((seed, Failure { story: Vec::new(), ..failure })),
        }
    }
    (stats, failures)
}

#[test]
fn whatever_happens_every_file_ends_whole_or_its_place_clean() {
    let (first, count) = (number("SIMULATION_FIRST", 0), number("SIMULATION_SEEDS", SEEDS));
    let seeds = first..first + count;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut stats, mut failures) = (Stats::default(), Vec::new());
    std::thread::scope(|scope| {
        let every_nth = |from| seeds.clone().skip(from).step_by(threads);
        let playing: Vec<_> = (0..threads).map(|from| scope.spawn(move || play(every_nth(from)))).collect();
        for thread in playing {
            let (played, failed) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            stats.add(&played);
            failures.extend(failed);
        }
    });
    println!("{stats}");
    assert!(count < SEEDS || stats.past_cache > 0, "nothing is fast enough to go past the cache");
    failures.sort_by_key(|(seed, _)| *seed);
    if let Some((_, Failure { story, .. })) = failures.first() {
        let problem = |(seed, failure): &(u64, Failure)| format!("seed {seed}: {}", failure.problem);
        let problems: Vec<_> = failures.iter().map(problem).collect();
        let lines_shown = if count == 1 { usize::MAX } else { LINES_SHOWN };
        let end = &story[story.len().saturating_sub(lines_shown)..];
        panic!("{}\nThe first of them:\n{}", problems.join("\n"), end.join("\n"));
    }
}

/// Seeds that runs of 100,000 found: a hash state that finds no room, a journal whose sync fails, a file that is renamed into a folder
/// whose sync fails, and a whole file without a journal whose sync fails.
#[test]
fn seeds_that_failed_once_hold() {
    let found = [300_667, 301_535, 304_569, 307_051, 307_605, 311_917, 322_104, 344_984, 392_641];
    let (_, failures) = play(found.into_iter());
    let problems: Vec<_> = failures.iter().map(|(seed, failure)| format!("{seed}: {}", failure.problem)).collect();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in 0..SEEDS / 20 {
        let tell = || match world::run(seed) {
            Ok(run) => run.trace.lines(),
            Err(failure) => failure.story,
        };
        let (one, other) = (tell(), tell());
        assert!(!one.is_empty(), "seed {seed} tells nothing");
        let differs = one.iter().zip(&other).position(|(one, other)| one != other);
        assert_eq!(differs.map(|at| (&one[at], &other[at])), None, "seed {seed}");
        assert_eq!(one.len(), other.len(), "seed {seed}");
    }
}
