//! The whole engine in a world that follows from one number: disk, network, threads, clock and chance are simulated, so a
//! run of hours takes milliseconds, is killed or loses its power at any operation, and can be repeated line by line.
//!
//! `universe` plays a seed; `plan` is what it asks for, `weather` and `disk::Troubles` what goes wrong, and `promises` what must
//! hold. Sizes are [`SCALE`](crate::blocks::SCALE) times smaller than in the product.
//!
//! `SIMULATION_SEEDS=100000` plays more seeds than a test run does (`cargo xtask torture --only simulation` as well, built for
//! speed), `SIMULATION_FIRST=…` from another one on; a seed that is played alone shows the whole story of its failure.

mod chance;
mod delays;
mod disk;
mod internet;
mod page;
mod plan;
mod promises;
mod storage;
mod tally;
mod trace;
mod universe;
mod weather;

pub(crate) use delays::Delays;
pub(crate) use internet::Internet;

#[cfg(test)]
mod tests {
    use super::tally::Tally;
    use super::universe;

    /// Seeds that a test run plays.
    const SEEDS: u64 = 1000;

    /// Lines of the story of a failed run that are shown: its end. A run of one seed shows all.
    const LINES_SHOWN: usize = 100;

    fn number(variable: &str, otherwise: u64) -> u64 {
        std::env::var(variable).map_or(otherwise, |value| value.parse().expect("a number"))
    }

    fn play(seeds: impl Iterator<Item = u64>, lines_shown: usize) -> Tally {
        let mut tally = Tally::default();
        for seed in seeds {
            match universe::run(seed) {
                Ok(run) => tally.add(&run.tally),
                Err(failure) => {
                    let story = &failure.story[failure.story.len().saturating_sub(lines_shown)..];
                    panic!("seed {seed}: {}\n{}", failure.problem, story.join("\n"));
                }
            }
        }
        tally
    }

    #[test]
    fn whatever_happens_every_file_ends_whole_or_its_place_clean() {
        let (first, count) = (number("SIMULATION_FIRST", 0), number("SIMULATION_SEEDS", SEEDS));
        let lines_shown = if count == 1 { usize::MAX } else { LINES_SHOWN };
        let seeds = first..first + count;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let tally = std::thread::scope(|scope| {
            let every_nth = |from| seeds.clone().skip(from).step_by(threads);
            let playing: Vec<_> =
                (0..threads).map(|from| scope.spawn(move || play(every_nth(from), lines_shown))).collect();
            let mut tally = Tally::default();
            for thread in playing {
                tally.add(&thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            tally
        });
        println!("{tally}");
    }

    #[test]
    fn a_seed_tells_the_same_story_twice() {
        for seed in 0..SEEDS / 20 {
            let tell = || universe::run(seed).map(|run| run.trace.lines()).unwrap_or_default();
            let (one, other) = (tell(), tell());
            let differs = one.iter().zip(&other).position(|(one, other)| one != other);
            assert_eq!(differs.map(|at| (&one[at], &other[at])), None, "seed {seed}");
            assert_eq!(one.len(), other.len(), "seed {seed}");
        }
    }
}
