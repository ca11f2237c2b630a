//! Random walks: which of the actions is taken next.

use assent_consensus::sim::Rng;
use stateright::Chooser;

use crate::cluster::{Action, Cluster, State};

/// Chooses among the actions that change something, all alike, but seldom the end of a timer or a crash: otherwise most
/// walks would give up every view.
#[derive(Clone)]
pub(crate) struct Walk(pub(crate) Cluster);

impl Chooser<Cluster> for Walk {
    type State = Rng;

    fn new_state(&self, seed: u64) -> Rng {
        Rng::new(seed)
    }

    fn choose_initial_state(&self, _: &mut Rng, _: &[State]) -> usize {
        0
    }

    fn choose_action(&self, rng: &mut Rng, state: &State, actions: &[Action]) -> usize {
        for _ in 0..8 * actions.len() {
            let at = rng.index(actions.len());
            let seldom = matches!(actions[at], Action::TimeOut { .. } | Action::Crash { .. });
            if (!seldom || rng.below(3) == 0) && self.0.changes(state, actions[at]) {
                return at;
            }
        }
        (0..actions.len()).find(|at| self.0.changes(state, actions[*at])).unwrap_or(0)
    }
}
