//! Ordeal: kill -9 at random moments of a fetch of six files, started again each time, until the wanted number of kills is reached.

use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::subject::{Subject, Trial};
use super::{Options, Outcome, Tally};

const FILES: u64 = 6;
const SIZE: u64 = 48 << 20;
const RATE: u64 = 20_000_000;

/// The engine alone, killed as often as the options say.
pub(super) fn engine(subject: &Subject<'_>, options: &Options) -> Result<Outcome> {
    kill(&subject.engine(FILES, SIZE, RATE, &[])?, options.random_kills, options.seed, 16 << 20)
}

/// The product with its database, killed a quarter as often: it takes longer to start.
pub(super) fn product(subject: &Subject<'_>, options: &Options) -> Result<Outcome> {
    kill(&subject.product(FILES, SIZE, RATE)?, options.random_kills / 4, options.seed, 64 << 20)
}

/// Each kill may cost `lost` bytes for each file that was not whole.
fn kill(trial: &Trial, kills: usize, seed: u64, lost: u64) -> Result<Outcome> {
    let mut tally = Tally::default();
    let mut moments = Moments(seed.max(1));
    let (mut most, mut rounds) = (0.0_f64, 0);
    while tally.runs < kills {
        trial.fresh()?;
        rounds += 1;
        let before = trial.server.bytes_sent()?;
        let allowed = lost * kill_until_whole(trial, &mut moments, kills, &mut tally)?;
        let round = trial.recovers().and_then(|()| {
            let sent = trial.server.bytes_sent()? - before;
            most = most.max(sent as f64 / trial.total_bytes() as f64);
            if sent > trial.total_bytes() + allowed {
                bail!("the server sent {sent} bytes, more than {} + {allowed}", trial.total_bytes());
            }
            Ok(())
        });
        if let Err(error) = round {
            tally.broken.push(format!("fetch {rounds}: {error:#}"));
        }
    }
    tally.note = format!(
        "seed {seed}, {rounds} fetches of {FILES} files of {} MiB, at most {most:.2} x their bytes sent",
        SIZE >> 20
    );
    Ok(Outcome::Done(tally))
}

/// Starts and kills until a run ends by itself or the kills are used up. Gives the sum, over the kills, of the files not yet whole.
fn kill_until_whole(trial: &Trial, moments: &mut Moments, kills: usize, tally: &mut Tally) -> Result<u64> {
    let mut interrupted = 0;
    while tally.runs < kills {
        let mut child = trial.command().spawn()?;
        if ends_within(&mut child, moments.next())? {
            break;
        }
        let unfinished = trial.unfinished();
        child.kill()?;
        child.wait()?;
        interrupted += unfinished;
        tally.count(&format!("kill {}", tally.runs + 1), trial.nothing_wrong());
    }
    Ok(interrupted)
}

fn ends_within(child: &mut Child, time: Duration) -> Result<bool> {
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(false)
}

/// Moments between 5 and 600 ms, from a seed.
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(5 + self.0 % 596)
    }
}
