//! One seed from its first process to its last: processes begin, are steered, killed, begin again; in the last one the
//! faults end and everything has to come to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::chance::Chance;
use super::delays::Delays;
use super::disk::MemoryDisk;
use super::disk_faults::DiskFaults;
use super::internet::Internet;
use super::invariants::{Heard, Invariants, Standing};
use super::kept::Kept;
use super::network_faults::NetworkFaults;
use super::plan::Plan;
use super::stats::Stats;
use super::trace::Trace;
use crate::geometry::Geometry;
use crate::threads::Threads;
use crate::transfer::world::World;
use crate::{Downloader, JobEvent, JobId, Priority, Update};

/// When the faults end in the last life.
const STORM: Duration = Duration::from_secs(60);
/// Until when everything has to have ended.
const TIMEOUT: Duration = Duration::from_secs(2 * 3600);
/// Failures after the end of the faults that are forgiven: their last effects.
const FORGIVEN: u32 = 3;

/// A run that went as it should.
pub(crate) struct Run {
    pub(crate) trace: Arc<Trace>,
    pub(crate) stats: Stats,
}

/// A run that did not.
pub(crate) struct Failure {
    pub(crate) problem: String,
    pub(crate) story: Vec<String>,
}

pub(crate) fn run(seed: u64) -> Result<Run, Failure> {
    let mut simulation = Simulation::new(seed);
    match simulation.run() {
        Ok(()) => Ok(Run { trace: simulation.trace, stats: simulation.stats }),
        Err(problem) => Err(Failure { problem, story: simulation.trace.lines() }),
    }
}

/// Pauses a job that has hardly begun.
fn pause_soon(downloader: Downloader, id: JobId, after: Duration) {
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        let _ = downloader.pause(&id).await;
    });
}

struct Simulation {
    chance: Chance,
    trace: Arc<Trace>,
    disk: MemoryDisk,
    internet: Arc<Internet>,
    plan: Plan,
    invariants: Invariants,
    kept: Kept,
    stats: Stats,
}

/// How a process ended.
#[derive(Debug, PartialEq, Eq)]
enum LifeEnd {
    Killed,
    Stopped,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let chance = Chance::new(seed);
        let trace = Arc::new(Trace::default());
        let disk = MemoryDisk::new(chance.clone(), Arc::clone(&trace));
        let internet = Arc::new(Internet::new(chance.clone(), Arc::clone(&trace)));
        let plan = Plan::by(&chance, &disk, &internet);
        let stats = Stats { seeds: 1, files: plan.files.len() as u64, ..Stats::default() };
        Self { chance, trace, disk, internet, plan, invariants: Invariants::default(), kept: Kept::default(), stats }
    }

    fn run(&mut self) -> Result<(), String> {
        let lives = 1 + self.chance.index(5);
        for life in 0..lives {
            let last = life + 1 == lives;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            let end = runtime.block_on(self.live(life, last))?;
            drop(runtime);
            self.trace.end_life();
            match end {
                LifeEnd::Killed => self.stats.kills += 1,
                LifeEnd::Stopped => self.stats.shutdowns += 1,
            }
            if !last && self.chance.happens(0.5) {
                self.disk.power_cut();
                self.stats.power_cuts += 1;
            }
            self.invariants.hold(&self.plan, &self.disk)?;
            if !last {
                self.tamper();
            }
        }
        self.stats.past_cache = self.disk.past_cache();
        self.invariants.are_fulfilled(&self.plan, &self.disk)?;
        // All of it also if the power fails now.
        self.disk.power_cut();
        self.invariants.hold(&self.plan, &self.disk)
    }

    fn world(&self) -> World {
        World {
            disk: Arc::new(self.disk.clone()),
            network: self.internet.clone(),
            geometry: Geometry::SMALL,
            threads: Threads::assigned_by(Delays(self.chance.clone())),
            seed: self.chance.number(0..u64::MAX),
        }
    }

    /// One process from its start to its end.
    async fn live(&mut self, life: usize, last: bool) -> Result<LifeEnd, String> {
        self.trace.begin_life(life);
        self.disk.begin_life(self.disk_faults(last));
        self.internet.turn(NetworkFaults::by(&self.chance));
        self.kept.forget();
        self.kept.look(&self.plan, &self.disk);
        let (downloader, mut updates, engine) = Downloader::in_world(self.plan.settings.clone(), self.world());
        let engine = tokio::spawn(engine);
        let mut heard = Heard::new();
        for job in self.invariants.unfinished(&self.plan) {
            heard.insert(job.id.clone(), Standing::Moving);
            let id = job.id.clone();
            downloader.enqueue(job).await.map_err(|error| error.to_string())?;
            if self.chance.happens(0.15) {
                self.trace.line(format!("{id}: paused at once"));
                pause_soon(downloader.clone(), id, self.chance.milliseconds(0..10));
            }
        }
        let fair_from = Instant::now() + STORM;
        let shortest = self.chance.one_of(&[0, 100, 100, 100]);
        let longest = if shortest == 0 { 20 } else { 60_000 };
        let stops_at = Instant::now() + if last { TIMEOUT } else { self.chance.milliseconds(shortest..longest) };
        let mut fair = false;
        while !heard.is_empty() {
            let now = Instant::now();
            if last && !fair && now >= fair_from {
                self.trace.line("the faults end".to_owned());
                (fair, self.stats.failures) = (true, 0);
                self.disk.recover();
                self.internet.turn(NetworkFaults::fair());
            }
            if now >= stops_at {
                if last {
                    return Err(format!("after {TIMEOUT:?} there is no end: {heard:?}"));
                }
                break;
            }
            let nap = tokio::time::sleep(self.chance.milliseconds(1..3000));
            tokio::select! {
                biased;
                () = self.disk.death() => return Ok(LifeEnd::Killed),
                update = updates.recv() => {
                    let update = update.ok_or("the engine ended by itself")?;
                    self.hear(update, &mut heard)?;
                }
                () = nap => {}
            }
            if fair {
                self.help(&downloader, &mut heard).await?;
            } else if self.chance.happens(0.05) {
                self.command(&downloader, &heard);
            }
        }
        let disk = self.disk.clone();
        tokio::select! {
            biased;
            () = disk.death() => Ok(LifeEnd::Killed),
            stopped = self.stop(downloader, updates, engine, &mut heard) => stopped,
        }
    }

    /// Shuts down in order, and looks for what was left running.
    async fn stop(
        &mut self,
        downloader: Downloader,
        mut updates: Receiver<Update>,
        engine: JoinHandle<()>,
        heard: &mut Heard,
    ) -> Result<LifeEnd, String> {
        let stopping = tokio::spawn(async move { downloader.shutdown().await });
        while let Some(update) = updates.recv().await {
            self.hear(update, heard)?;
        }
        stopping.await.map_err(|error| error.to_string())?;
        self.kept.holds(&self.plan, &self.disk)?;
        engine.await.map_err(|error| error.to_string())?;
        // What was told to end gets a moment for it.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        if alive > 0 {
            return Err(format!("{alive} tasks are left running"));
        }
        if self.disk.locks() > 0 {
            return Err(format!("{} locks are left", self.disk.locks()));
        }
        Ok(LifeEnd::Stopped)
    }

    fn disk_faults(&self, last: bool) -> DiskFaults {
        let most = self.chance.one_of(&[20, 100, 400, 2000]);
        let killed = !last && self.chance.happens(0.8);
        let total = self.plan.total();
        DiskFaults {
            operations_left: killed.then(|| self.chance.number(1..most)),
            capacity: self.chance.happens(0.2).then(|| self.chance.number(0..total + 1)),
            failing_syncs: if self.chance.happens(0.2) { self.chance.one_of(&[0.02, 0.2]) } else { 0.0 },
            needs_cache: self.chance.happens(0.1),
        }
    }

    fn hear(&mut self, update: Update, heard: &mut Heard) -> Result<(), String> {
        if !matches!(update.event, JobEvent::Progress(_)) {
            self.trace.line(format!("{}: {:?}", update.job, update.event));
        }
        self.kept.hear(&update, &self.plan, &self.disk);
        self.invariants.hear(update, heard, &self.plan, &self.disk, &mut self.stats)
    }

    /// Somebody does something to a job, or publishes another version of a file.
    fn command(&mut self, downloader: &Downloader, heard: &Heard) {
        self.stats.commands += 1;
        let Some(id) = heard.keys().nth(self.chance.index(heard.len().max(1))).cloned() else { return };
        let downloader = downloader.clone();
        let what = self.chance.index(12);
        let number = self.chance.number(0..200_000);
        let soon = self.chance.happens(0.3).then(|| self.chance.milliseconds(0..10));
        self.trace.line(format!("{id}: command {what}"));
        match what {
            0 => self.plan.publish_another(&self.chance, &self.internet),
            1 => self.internet.turn(NetworkFaults::by(&self.chance)),
            2 => self.disk.recover(),
            _ => drop(tokio::spawn(async move {
                match what {
                    3..=5 => drop(downloader.pause(&id).await),
                    6 => drop(downloader.cancel(&id).await),
                    7 => drop(downloader.set_priority(&id, Priority::High).await),
                    8 => drop(downloader.set_rate_limit(&id, Some(10_000 + number)).await),
                    9 => downloader.set_global_rate_limit(Some(20_000 + number)),
                    _ => {
                        let resumed = downloader.resume(&id).await;
                        if let Some(soon) = soon.filter(|_| resumed.is_ok()) {
                            pause_soon(downloader, id, soon);
                        }
                    }
                }
            })),
        }
    }

    /// Without faults a job that is paused is resumed, and nothing fails for long. A job that waits for space resumes by itself.
    async fn help(&mut self, downloader: &Downloader, heard: &mut Heard) -> Result<(), String> {
        if self.stats.failures > u64::from(FORGIVEN) * self.plan.jobs.len() as u64 {
            return Err("jobs fail although nothing goes wrong".to_owned());
        }
        for (id, state) in heard.iter_mut().filter(|(_, state)| matches!(state, Standing::Paused | Standing::Failed)) {
            let _ = downloader.resume(id).await;
            *state = Standing::Moving;
        }
        Ok(())
    }

    /// Between two processes somebody else may have touched what is not finished.
    fn tamper(&self) {
        if self.chance.happens(0.8) {
            return;
        }
        let unfinished: Vec<_> = self.disk.files().into_keys().filter(|name| name.contains(".part")).collect();
        if unfinished.is_empty() {
            return;
        }
        let path = &unfinished[self.chance.index(unfinished.len())];
        let chance = self.chance.clone();
        let how = chance.index(6);
        self.trace.line(format!("somebody touches {path}: {how}"));
        let change = move |bytes: &mut Vec<u8>| match how {
            0 => bytes.truncate(chance.index(bytes.len().max(1))),
            1 => bytes.fill(0),
            2 => bytes.extend(b"and something more"),
            3 => bytes.splice(0..0, *b"XXXX").for_each(drop),
            _ if bytes.is_empty() => {}
            _ => {
                let at = chance.index(bytes.len());
                bytes[at] ^= 1 << chance.index(8);
            }
        };
        self.disk.tamper(path, (how > 0 || self.chance.happens(0.5)).then_some(change));
    }
}
