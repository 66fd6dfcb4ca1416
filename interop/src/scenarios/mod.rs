//! The scenarios, a file each, or a folder of those that share something. To add one: write the
//! file, name it here.

use crate::scenario::Scenario;

mod bad_peers;
mod big;
mod both_connect;
mod bridge;
mod bridge_chat;
mod chat;
mod chat_program;
mod command;
mod data_conn;
mod database;
mod echo;
mod faults;
mod fidelity;
mod framings;
mod groups;
mod handshake;
mod hostile;
mod idle;
mod kill;
mod logs;
mod loss;
mod mesh;
mod mixed;
mod monitor;
mod numbered;
mod peer;
mod pool;
mod ports;
mod reconnects;
mod rights;
pub(crate) mod schedules;
mod secret;
mod services;
mod slow;
mod spawn;
mod tags;
mod tls;
mod verbs;

/// All of them, in the order of the table.
pub fn all() -> Vec<&'static Scenario> {
    vec![
        &handshake::SCENARIO,
        &echo::SCENARIO,
        &tags::SCENARIO,
        &spawn::SCENARIO,
        &kill::SCENARIO,
        &monitor::SCENARIO,
        &services::SCENARIO,
        &verbs::SCENARIO,
        &fidelity::NAMED,
        &fidelity::OCTETS,
        &fidelity::UNIX,
        &fidelity::NAMES,
        &fidelity::UNKNOWN,
        &fidelity::REFERENCES,
        &rights::SCENARIO,
        &groups::SCENARIO,
        &pool::SCENARIO,
        &numbered::FEW,
        &numbered::MANY,
        &slow::PACE,
        &slow::OVERFLOW,
        &big::ONE_MB,
        &big::TEN_MB,
        &ports::SCENARIO,
        &peer::SCENARIO,
        &secret::SCENARIO,
        &tls::GOOD,
        &tls::BAD,
        &tls::BROKEN,
        &tls::NO_CERTIFICATE,
        &data_conn::PLAIN,
        &data_conn::TLS,
        &data_conn::FAILS,
        &data_conn::LARGE,
        &logs::SCENARIO,
        &command::SCENARIO,
        &command::SHELL,
        &command::RESTART,
        &framings::TLS,
        &bad_peers::GREETING,
        &bad_peers::MESSAGES,
        &hostile::SCENARIO,
        &idle::IDLE,
        &idle::STOPPED,
        &loss::CLOSE,
        &loss::KILL9,
        &loss::RESET,
        &loss::SEED_BACK,
        &reconnects::SCENARIO,
        &reconnects::HUNDRED,
        &both_connect::SCENARIO,
        &faults::SPLIT,
        &faults::DELAY,
        &faults::SLOW_READER,
        &schedules::SCENARIO,
        &schedules::KILLS,
        &chat::CHAT,
        &chat::CHAT2,
        &mesh::SCENARIO,
        &mesh::LATE,
        &mesh::EIGHT,
        &mixed::SCENARIO,
        &bridge::SCENARIO,
        &bridge_chat::SCENARIO,
        &framings::TEXT,
        &framings::STORABLE,
        &database::VALUES,
        &database::SAME_KEY,
        &database::ORDER,
        &database::SLAVES,
        &database::GLOBALS,
        &database::SEEDS,
    ]
}

#[cfg(test)]
mod tests {
    use super::all;
    use crate::python::PLAYS;

    #[test]
    fn what_the_python_node_plays_is_there() {
        let all = all();
        for name in PLAYS {
            assert!(all.iter().any(|scenario| scenario.name == *name), "{name}");
        }
    }
}
