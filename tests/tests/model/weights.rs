//! All weights from 1 to 3 of four validators of which one is Byzantine and weighs less than a third; and which of them
//! are the same but for names.

use std::collections::BTreeMap;

use assent_consensus::View;
use assent_consensus::sim::ideal_validators;

use crate::forge::VALIDATORS;

/// Four weights, and the position of the Byzantine validator.
pub(crate) type Weights = ([u64; VALIDATORS], usize);

/// How many views are explored.
pub(crate) const VIEWS: u64 = 3;

/// Everything that the protocol takes of the weights, under some naming of the validators: the Byzantine one, the
/// leaders of the views, and which sets of validators are quorums (a bit for each set, which is a bitmap).
type Shape = (usize, Vec<usize>, u16);

/// All weights below the bound.
pub(crate) fn all() -> Vec<Weights> {
    let mut found = Vec::new();
    for number in 0..3u64.pow(4) {
        let weights = [number / 27 + 1, number / 9 % 3 + 1, number / 3 % 3 + 1, number % 3 + 1];
        let total: u64 = weights.iter().sum();
        found.extend((0..VALIDATORS).filter(|who| 3 * weights[*who] < total).map(|who| (weights, who)));
    }
    found
}

/// One of each class of weights that differ in names alone, and how many there are of the class.
pub(crate) fn classes() -> Vec<(Weights, usize)> {
    let mut classes: BTreeMap<Shape, (Weights, usize)> = BTreeMap::new();
    for (weights, byzantine) in all() {
        let class = classes.entry(least_shape(&weights, byzantine)).or_insert(((weights, byzantine), 0));
        class.1 += 1;
    }
    classes.into_values().collect()
}

/// The least of the shapes under all namings: the same for weights that differ in names alone.
fn least_shape(weights: &[u64; VALIDATORS], byzantine: usize) -> Shape {
    let (set, _) = ideal_validators(weights, 0);
    let leaders: Vec<usize> = (1..=VIEWS).map(|view| set.leader(View(view)).position()).collect();
    let members = |bitmap: usize| (0..VALIDATORS).filter(move |who| (bitmap >> who) & 1 == 1);
    let is_quorum = |bitmap: usize| {
        let weight: u128 = members(bitmap).map(|who| u128::from(weights[who])).sum();
        set.is_quorum(weight)
    };
    let quorums: Vec<usize> = (0..1 << VALIDATORS).filter(|bitmap| is_quorum(*bitmap)).collect();
    let shape = |name: [usize; VALIDATORS]| -> Shape {
        let renamed = |bitmap: usize| members(bitmap).map(|who| 1usize << name[who]).sum::<usize>();
        let bits = quorums.iter().fold(0u16, |bits, bitmap| bits | (1u16 << renamed(*bitmap)));
        (name[byzantine], leaders.iter().map(|who| name[*who]).collect(), bits)
    };
    namings().into_iter().map(shape).min().expect("there are 24 namings")
}

fn namings() -> Vec<[usize; VALIDATORS]> {
    let digits = |number: usize| [number / 64, number / 16 % 4, number / 4 % 4, number % 4];
    let complete = |name: &[usize; VALIDATORS]| (0..VALIDATORS).all(|who| name.contains(&who));
    (0..256).map(digits).filter(complete).collect()
}

#[test]
fn the_weights_fall_into_sixteen_classes() {
    assert_eq!(namings().len(), 24);
    let classes = classes();
    assert_eq!(classes.len(), 16);
    assert_eq!(classes.iter().map(|(_, count)| count).sum::<usize>(), all().len());
    assert_eq!(all().len(), 240);
    assert_eq!(least_shape(&[2, 2, 2, 2], 0), least_shape(&[1, 1, 1, 1], 0));
    assert_ne!(least_shape(&[1, 1, 1, 1], 0), least_shape(&[1, 1, 1, 1], 3));
    assert!(!all().contains(&([3, 1, 1, 1], 0)), "exactly a half");
    assert!(!all().contains(&([2, 2, 1, 1], 0)), "exactly a third is not below it");
}
