//! SPEC.md and the code speak of the same rules: each clause has a test that is named after it, and each rule that
//! code names is in the specification.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const SPEC: &str = include_str!("../../../SPEC.md");

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn source_texts() -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut paths);
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

/// The clauses of the specification: `**P3.**` at the start of an item.
fn clauses() -> BTreeSet<String> {
    let name = |line: &str| Some(line.strip_prefix("- **")?.split_once(".**")?.0.to_owned());
    SPEC.lines().filter_map(name).collect()
}

#[test]
fn every_clause_has_a_test_that_names_it() {
    let clauses = clauses();
    assert!(clauses.len() > 40, "{clauses:?}");
    let texts = source_texts();
    let tested = |clause: &String| {
        let name = format!("fn rule_{}_", clause.to_lowercase());
        texts.iter().any(|(_, text)| text.contains(&name))
    };
    let untested: Vec<&String> = clauses.iter().filter(|clause| !tested(clause)).collect();
    assert!(untested.is_empty(), "no test named after {untested:?}");
}

#[test]
fn every_rule_that_code_or_a_test_names_is_in_the_specification() {
    let clauses = clauses();
    let letters: BTreeSet<&str> = clauses.iter().map(|clause| &clause[..1]).collect();
    let known = |word: &str| clauses.contains(word) || letters.contains(word);
    for (path, text) in source_texts().into_iter().filter(|(path, _)| !path.ends_with("tests/spec.rs")) {
        for rest in text.split("SPEC rule ").skip(1) {
            let word: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
            assert!(word.is_empty() || known(&word), "{}: SPEC rule {word}", path.display());
        }
        for rest in text.split("fn rule_").skip(1) {
            let word = rest.split('_').next().unwrap_or_default().to_uppercase();
            assert!(known(&word) && word.len() > 1, "{}: a test of rule {word}", path.display());
        }
    }
}
