//! The transparency log without any IO: the hash tree of RFC 6962 and 9162, and the C2SP text formats around it.
//!
//! `merkle` is the tree and its proofs; `tile` is how the tree and its entries are cut into files; `note`,
//! `checkpoint`, `proof` and `witness` are the texts that leave the house. Nothing here reads a clock, a file or a
//! random number, and every parser answers arbitrary input with an error, never with a panic.
//! INVARIANT (one text, one meaning): whatever a parser here accepts prints back to the same bytes, so
//! that what was signed is what is understood.
//! Specifications: c2sp.org/tlog-tiles, tlog-checkpoint, signed-note, tlog-proof, tlog-witness, tlog-cosignature.

pub mod checkpoint;
pub mod merkle;
pub mod note;
pub mod proof;
mod text;
pub mod tile;
pub mod witness;
