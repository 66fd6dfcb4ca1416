//! Rules about the repository that the compiler does not know: which room imports which, how long
//! files are, that what the documents name is there. Each rule is a function of texts with tests of
//! its own, which show that it finds what it is to find.

mod files;
mod fixtures;
mod foreign;
mod length;
mod links;
mod markdown;
mod modules;
mod proofs;
mod rooms;
mod source;
