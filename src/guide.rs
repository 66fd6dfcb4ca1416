//! A guide for programs, a chapter for each thing that they need.
//!
//! | chapter | about |
//! |---|---|
//! | [`ports`] | messages, enums, questions and answers |
//! | [`services`] | ports on several nodes that do the same |
//! | [`queues`] | producers that are faster than consumers |
//! | [`sharing`] | what all nodes should know |
//! | [`supervision`] | what to do when something dies |
//! | [`operating`] | settings, the log, figures, trust, and a clean end |
//! | [`perl`] | joining a network of Perl nodes |
//!
//! How to test ports of one's own is told in the module `testing` (a feature of that name).
//! docs/comparison.md has this crate beside ractor, tonic and async-nats.
//!
//! The programs of the chapters are among the examples, and are run with the tests.

#[doc = include_str!("../docs/guide/ports.md")]
#[doc = concat!("```\n", include_str!("../examples/till.rs"), "```")]
pub mod ports {}

#[doc = include_str!("../docs/guide/queues.md")]
#[doc = concat!("```\n", include_str!("../examples/worker_queue.rs"), "```")]
pub mod queues {}

#[doc = include_str!("../docs/guide/services.md")]
#[doc = concat!("```\n", include_str!("../examples/work_pool.rs"), "```")]
pub mod services {}

#[doc = include_str!("../docs/guide/sharing.md")]
#[doc = concat!("```\n", include_str!("../examples/shared_config.rs"), "```")]
pub mod sharing {}

#[doc = include_str!("../docs/guide/supervision.md")]
#[doc = concat!("```\n", include_str!("../examples/pipeline.rs"), "```")]
pub mod supervision {}

#[doc = include_str!("../docs/guide/operating.md")]
#[doc = concat!("```\n", include_str!("../examples/clean_end.rs"), "```")]
pub mod operating {}

#[doc = include_str!("../docs/guide/perl.md")]
pub mod perl {}
