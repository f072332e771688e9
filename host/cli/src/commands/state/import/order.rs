//! In which order entities are imported: what is referred to comes first, and what refers to one another in a circle
//! stays together. Where nothing refers to what follows, that is the order of the files.
//!
//! The strongly connected components of the references, by Tarjan's algorithm, which finds them in just this order; on
//! a stack of its own, for a chain of references may be as long as the files.

/// An order: entities by their index, and where each circle ends in it. Most circles are one entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) entities: Vec<usize>,
    /// Ascending; the last one is the number of entities.
    pub(super) ends: Vec<usize>,
}

#[derive(Clone, Copy, Default)]
struct Node {
    /// When it was met, from 1 on; 0: not yet.
    met: usize,
    /// The earliest that is reached from it among those that are not placed.
    low: usize,
    placed: bool,
}

struct Search<'a> {
    references: &'a [Box<[u32]>],
    nodes: Vec<Node>,
    met: usize,
    /// Met and not placed.
    open: Vec<usize>,
    /// The way to where the search is: an entity, and how many of its references were followed.
    way: Vec<(usize, usize)>,
    order: Order,
}

/// The order of entities that refer to these, by index.
pub(super) fn order(references: &[Box<[u32]>]) -> Order {
    let mut search = Search {
        references,
        nodes: vec![Node::default(); references.len()],
        met: 0,
        open: vec![],
        way: vec![],
        order: Order::default(),
    };
    for root in 0..references.len() {
        search.enter(root);
        while let Some((at, followed)) = search.way.pop() {
            match search.references.get(at).and_then(|references| references.get(followed)) {
                Some(to) => {
                    search.way.push((at, followed + 1));
                    search.follow(at, usize::try_from(*to).unwrap_or(usize::MAX));
                }
                None => search.leave(at),
            }
        }
    }
    search.order
}

impl Search<'_> {
    fn node(&self, at: usize) -> Node {
        self.nodes.get(at).copied().unwrap_or_default()
    }

    fn reaches(&mut self, at: usize, low: usize) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.low = node.low.min(low);
        }
    }

    /// Goes on from an entity that was not met yet.
    fn enter(&mut self, at: usize) {
        let Some(node) = self.nodes.get_mut(at).filter(|node| node.met == 0) else { return };
        self.met += 1;
        *node = Node { met: self.met, low: self.met, placed: false };
        self.open.push(at);
        self.way.push((at, 0));
    }

    fn follow(&mut self, at: usize, to: usize) {
        let node = self.node(to);
        if node.met == 0 {
            self.enter(to);
        } else if !node.placed {
            self.reaches(at, node.met);
        }
    }

    /// Everything that an entity refers to was seen.
    fn leave(&mut self, at: usize) {
        let node = self.node(at);
        if let Some((before, _)) = self.way.last().copied() {
            self.reaches(before, node.low);
        }
        if node.low < node.met {
            return;
        }
        // The first of its circle: all that is open from it on is the circle.
        let from = self.open.iter().rposition(|open| *open == at).unwrap_or_default();
        let mut circle = self.open.split_off(from);
        circle.sort_unstable();
        for at in &circle {
            if let Some(node) = self.nodes.get_mut(*at) {
                node.placed = true;
            }
        }
        self.order.entities.append(&mut circle);
        self.order.ends.push(self.order.entities.len());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ordered(references: &[&[u32]]) -> (Vec<usize>, Vec<usize>) {
        let references: Vec<Box<[u32]>> = references.iter().map(|of| (*of).into()).collect();
        let Order { entities, ends } = order(&references);
        (entities, ends)
    }

    #[test]
    fn what_is_referred_to_comes_first_and_circles_stay_together() {
        assert_eq!(ordered(&[]), (vec![], vec![]));
        assert_eq!(ordered(&[&[], &[0], &[0, 1]]), (vec![0, 1, 2], vec![1, 2, 3]));
        assert_eq!(ordered(&[&[2], &[], &[1]]), (vec![1, 2, 0], vec![1, 2, 3]));
        assert_eq!(ordered(&[&[2], &[0], &[1, 3], &[]]), (vec![3, 0, 1, 2], vec![1, 4]));
        assert_eq!(ordered(&[&[0], &[9]]), (vec![0, 1], vec![1, 2]));
    }

    #[test]
    fn a_chain_as_long_as_the_files_is_followed() {
        let long = 200_000_u32;
        let references: Vec<Box<[u32]>> = (1..=long).map(|next| [next].into()).collect();
        let found = order(&references);
        assert_eq!((found.entities.len(), found.entities.first()), (200_000, Some(&199_999)));
    }

    proptest! {
        #[test]
        fn the_order_is_the_one_of_the_references(
            references in (1..12_usize).prop_flat_map(|n| {
                prop::collection::vec(prop::collection::vec(0..u32::try_from(n).unwrap(), 0..4), n)
            })
        ) {
            let references: Vec<Box<[u32]>> = references.into_iter().map(Into::into).collect();
            let n = references.len();
            // Which reach which, the slow way.
            let mut reaches = vec![vec![false; n]; n];
            for at in 0..n {
                reaches[at][at] = true;
                for to in &references[at] {
                    reaches[at][*to as usize] = true;
                }
            }
            for via in 0..n {
                for at in 0..n {
                    for to in 0..n {
                        reaches[at][to] |= reaches[at][via] && reaches[via][to];
                    }
                }
            }
            let Order { entities, ends } = order(&references);
            let mut all = entities.clone();
            all.sort_unstable();
            prop_assert_eq!(all, (0..n).collect::<Vec<_>>());
            prop_assert_eq!(ends.last(), Some(&n));
            let circle = |at: usize| {
                let position = entities.iter().position(|entity| *entity == at).unwrap();
                ends.partition_point(|end| *end <= position)
            };
            for (at, reached) in reaches.iter().enumerate() {
                for (to, is_reached) in reached.iter().enumerate() {
                    prop_assert_eq!(circle(at) == circle(to), *is_reached && reaches[to][at]);
                    prop_assert!(!is_reached || circle(to) <= circle(at));
                }
            }
            if (0..n).all(|at| references[at].iter().all(|to| (*to as usize) <= at)) {
                prop_assert_eq!(entities, (0..n).collect::<Vec<_>>());
            }
        }
    }
}
