//! `assent_analyzeValidators`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::Node;

const METHOD: &str = "assent_analyzeValidators";

#[tokio::test]
async fn the_validators_are_those_of_the_chain() {
    let node = Node::start().await;
    let answer = node.result(METHOD, json!([])).await;
    assert_eq!((&answer["total"], &answer["needed"]), (&json!(100), &json!(67)));
    assert_eq!(answer["halting"]["fewest"], json!({"members": ["node0"], "weight": 40, "share": 0.4}));
    assert_eq!(answer["groupings"], json!([]));
    assert_eq!(node.result(METHOD, json!([null])).await, answer);
    assert_eq!(node.result(METHOD, json!([{"upProbability": 0.99, "group": null}])).await, answer);
}

#[tokio::test]
async fn probabilities_and_the_label_are_taken() {
    let node = Node::start().await;
    let answer = node.result(METHOD, json!([{"upProbability": 1, "up": {"node0": 0.25}, "group": "region"}])).await;
    // Without node0 there is no quorum, and the others are always up.
    let up = &answer["availability"]["up"];
    assert_eq!((up["exact"].as_bool(), up["upper"].as_f64()), (Some(true), Some(0.25)), "{answer}");
    let regions = json!([{"by": "region", "unlabelled": 4, "worstCase": 0, "groups": []}]);
    assert_eq!(answer["groupings"], regions);
}

#[tokio::test]
async fn the_example_of_the_documentation_is_what_comes_out() {
    let node = Node::start().await;
    let document = node.result("rpc_discover", json!([])).await;
    let methods = document["methods"].as_array().unwrap();
    let entry = methods.iter().find(|entry| entry["name"] == METHOD).unwrap();
    let example = &entry["examples"][0];
    let answer = node.result(METHOD, json!([example["params"][0]["value"]])).await;
    same(&example["result"]["value"], &answer);
}

/// Equal, but for the last digits of floats.
fn same(expected: &Value, got: &Value) {
    match (expected, got) {
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.keys().collect::<BTreeSet<_>>(), b.keys().collect::<BTreeSet<_>>());
            a.iter().for_each(|(key, value)| same(value, &b[key]));
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{expected} {got}");
            a.iter().zip(b).for_each(|(a, b)| same(a, b));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-9 * a.abs(), "{a} {b}");
        }
        _ => assert_eq!(expected, got),
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_with_what_was_expected() {
    let node = Node::start().await;
    for (options, words) in [
        (json!([]), "expected an object"),
        (json!({"upProbability": 1.5}), "options.upProbability: expected a probability from 0 to 1, got 1.5"),
        (json!({"up": {"node0": "0.5"}}), "options.up.node0: expected a probability from 0 to 1"),
        (json!({"up": {"nobody": 0.5}}), "options.up: expected names of validators, got \"nobody\""),
        (json!({"group": "planet"}), "options.group: expected org or region, got \"planet\""),
        (json!({"p": 1}), "options: expected upProbability, up or group, got \"p\""),
    ] {
        let (code, message) = node.fails(METHOD, json!([options])).await;
        assert!(code == -32602 && message.contains(words), "{options}: {message}");
    }
}
