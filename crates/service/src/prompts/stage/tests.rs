//! The machine and the planner together against a ComfyUI that may lose, delay and forget, under cancels and crashes at every
//! point of a round.

use std::collections::HashSet;

use super::{Effect, End, MAX_ATTEMPTS, Stage, StageEvent, step};
use crate::prompts::{Candidate, Plan, Wish};
use comfy_client::{Queue, QueueRow};
use proptest::{collection::vec, prelude::*};

const PROMPTS: usize = 3;

/// What happens to a submission.
#[derive(Debug, Clone, Copy)]
enum Delivery {
    Taken,
    AnswerLost,
    RequestLost,
    /// It counts as lost and arrives at some later time.
    Late,
    Refused,
}

/// What happens at one point of a round, or between two rounds.
#[derive(Debug, Clone, Copy)]
enum Interference {
    Nothing,
    Cancel(usize),
    Starts,
    Finishes,
    ComfyRestarts,
    WeCrash,
    LateOneArrives,
}

fn interference() -> impl Strategy<Value = Interference> {
    prop_oneof![
        4 => Just(Interference::Nothing),
        3 => (0..PROMPTS).prop_map(Interference::Cancel),
        3 => Just(Interference::Starts),
        2 => Just(Interference::Finishes),
        1 => Just(Interference::ComfyRestarts),
        2 => Just(Interference::WeCrash),
        1 => Just(Interference::LateOneArrives),
    ]
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![
        5 => Just(Delivery::Taken),
        1 => Just(Delivery::AnswerLost),
        1 => Just(Delivery::RequestLost),
        1 => Just(Delivery::Late),
        1 => Just(Delivery::Refused),
    ]
}

#[derive(Debug)]
struct World {
    rows: Vec<Stage>,
    cancelled: HashSet<usize>,
    /// Absent when last looked at; lost with a crash.
    missing: HashSet<usize>,
    pending: Vec<usize>,
    running: Option<usize>,
    interrupted: bool,
    history: Vec<(usize, End)>,
    late: Vec<usize>,
    interferences: Vec<Interference>,
    deliveries: Vec<Delivery>,
    ahead: usize,
}

/// We died in the middle of a round; what is in the rows is all that is left.
struct Crash;

impl World {
    fn advance(&mut self, prompt: usize, event: StageEvent) -> Option<Effect> {
        let from = self.rows[prompt];
        let (to, effect) = step(from, event);
        if let Stage::Ended(_) = from {
            assert_eq!(to, from, "an end is final");
        }
        assert!(to.attempts().is_none_or(|attempts| attempts <= MAX_ATTEMPTS), "{from:?} {event:?}");
        self.rows[prompt] = to;
        effect
    }

    /// A point at which anything may happen.
    fn point(&mut self) -> Result<(), Crash> {
        match self.interferences.pop().unwrap_or(Interference::Nothing) {
            Interference::Nothing => {}
            Interference::Cancel(prompt) => {
                self.cancelled.insert(prompt);
                self.advance(prompt, StageEvent::Cancel);
            }
            Interference::Starts => self.starts(),
            Interference::Finishes => self.finishes(),
            Interference::ComfyRestarts => {
                self.pending.clear();
                self.history.clear();
                (self.running, self.interrupted) = (None, false);
            }
            Interference::WeCrash => {
                self.missing.clear();
                return Err(Crash);
            }
            Interference::LateOneArrives => self.pending.extend(self.late.pop()),
        }
        Ok(())
    }

    fn starts(&mut self) {
        if self.running.is_none() && !self.pending.is_empty() {
            self.running = Some(self.pending.remove(0));
        }
    }

    fn finishes(&mut self) {
        let end = if std::mem::take(&mut self.interrupted) { End::Interrupted } else { End::Completed };
        self.history.extend(self.running.take().map(|prompt| (prompt, end)));
    }

    fn is_there(&self, prompt: usize) -> bool {
        self.running == Some(prompt) || self.pending.contains(&prompt)
    }

    fn ended_as(&self, prompt: usize) -> Option<End> {
        self.history.iter().rev().find(|(id, _)| *id == prompt).map(|(_, end)| *end)
    }

    fn obey(&mut self, prompt: usize, effect: Option<Effect>) {
        match effect {
            Some(Effect::Remove) => self.pending.retain(|id| *id != prompt),
            Some(Effect::Interrupt) if self.running == Some(prompt) => self.interrupted = true,
            _ => {}
        }
    }

    /// What `prompts::worker` does in a round.
    fn round(&mut self) -> Result<(), Crash> {
        let (pending, running) = (self.pending.clone(), self.running);
        self.point()?;
        for prompt in 0..PROMPTS {
            let waits = pending.contains(&prompt);
            let event = if running == Some(prompt) {
                StageEvent::SeenRunning { duplicate: waits }
            } else if waits {
                StageEvent::SeenPending
            } else if self.rows[prompt].is_handed_over() {
                self.absent(prompt)?;
                continue;
            } else {
                continue;
            };
            self.missing.remove(&prompt);
            let effect = self.advance(prompt, event);
            self.point()?;
            self.obey(prompt, effect);
        }
        self.hand_over()
    }

    fn absent(&mut self, prompt: usize) -> Result<(), Crash> {
        let told = self.ended_as(prompt);
        self.point()?;
        if let Some(end) = told {
            self.advance(prompt, StageEvent::Finished(end));
            return Ok(());
        }
        self.advance(prompt, StageEvent::Absent);
        if !self.missing.insert(prompt) {
            self.missing.remove(&prompt);
            self.advance(prompt, StageEvent::Lost);
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), Crash> {
        for _ in 0..3 {
            let plan = self.plan();
            self.point()?;
            if plan.take_back.is_empty() {
                for (id, _) in plan.hand_in {
                    self.hand_in(number(&id))?;
                }
                break;
            }
            for prompt in plan.take_back.iter().map(|id| number(id)) {
                self.pending.retain(|id| *id != prompt);
                let is_gone = !self.is_there(prompt) && self.ended_as(prompt).is_none();
                self.point()?;
                if is_gone {
                    self.advance(prompt, StageEvent::TakenBack);
                }
            }
        }
        Ok(())
    }

    fn hand_in(&mut self, prompt: usize) -> Result<(), Crash> {
        let before = self.rows[prompt];
        self.advance(prompt, StageEvent::Send);
        if self.rows[prompt] == before {
            return Ok(());
        }
        self.point()?;
        let event = match self.deliveries.pop().unwrap_or(Delivery::Taken) {
            Delivery::Taken => {
                self.pending.push(prompt);
                Some(StageEvent::Accepted)
            }
            Delivery::AnswerLost => {
                self.pending.push(prompt);
                None
            }
            Delivery::RequestLost => None,
            Delivery::Late => {
                self.late.push(prompt);
                None
            }
            Delivery::Refused => Some(StageEvent::Rejected),
        };
        self.point()?;
        if let Some(event) = event {
            self.advance(prompt, event);
        }
        Ok(())
    }

    fn plan(&self) -> Plan {
        let candidate = |(prompt, stage): (usize, &Stage)| Candidate {
            id: prompt.to_string(),
            number: prompt as u64,
            priority: 0,
            wish: match stage {
                Stage::Ending { .. } | Stage::Ended(_) => Wish::Leave,
                Stage::Waiting { .. } => Wish::Run,
                _ if self.is_there(prompt) => Wish::Run,
                _ => Wish::Unsettled,
            },
        };
        let unfinished = self.rows.iter().enumerate().filter(|(_, stage)| !matches!(stage, Stage::Ended(_)));
        let ours: Vec<Candidate> = unfinished.map(candidate).collect();
        let row = |(place, prompt): (usize, &usize)| QueueRow {
            number: place as f64,
            prompt_id: prompt.to_string(),
            node_types: Vec::new(),
            client_id: None,
            outputs: Vec::new(),
        };
        let queue = Queue {
            running: self.running.iter().map(|prompt| row((0, prompt))).collect(),
            pending: self.pending.iter().enumerate().map(row).collect(),
        };
        Plan::make(&ours, &queue, self.ahead, false, 0.0)
    }
}

fn number(id: &str) -> usize {
    id.parse().expect("ids are numbers here")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happened, once nothing goes wrong any more every prompt ends within a few rounds, a cancelled one without
    /// having to be cancelled again, and ComfyUI is left with nothing of ours.
    #[test]
    fn every_prompt_ends_and_leaves_no_place_taken(
        interferences in vec(interference(), 0..60),
        deliveries in vec(delivery(), 0..12),
        rounds in 1..12_usize,
        ahead in 1..3_usize,
    ) {
        let mut world = World {
            rows: vec![Stage::Waiting { attempts: 0 }; PROMPTS],
            cancelled: HashSet::new(),
            missing: HashSet::new(),
            pending: Vec::new(),
            running: None,
            interrupted: false,
            history: Vec::new(),
            late: Vec::new(),
            interferences,
            deliveries,
            ahead,
        };
        for _ in 0..rounds {
            let _ = world.round();
        }
        world.interferences.clear();
        world.deliveries.clear();
        let late = std::mem::take(&mut world.late);
        world.pending.extend(late);
        // Nothing runs to its end by itself yet: what is cancelled gets out all the same, without another cancel.
        for _ in 0..4 {
            let _ = world.round();
            if world.interrupted {
                world.finishes();
            }
        }
        for prompt in &world.cancelled {
            prop_assert!(matches!(world.rows[*prompt], Stage::Ended(_)), "{prompt} was cancelled: {world:?}");
        }
        for _ in 0..(4 * PROMPTS) {
            let _ = world.round();
            world.starts();
            world.finishes();
        }
        prop_assert!(world.rows.iter().all(|stage| matches!(stage, Stage::Ended(_))), "{world:?}");
        prop_assert!(world.pending.is_empty() && world.running.is_none(), "{world:?}");
    }
}

#[test]
fn stages_are_stored_and_read_alike() {
    let attempts = 2;
    for stage in [
        Stage::Waiting { attempts },
        Stage::Sent { attempts },
        Stage::Queued { attempts },
        Stage::Running { attempts },
        Stage::Ending { attempts, begun: true },
        Stage::Ended(End::Completed),
        Stage::Ended(End::Failed),
        Stage::Ended(End::Interrupted),
    ] {
        assert_eq!(Stage::parse(stage.as_str(), attempts, true), Some(stage));
    }
    assert_eq!(Stage::parse("accepted", attempts, true), None);
}
