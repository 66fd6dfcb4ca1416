//! The rules of the mesh in generations 0 and 1, and the seeds of all, as inputs and effects.
//!
//! On each connected node that speaks generation 0 or 1 we own a *gossip port*: one that we spawned
//! there and that takes our gossip. The peer has the same here.
//!
//! | module | does |
//! |---|---|
//! | [`peers`] | nodes coming and going |
//! | [`hearing`], [`telling`] | the gossip of others, and our own |
//! | [`hearsay`] | nodes that others told of, and how many of each |
//! | [`registering`] | groups that ports of ours are in |
//! | [`masters`] | whom a node of generation 1 asks for news |
//! | [`seeding`] | connecting to the seeds |
//! | [`stand_ins`] | nodes of other generations, by way of a bridge |
//! | [`gossip`], [`terms`] | what is gossiped; what goes in and comes out |
//! | [`known`] | what is known of the other nodes |

mod gossip;
mod hearing;
mod hearsay;
mod known;
mod masters;
mod peers;
mod registering;
mod seeding;
mod stand_ins;
mod telling;
mod terms;

pub(crate) use gossip::Gossip;
pub(crate) use known::State;
pub(crate) use terms::{Config, Connect, Effect, Evidence, Input, Timer};

impl State {
    /// Takes an input; the effects are to be carried out in their order.
    pub(crate) fn handle(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Up {
                node,
                generation,
                speaks,
            } => self.up(node, generation, speaks),
            Input::Down(node) => self.down(&node),
            Input::Gossip(from, gossip) => self.gossip(&from, gossip),
            Input::GossipPortDied(node, port) => self.gossip_port_died(&node, &port),
            Input::Want(node) => self.want(&node),
            Input::Listeners(listeners) => self.listeners = listeners,
            Input::Seeds(seeds) => self.add_seeds(seeds),
            Input::SeedIs(seed, node, generation, evidence) => {
                self.seed_is(&seed, node, generation, evidence);
            }
            Input::SeedEnded(seed) => self.seed_ended(&seed),
            Input::SeedIsOurselves(seed) => self.seed_is_ourselves(&seed),
            Input::Timer(Timer::SeedTry) => self.seed_try(),
            Input::Timer(Timer::SeedAgain(seed, wait)) => {
                if self.seeds.is_due(&seed, wait) {
                    self.seed_again(seed);
                }
            }
            Input::Timer(Timer::SeedReturns(seed)) => self.add_seeds(vec![seed]),
            Input::Timer(Timer::SeedRound(n)) if n == self.seed_round => self.seed_round(),
            Input::Timer(Timer::SeedRound(_)) => {}
            Input::Timer(Timer::Broadcast(node)) => self.broadcast_due(&node),
            Input::Vouch(node, number, at) => self.vouch(node, number, at),
            Input::Unvouch(node, number) => {
                self.vouched.remove(&(node, number));
            }
            Input::Learn(node, at, connect) => self.learn(node, at, connect),
        }
        std::mem::take(&mut self.effects)
    }
}
