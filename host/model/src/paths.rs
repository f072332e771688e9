//! The paths of attributes that somebody wants to read, as a tree: beginnings that paths share are
//! walked once for each decision, and no path is taken apart again.
//!
//! INVARIANT (one release per decision): a tree holds names only; the values come from the
//! [`DecisionFacts`] of one decision, and are the same that [`DecisionFacts::attribute`] gives.

use crate::facts::{Absence, DecisionFacts};
use crate::record::Record;
use crate::value::Value;

/// Paths such as `resource.encounter.state`, in the order in which their values are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    roots: Vec<Step>,
    count: usize,
}

/// One name on the way, what is wanted there, and where it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    name: String,
    /// Positions of the paths that end here.
    wanted: Vec<usize>,
    below: Vec<Step>,
}

type Found<'a> = Result<&'a Value, Absence>;

impl Paths {
    /// The tree of these paths.
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tree = Self::default();
        for path in paths {
            insert(&mut tree.roots, path, tree.count);
            tree.count += 1;
        }
        tree
    }

    /// The values at the paths, in their order, each as [`DecisionFacts::attribute`] gives it.
    pub fn values<'a>(&self, facts: &'a DecisionFacts) -> Vec<Found<'a>> {
        let mut found = vec![Err(Absence::NotRecorded); self.count];
        for root in &self.roots {
            match facts.root(&root.name) {
                Ok(attributes) => root.below.iter().for_each(|step| step.read(facts, attributes, &mut found)),
                Err(absence) => root.absent(absence, &mut found),
            }
        }
        found
    }
}

fn insert(steps: &mut Vec<Step>, path: &str, position: usize) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let known = steps.iter().position(|step| step.name == name);
    let at = known.unwrap_or_else(|| {
        steps.push(Step { name: name.to_owned(), wanted: vec![], below: vec![] });
        steps.len() - 1
    });
    if let Some(step) = steps.get_mut(at) {
        match rest {
            Some(rest) => insert(&mut step.below, rest, position),
            None => step.wanted.push(position),
        }
    }
}

impl Step {
    fn read<'a>(&self, facts: &'a DecisionFacts, attributes: &'a Record, found: &mut [Found<'a>]) {
        let Some(value) = attributes.get(&self.name) else {
            return self.absent(Absence::NotRecorded, found);
        };
        self.set(Ok(value), found);
        if self.below.is_empty() {
            return;
        }
        match facts.attributes_of(value) {
            Ok(attributes) => self.below.iter().for_each(|step| step.read(facts, attributes, found)),
            Err(absence) => self.below.iter().for_each(|step| step.absent(absence, found)),
        }
    }

    fn absent(&self, absence: Absence, found: &mut [Found<'_>]) {
        self.set(Err(absence), found);
        self.below.iter().for_each(|step| step.absent(absence, found));
    }

    fn set<'a>(&self, value: Found<'a>, found: &mut [Found<'a>]) {
        for position in &self.wanted {
            if let Some(place) = found.get_mut(*position) {
                *place = value;
            }
        }
    }
}
