//! `docs/rpc.md`, written from the same data as the OpenRPC document.

use std::{collections::BTreeSet, fmt::Write};

use serde_json::Value;

use super::{FILES, Method, Namespace, SCHEMAS, notation, read};
use crate::config::RpcConfig;

const HEAD: &str = "\
# JSON-RPC

<!-- Written by `make docs` from rpc/src/openrpc. -->

HTTP and WebSocket share one port (8545). `rpc.namespaces` in `config.toml` names what is offered; the methods of other
namespaces are answered like methods that do not exist. `assent devnet` offers everything. A node tells what it offers in
`rpc_modules`, and as an OpenRPC document in `rpc_discover`.

Parameters stand in an array in the order given here; those with a question mark may be left out or null. Long strings in
the examples are cut.
";

/// Characters of a string that an example shows.
const SHOWN: usize = 44;

/// Columns of an example.
const WIDTH: usize = 110;

/// Entries of a list that an example shows.
const LISTED: usize = 3;

/// The whole page.
pub(super) fn page() -> String {
    let namespaces: Vec<(&str, Namespace)> =
        FILES.iter().map(|(name, file)| (*name, read(file).expect("every file can be read"))).collect();
    let mut page = HEAD.to_owned();
    page.push_str("\n| namespace | what it is for | offered |\n|---|---|---|\n");
    for (name, Namespace { about, .. }) in &namespaces {
        let offered = if RpcConfig::USUAL_NAMESPACES.contains(name) { "always" } else { "by name" };
        let _ = writeln!(page, "| [`{name}`](#{name}) | {about} | {offered} |");
    }
    for (name, Namespace { methods, .. }) in &namespaces {
        let _ = writeln!(page, "\n## {name}");
        for method in methods {
            write_method(&mut page, method);
        }
    }
    page.push_str("\n## Types\n\n| type | what it is |\n|---|---|\n");
    let schemas: Value = serde_json::from_str(SCHEMAS).expect("the schemas can be read");
    let schemas = schemas.as_object().expect("the schemas are an object");
    // Whether a map of serde_json keeps the file's order depends on features that others turn on.
    for name in schemas.keys().collect::<BTreeSet<_>>() {
        let about = schemas[name]["description"].as_str().expect("every type is described");
        let _ = writeln!(page, "| <a id=\"{}\"></a>`{name}` | {} |", name.to_lowercase(), about.replace('|', "\\|"));
    }
    page
}

fn write_method(page: &mut String, method: &Method) {
    let _ = writeln!(page, "\n### {}\n\n{}\n", method.name, method.summary);
    for param in method.params.iter().map(|text| notation::param(text)) {
        let mark = if param.required { "" } else { "?" };
        let _ = writeln!(page, "- `{}{mark}`: {}", param.name, linked(param.ty));
    }
    let _ = writeln!(page, "- result: {}\n", linked(&method.result));
    let params: Vec<String> = method.example.params.iter().map(|value| show(value, 2)).collect();
    let _ = writeln!(page, "```\n{}({})", method.name, params.join(", "));
    let answer = match &method.example.error {
        Some(error) => format!("error {}: {}", error.code, error.message),
        None => show(&method.example.result, 0),
    };
    let _ = writeln!(page, "-> {answer}\n```");
}

/// A type with links to what it is made of.
fn linked(ty: &str) -> String {
    let alternatives = ty.split(" | ").map(|part| match notation::names(part).next() {
        Some(name) => format!("[`{part}`](#{})", name.to_lowercase()),
        None => format!("`{part}`"),
    });
    alternatives.collect::<Vec<_>>().join(" or ")
}

/// A value in one line if there is room, with sorted keys.
fn show(value: &Value, indent: usize) -> String {
    let line = one_line(value);
    if line.len() + indent <= WIDTH {
        return line;
    }
    let (open, close, mut entries) = match value {
        Value::Array(items) => {
            ('[', ']', items.iter().take(LISTED).map(|item| show(item, indent + 2)).collect::<Vec<_>>())
        }
        Value::Object(fields) => {
            let keys: BTreeSet<_> = fields.keys().collect();
            let entry = |key: &String| format!("{}: {}", Value::from(key.as_str()), show(&fields[key], indent + 2));
            ('{', '}', keys.into_iter().map(entry).collect::<Vec<_>>())
        }
        _ => return line,
    };
    if value.as_array().is_some_and(|items| items.len() > LISTED) {
        entries.push("...".into());
    }
    let pad = " ".repeat(indent + 2);
    let lines: Vec<String> = entries.iter().map(|entry| format!("{pad}{entry}")).collect();
    format!("{open}\n{}\n{}{close}", lines.join(",\n"), " ".repeat(indent))
}

fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => match text.char_indices().nth(SHOWN) {
            Some((end, _)) if text.starts_with("0x") && text.len() > 66 => format!("\"{}...\"", &text[..end]),
            _ => value.to_string(),
        },
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(one_line).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let keys: BTreeSet<_> = fields.keys().collect();
            let entry = |key: &String| format!("{}: {}", Value::from(key.as_str()), one_line(&fields[key]));
            format!("{{{}}}", keys.into_iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        plain => plain.to_string(),
    }
}
