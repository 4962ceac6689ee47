//! Which of several sources of the same content is asked next, and which one is too slow to be asked. Pure: what was
//! measured comes in, an index comes out.

/// A source all of whose connections bring less than one of another by this factor is left ...
const FAR_SLOWER: f64 = 8.0;
/// ... and asked again when the others have come down to this factor.
const NOT_SO_SLOW: f64 = 4.0;

/// How it stands with one source.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Standing {
    /// It may be asked now, and as far as is known it holds the same as the others.
    pub(crate) usable: bool,
    /// Since it last gave what it was asked for.
    pub(crate) failures: u32,
    /// Connections to it.
    pub(crate) running: usize,
    /// Bytes a second that one of them brought lately.
    pub(crate) rate: Option<f64>,
    /// It was found far slower than another.
    pub(crate) left: bool,
}

impl Standing {
    /// What it gives in all; what it would give to one connection, when there is none.
    fn total(&self) -> Option<f64> {
        self.rate.map(|rate| rate * self.running.max(1) as f64)
    }
}

/// The source for the next range: one that fails is asked last, one that was left before that. Of the others one that
/// was not measured gets one connection; then each gets as many as its rate deserves.
pub(crate) fn next(sources: &[Standing], current: usize) -> Option<usize> {
    let usable = (0..sources.len()).filter(|index| sources[*index].usable);
    let order = |index: &usize| {
        let source = &sources[*index];
        (source.failures, source.left)
    };
    let best = usable.clone().map(|index| order(&index)).min()?;
    let mut candidates: Vec<usize> = usable.filter(|index| order(index) == best).collect();
    candidates.sort_by_key(|index| *index != current);
    let busy = sources.iter().any(|source| source.running > 0);
    let unknown = |index: &&usize| sources[**index].rate.is_none() && sources[**index].running == 0;
    if let Some(unknown) = candidates.iter().find(unknown).filter(|_| busy) {
        return Some(*unknown);
    }
    let share = |index: usize| sources[index].rate.unwrap_or(0.0) / (sources[index].running + 1) as f64;
    candidates.into_iter().reduce(|best, other| if share(other) > share(best) { other } else { best })
}

/// Says anew of each source whether it is left. The fastest never is, and so neither is a single one.
pub(crate) fn judge(sources: &mut [Standing]) {
    let usable = sources.iter().filter(|source| source.usable);
    let best = usable.filter_map(|source| source.rate).fold(0.0, f64::max);
    for source in sources.iter_mut().filter(|source| source.usable) {
        let Some(total) = source.total() else { continue };
        source.left = if source.left { total * NOT_SO_SLOW < best } else { total * FAR_SLOWER < best };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(running: usize, rate: f64) -> Standing {
        Standing { usable: true, running, rate: Some(rate), ..Standing::default() }
    }

    const UNKNOWN: Standing = Standing { usable: true, failures: 0, running: 0, rate: None, left: false };

    /// Gives out `count` connections one after the other.
    fn shared_out(mut sources: Vec<Standing>, count: usize) -> Vec<usize> {
        for _ in 0..count {
            let chosen = next(&sources, 0).expect("all are usable");
            sources[chosen].running += 1;
        }
        sources.iter().map(|source| source.running).collect()
    }

    #[test]
    fn the_current_source_begins_and_each_other_is_tried_once() {
        assert_eq!(shared_out(vec![UNKNOWN; 3], 1), [1, 0, 0]);
        assert_eq!(shared_out(vec![UNKNOWN; 3], 8), [6, 1, 1]);
    }

    #[test]
    fn connections_are_shared_as_the_rates_are() {
        assert_eq!(shared_out(vec![measured(0, 30e6), measured(0, 10e6)], 8), [6, 2]);
        assert_eq!(shared_out(vec![measured(0, 10e6), measured(0, 10e6)], 8), [4, 4]);
    }

    #[test]
    fn a_source_that_fails_or_is_not_usable_is_asked_last_or_never() {
        let failing = Standing { failures: 1, ..measured(0, 90e6) };
        let other = Standing { usable: false, ..measured(0, 90e6) };
        assert_eq!(shared_out(vec![failing, measured(0, 1e6), other], 8), [0, 8, 0]);
        assert_eq!(next(&[failing, other], 1), Some(0));
        assert_eq!(next(&[other], 0), None);
    }

    #[test]
    fn a_far_slower_source_is_left_until_the_others_have_come_down_to_it() {
        let mut sources = [measured(1, 1e6), measured(7, 10e6)];
        judge(&mut sources);
        assert_eq!(sources.map(|source| source.left), [true, false]);
        assert_eq!(next(&sources, 0), Some(1));
        sources[1].rate = Some(5e6);
        judge(&mut sources);
        assert!(sources[0].left, "half way back is not back");
        sources[1].rate = Some(3e6);
        judge(&mut sources);
        assert!(!sources[0].left);
    }

    #[test]
    fn a_source_that_shares_its_rate_among_many_connections_is_not_slow() {
        let mut sources = [measured(7, 2e6), measured(1, 20e6)];
        judge(&mut sources);
        assert_eq!(sources.map(|source| source.left), [false, false]);
    }

    #[test]
    fn the_only_source_is_never_left() {
        let mut sources = [measured(1, 1.0), Standing { usable: false, ..measured(0, 1e9) }, UNKNOWN];
        judge(&mut sources);
        assert!(!sources[0].left);
    }
}
