//! Ordeal: kill -9 at random moments of a fetch of six files, started again each time, until the wanted number of kills is reached.

use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::sent_twice::sent_twice;
use super::subject::{Subject, Trial};
use super::{Options, Outcome, Tally};

const FILES: usize = 6;
const SIZE: u64 = 48 << 20;
const RATE: u64 = 20_000_000;

/// What a kill may cost of each file that was not whole.
const LOST: u64 = 16 << 20;

/// The engine alone, killed as often as the options say.
pub(super) fn engine(subject: &Subject<'_>, options: &Options) -> Result<Outcome> {
    kill(&subject.engine(FILES as u64, SIZE, RATE, &[])?, options.random_kills, options.seed)
}

/// The product with its database, killed a quarter as often: it takes longer to start.
pub(super) fn product(subject: &Subject<'_>, options: &Options) -> Result<Outcome> {
    kill(&subject.product(FILES as u64, SIZE, RATE)?, options.random_kills / 4, options.seed)
}

fn kill(trial: &Trial, kills: usize, seed: u64) -> Result<Outcome> {
    let mut tally = Tally::default();
    let mut moments = Moments(seed.max(1));
    let (mut most, mut rounds) = (0, 0);
    while tally.runs < kills {
        rounds += 1;
        let mut round = Round::begin(trial)?;
        while tally.runs < kills && round.is_killed_after(moments.next())? {
            tally.count(&format!("kill {}", tally.runs + 1), trial.nothing_wrong());
        }
        if let Err(error) = trial.recovers().and_then(|()| round.judge()) {
            tally.broken.push(format!("fetch {rounds}: {error:#}"));
        }
        most = most.max(round.most_lost);
    }
    tally.note = format!(
        "seed {seed}, {rounds} fetches of {FILES} files of {} MiB; of a file at most {:.1} MiB were sent again in one run",
        SIZE >> 20,
        most as f64 / f64::from(1 << 20)
    );
    Ok(Outcome::Done(tally))
}

/// One fetch from an empty folder to six whole files.
struct Round<'a> {
    trial: &'a Trial,
    /// Answers that the server had given before.
    before: usize,
    /// For each file, how often it was killed before it was whole.
    killed: [u64; FILES],
    /// For each file, the bytes that were sent again until now.
    again: [u64; FILES],
    /// The most that was sent again of one file between two kills.
    most_lost: u64,
}

impl<'a> Round<'a> {
    fn begin(trial: &'a Trial) -> Result<Round<'a>> {
        trial.fresh()?;
        let before = trial.server.sent()?.len();
        Ok(Round { trial, before, killed: [0; FILES], again: [0; FILES], most_lost: 0 })
    }

    /// Starts the program and kills it; `false` where it had ended by itself.
    fn is_killed_after(&mut self, moment: Duration) -> Result<bool> {
        let mut child = self.trial.command().spawn()?;
        if ends_within(&mut child, moment)? {
            return Ok(false);
        }
        let unfinished: Vec<_> = (0..FILES).filter(|file| !self.trial.is_finished(*file)).collect();
        child.kill()?;
        child.wait()?;
        unfinished.into_iter().for_each(|file| self.killed[file] += 1);
        self.count()?;
        Ok(true)
    }

    fn count(&mut self) -> Result<()> {
        let sent = self.trial.server.sent()?;
        for (file, before) in self.again.iter_mut().enumerate() {
            let answers = sent[self.before..].iter().filter(|answer| answer.file == file);
            let again = sent_twice(answers.map(|answer| answer.bytes.clone()));
            self.most_lost = self.most_lost.max(again - *before);
            *before = again;
        }
        Ok(())
    }

    fn judge(&mut self) -> Result<()> {
        self.count()?;
        for (file, (again, killed)) in self.again.into_iter().zip(self.killed).enumerate() {
            if again > LOST * killed.max(1) {
                bail!("of file {file} {again} bytes were sent again, and it was killed {killed} times");
            }
        }
        Ok(())
    }
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
