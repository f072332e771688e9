//! Checkpoints that others kept, or that witnesses cosigned: does the log still continue each of them?
//!
//! The root of a log's first entries is made again from the entries themselves while a verification goes by,
//! at any size, also inside a batch. That is what a consistency proof would show, without trust in any tile.

use std::path::PathBuf;

use crate::tlog::merkle::{Frontier, Hash, Tree};

use super::error::{Fault, Problem};

/// A checkpoint that the log must continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Where it was read from; problems name it.
    pub file: PathBuf,
    /// What it is of. That the log's key signed it was checked before.
    pub tree: Tree,
}

/// The checkpoints that are still to be met, largest first.
#[derive(Debug)]
pub(crate) struct Expected(Vec<Outside>);

impl Expected {
    pub(crate) fn new(mut outside: Vec<Outside>) -> Self {
        outside.sort_by_key(|outside| std::cmp::Reverse(outside.tree.size));
        Self(outside)
    }

    /// Goes from the tree before a batch over its leaves; gives the checkpoints that do not agree.
    pub(crate) fn pass<'a>(
        &mut self,
        before: &Frontier,
        leaves: impl Iterator<Item = &'a Hash>,
    ) -> Vec<Problem> {
        let mut tree = before.clone();
        let mut problems = self.meet(&tree);
        for leaf in leaves {
            if self.0.is_empty() {
                break;
            }
            tree.push(*leaf);
            problems.extend(self.meet(&tree));
        }
        problems
    }

    fn meet(&mut self, tree: &Frontier) -> Vec<Problem> {
        let mut problems = vec![];
        while let Some(Outside { file, tree: expected }) =
            self.0.pop_if(|outside| outside.tree.size <= tree.size())
        {
            // Smaller only after a gap, which is a problem of its own.
            if expected.size == tree.size() && expected.root != tree.root() {
                problems.push(problem(file, Fault::OutsideForked { size: expected.size }));
            }
        }
        problems
    }

    /// Whether there is anything that leaves must be counted for.
    pub(crate) fn within(&self, size: u64) -> bool {
        self.0.last().is_some_and(|next| next.tree.size <= size)
    }

    /// At the end of the log: the checkpoints that it does not reach.
    pub(crate) fn finish(self, found: u64) -> Vec<Problem> {
        let rest = self.0.into_iter().rev().filter(|outside| outside.tree.size > found);
        rest.map(|Outside { file, tree }| problem(file, Fault::OutsideShorter { expected: tree.size, found }))
            .collect()
    }
}

fn problem(file: PathBuf, fault: Fault) -> Problem {
    Problem { file, offset: 0, fault }
}
