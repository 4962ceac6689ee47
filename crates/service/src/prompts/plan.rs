//! What of our queue ComfyUI should have at this moment, and what has to be done for it. Pure.
//!
//! ComfyUI runs the lowest number first and breaks ties by id, so every prompt gets a number of its own: behind everything
//! that waits there, or, with a priority, before everything of other clients.

use comfy_client::{Queue, QueueRow};

/// One of our unfinished prompts.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) id: String,
    /// Unique, in the order of submission.
    pub(crate) number: u64,
    pub(crate) priority: u32,
    pub(crate) wish: Wish,
}

/// What a prompt wants of ComfyUI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A place in its queue; it may have it already.
    Run,
    /// It was sent, and what became of it is not known yet: it keeps its place until that is known.
    Unsettled,
    /// To get out: it is cancelled. Only where it runs does it take a place, until it is stopped.
    Leave,
}

/// What to do, in this order.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Prompts that wait in ComfyUI and should not, or not there.
    pub(crate) take_back: Vec<String>,
    /// Prompts to hand over, next first, each with its place.
    pub(crate) hand_in: Vec<(String, f64)>,
}

/// The distance between two numbers at the back. It is no whole number's divisor by chance: other clients have whole numbers.
const STEP: f64 = 1.0 / 1024.0;

impl Plan {
    /// `ours` is our queue in order, without what runs; `queue` is what ComfyUI has; `ahead` prompts of ours may be there at
    /// once, the running one included; `last` is the highest number given so far.
    pub(crate) fn make(ours: &[Candidate], queue: &Queue, ahead: usize, is_paused: bool, last: f64) -> Self {
        let is_ours = |id: &str| ours.iter().any(|candidate| candidate.id == id);
        let running = queue.running.iter().filter(|row| is_ours(&row.prompt_id)).count();
        let unsettled = ours.iter().filter(|candidate| candidate.wish == Wish::Unsettled).count();
        let room = if is_paused { 0 } else { ahead.saturating_sub(running + unsettled) };
        let runs = |id: &str| queue.running.iter().any(|row| row.prompt_id == id);
        let wanted: Vec<&Candidate> =
            ours.iter().filter(|candidate| candidate.wish == Wish::Run && !runs(&candidate.id)).take(room).collect();
        let leaves = |id: &str| ours.iter().any(|candidate| candidate.id == id && candidate.wish == Wish::Leave);
        let (leaving, there): (Vec<&QueueRow>, Vec<&QueueRow>) =
            queue.pending.iter().filter(|row| is_ours(&row.prompt_id)).partition(|row| leaves(&row.prompt_id));
        let there: Vec<(&str, f64)> = there.into_iter().map(|row| (row.prompt_id.as_str(), row.number)).collect();
        let others: Vec<f64> =
            queue.pending.iter().filter(|row| !is_ours(&row.prompt_id)).map(|row| row.number).collect();
        let first_of_others = others.iter().copied().min_by(f64::total_cmp);
        let in_place = |(candidate, (id, number)): &(&&Candidate, &(&str, f64))| {
            let overtaken = candidate.priority > 0 && first_of_others.is_some_and(|other| other < *number);
            candidate.id == *id && !overtaken
        };
        let kept = wanted.iter().zip(&there).take_while(in_place).count();
        let last_of_others = others.iter().copied().fold(last, f64::max);
        let mut before = there[..kept].last().map(|(_, number)| *number);
        let hand_in = wanted[kept..].iter().map(|candidate| {
            let number = number_for(candidate, before, first_of_others, last_of_others);
            before = Some(number);
            (candidate.id.clone(), number)
        });
        let hand_in = hand_in.collect();
        let leaving = leaving.into_iter().map(|row| row.prompt_id.as_str());
        let take_back = leaving.chain(there[kept..].iter().map(|(id, _)| *id)).map(str::to_owned).collect();
        Self { take_back, hand_in }
    }
}

/// A number behind `before`, our own prompt that comes first, and on the right side of the other clients' prompts.
fn number_for(candidate: &Candidate, before: Option<f64>, first_of_others: Option<f64>, back: f64) -> f64 {
    if let Some(first) = first_of_others.filter(|_| candidate.priority > 0) {
        return match before.filter(|before| *before < first) {
            Some(before) => f64::midpoint(before, first),
            // Within one below the first, the later submitted the higher, so that no two are alike.
            #[expect(clippy::cast_precision_loss, reason = "a number of a prompt is far below 2^52")]
            None => first - 1.0 / (1.0 + candidate.number as f64),
        };
    }
    let next = ((before.unwrap_or(back).max(back) / STEP).floor() + 1.0) * STEP;
    if next.fract() == 0.0 { next + STEP } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(ids: &[(&str, u32)]) -> Vec<Candidate> {
        let candidate = |(at, (id, priority)): (usize, &(&str, u32))| Candidate {
            id: (*id).to_owned(),
            number: at as u64 + 1,
            priority: *priority,
            wish: Wish::Run,
        };
        ids.iter().enumerate().map(candidate).collect()
    }

    fn rows(rows: &[(&str, f64)]) -> Vec<QueueRow> {
        let row = |(id, number): &(&str, f64)| QueueRow {
            number: *number,
            prompt_id: (*id).to_owned(),
            node_types: Vec::new(),
            client_id: None,
            outputs: Vec::new(),
        };
        rows.iter().map(row).collect()
    }

    fn queue(running: &[(&str, f64)], pending: &[(&str, f64)]) -> Queue {
        Queue { running: rows(running), pending: rows(pending) }
    }

    fn ids(plan: &Plan) -> Vec<&str> {
        plan.hand_in.iter().map(|(id, _)| id.as_str()).collect()
    }

    #[test]
    fn no_more_than_so_many_are_handed_over_and_each_has_a_number_behind_the_last() {
        let plan = Plan::make(&ours(&[("a", 0), ("b", 0), ("c", 0)]), &Queue::default(), 2, false, 7.0);
        assert_eq!(ids(&plan), ["a", "b"]);
        assert!(plan.hand_in[0].1 > 7.0 && plan.hand_in[1].1 > plan.hand_in[0].1 && plan.hand_in[1].1 < 8.0);
        let plan = Plan::make(&ours(&[("a", 0), ("b", 0), ("c", 0)]), &queue(&[("a", 1.5)], &[]), 2, false, 7.0);
        assert_eq!(ids(&plan), ["b"]);
    }

    #[test]
    fn what_has_a_priority_goes_before_other_clients_and_the_rest_behind_them() {
        let there = queue(&[("x", 0.0)], &[("y", 3.0), ("z", 4.0)]);
        let plan = Plan::make(&ours(&[("a", 9), ("b", 5), ("c", 0)]), &there, 3, false, 0.0);
        let numbers: Vec<f64> = plan.hand_in.iter().map(|(_, number)| *number).collect();
        assert_eq!(ids(&plan), ["a", "b", "c"]);
        assert!(numbers[0] < numbers[1] && numbers[1] < 3.0 && numbers[2] > 4.0, "{numbers:?}");
    }

    #[test]
    fn a_waiting_prompt_that_is_not_next_any_more_is_taken_back() {
        let there = queue(&[("a", 1.1)], &[("b", 1.2)]);
        let plan = Plan::make(&ours(&[("new", 5), ("a", 0), ("b", 0)]), &there, 2, false, 1.2);
        assert_eq!((plan.take_back.as_slice(), ids(&plan)), (["b".to_owned()].as_slice(), vec!["new"]));
    }

    #[test]
    fn a_wrong_order_is_put_right_from_where_it_begins() {
        let there = queue(&[], &[("a", 1.1), ("c", 1.2), ("b", 1.3)]);
        let plan = Plan::make(&ours(&[("a", 0), ("b", 0), ("c", 0)]), &there, 3, false, 1.3);
        assert_eq!(plan.take_back, ["c", "b"]);
        assert_eq!(ids(&plan), ["b", "c"]);
    }

    #[test]
    fn a_pause_takes_back_what_waits_and_leaves_what_runs() {
        let there = queue(&[("a", 1.1)], &[("b", 1.2), ("theirs", 2.0)]);
        let plan = Plan::make(&ours(&[("a", 0), ("b", 0)]), &there, 2, true, 1.2);
        assert_eq!(plan, Plan { take_back: vec!["b".to_owned()], hand_in: Vec::new() });
    }

    #[test]
    fn a_prompt_whose_fate_is_not_known_keeps_its_place() {
        let mut candidates = ours(&[("a", 0), ("b", 0), ("c", 0)]);
        candidates[0].wish = Wish::Unsettled;
        let plan = Plan::make(&candidates, &Queue::default(), 2, false, 0.0);
        assert_eq!(ids(&plan), ["b"]);
    }

    #[test]
    fn cancelled_prompt_takes_no_place_unless_it_runs() {
        let mut candidates = ours(&[("a", 0), ("b", 0)]);
        candidates[0].wish = Wish::Leave;
        let plan = Plan::make(&candidates, &Queue::default(), 1, false, 0.0);
        assert_eq!(ids(&plan), ["b"]);
        let plan = Plan::make(&candidates, &queue(&[], &[("a", 1.1)]), 1, false, 0.0);
        assert_eq!((plan.take_back.as_slice(), ids(&plan)), (["a".to_owned()].as_slice(), vec!["b"]));
        let plan = Plan::make(&candidates, &queue(&[("a", 1.1)], &[]), 1, false, 0.0);
        assert_eq!(plan, Plan::default());
    }

    #[test]
    fn no_number_at_the_back_is_a_whole_one() {
        let mut last = 0.0;
        for _ in 0..3000 {
            let plan = Plan::make(&ours(&[("a", 0)]), &Queue::default(), 1, false, last);
            assert!(plan.hand_in[0].1 > last && plan.hand_in[0].1.fract() != 0.0);
            last = plan.hand_in[0].1;
        }
    }
}
