//! Cedar for Assent: policies, schema and entities are loaded and checked here, requests become
//! typed questions, and questions get a verdict. The only crate that names `cedar_policy`.
//!
//! INVARIANT (an erroring policy never permits): see [`Policies::evaluate`].

mod big_stack;
mod entities;
mod error;
mod evaluate;
mod index;
mod lapses;
mod load;
mod locate;
mod lookup;
mod mentions;
mod policies;
mod prepare;
mod schema;
mod source;
#[cfg(test)]
mod testing;
mod value;

pub use entities::{EVERY, Edit, MissingEntities, PROVENANCE, Snapshot, meant};
pub use error::{LoadErrors, LoadProblem, NOT_AMONG_ENTITIES, Unprepared};
pub use evaluate::FullSet;
pub use lapses::Lapse;
pub use load::{Names, PolicyInfo, load};
pub use lookup::UnknownName;
pub use mentions::Mentions;
pub use policies::Policies;
pub use prepare::{HostContext, Prepared};
pub use source::SourceFile;
