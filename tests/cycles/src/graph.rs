//! Cycles in a graph: its strongly connected components of more than one node.

use std::collections::{BTreeMap, BTreeSet};

/// The cycles, each as the set of its nodes, in the order of their first nodes.
pub(crate) fn cycles<'g, N: Ord + Clone + 'g>(
    edges: impl Iterator<Item = &'g (N, N)>,
) -> Vec<BTreeSet<N>> {
    let mut next: BTreeMap<&N, BTreeSet<&N>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(from).or_default().insert(to);
    }
    let reached: BTreeMap<&N, BTreeSet<&N>> = next
        .keys()
        .map(|node| (*node, reach(&next, node)))
        .collect();
    let mut cycles = Vec::new();
    let mut seen = BTreeSet::new();
    for (node, from_here) in &reached {
        if seen.contains(node) || !from_here.contains(node) {
            continue;
        }
        let is_back = |other: &&&N| reached.get(*other).is_some_and(|back| back.contains(node));
        let cycle: BTreeSet<&N> = from_here.iter().filter(is_back).copied().collect();
        seen.extend(cycle.iter().copied());
        cycles.push(cycle.into_iter().cloned().collect());
    }
    cycles
}

/// All nodes that can be reached from one, in at least one step.
fn reach<'g, N: Ord>(next: &BTreeMap<&'g N, BTreeSet<&'g N>>, start: &'g N) -> BTreeSet<&'g N> {
    let mut reached = BTreeSet::new();
    let mut todo = vec![start];
    while let Some(node) = todo.pop() {
        for other in next.get(node).into_iter().flatten() {
            if reached.insert(*other) {
                todo.push(other);
            }
        }
    }
    reached
}
