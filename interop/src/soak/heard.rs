//! What a node has told of its streams and of the link.

use crate::driver::Event;

/// What one node was heard to tell, in its order: that the link was lost and came back, and that
/// the monitor of its stream fired.
///
/// A loss that no monitor told of is a monitor that the node has lost, or there was none: a stream
/// of 2.x sets its next one only when the node is up again.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    /// The epochs of its stream that have ended.
    pub(super) ended: Vec<Event>,
    /// Losses of the link that no monitor told of.
    lost: u64,
    /// The link was lost since it was there last, and no monitor has fired since.
    is_open: bool,
    /// A monitor fired since the link was there last.
    has_fired: bool,
}

impl Heard {
    /// Goes through what was told since.
    pub(super) fn hear(&mut self, events: Vec<Event>) {
        for event in events {
            if event["ev"] == "epoch" {
                self.ended.push(event);
                self.has_fired = true;
                self.is_open = false;
            } else if event["up"] == false {
                // The order of the two is the node's own affair.
                self.is_open = !self.has_fired;
            } else {
                self.lost += u64::from(std::mem::take(&mut self.is_open));
                self.has_fired = false;
            }
        }
    }

    /// Losses that no monitor told of, the present one among them.
    pub(super) fn lost(&self) -> u64 {
        self.lost + u64::from(self.is_open)
    }

    /// New streams are begun, and what was told before says nothing of them.
    pub(super) fn forget(&mut self) {
        *self = Heard::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn heard(events: &str) -> Heard {
        let mut heard = Heard::default();
        let event = |word| match word {
            "up" => json!({ "ev": "node", "node": "bob", "up": true }),
            "down" => json!({ "ev": "node", "node": "bob", "up": false }),
            _ => json!({ "ev": "epoch", "stream": 1 }),
        };
        heard.hear(events.split(' ').map(event).collect());
        heard
    }

    #[test]
    fn a_loss_without_a_monitor_is_seen() {
        for (events, lost, ended) in [
            ("up", 0, 0),
            ("up down fired up fired down up", 0, 2),
            ("fired up fired down", 0, 2), // it could not connect at first
            ("up down fired fired up down fired", 0, 3),
            ("up down up", 1, 0),
            ("up down", 1, 0),
            ("up down fired up down up fired", 1, 2),
            ("up down up down up down", 3, 0),
        ] {
            let heard = heard(events);
            assert_eq!((heard.lost(), heard.ended.len()), (lost, ended), "{events}");
        }
    }

    #[test]
    fn what_was_lost_is_not_lost_again() {
        let mut heard = heard("up down up down");
        heard.forget();
        heard.hear(vec![json!({ "ev": "node", "node": "bob", "up": true })]);
        assert_eq!(heard.lost(), 0);
    }
}
