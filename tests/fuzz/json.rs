//! Edits of JSON values by a script: text that is still JSON, with other values, names and shapes in it.

use serde_json::{Map, Value, json};

/// Values that readers of JSON get wrong.
fn interesting(which: u8) -> Value {
    match which % 24 {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(u64::MAX),
        5 => json!(i64::MIN),
        6 => json!(1.5e300),
        7 => json!(""),
        8 => json!("0x"),
        9 => json!("0x0"),
        10 => json!("0xffffffffffffffff"),
        11 => json!(format!("0x{}", "f".repeat(64))),
        12 => json!(format!("0x{}", "f".repeat(40))),
        13 => json!(format!("0x1{}", "0".repeat(64))),
        14 => json!("latest"),
        15 => json!("earliest"),
        16 => json!([]),
        17 => json!({}),
        18 => json!([[[[[[[[]]]]]]]]),
        19 => json!("\u{0}\u{202e}\u{1f980}"),
        20 => json!("9999999999999999999999d"),
        21 => json!("0s"),
        22 => json!([null, null, null]),
        _ => json!("x".repeat(300)),
    }
}

/// Takes the next byte of a script; zero behind its end.
fn byte(script: &mut &[u8]) -> u8 {
    match script.split_first() {
        Some((byte, rest)) => {
            *script = rest;
            *byte
        }
        None => 0,
    }
}

/// Changes one place in a value, and then others while the script goes on.
pub(crate) fn edit(value: &mut Value, mut script: &[u8]) {
    while !script.is_empty() {
        descend(value, &mut script);
    }
}

/// Goes down a way that the script names, and changes what is there.
fn descend(value: &mut Value, script: &mut &[u8]) {
    let step = byte(script);
    let here = step.is_multiple_of(5);
    match value {
        Value::Object(fields) if !here && !fields.is_empty() => {
            let which = usize::from(step) % fields.len();
            if let Some((_, field)) = fields.iter_mut().nth(which) {
                descend(field, script);
            }
        }
        Value::Array(items) if !here && !items.is_empty() => {
            let which = usize::from(step) % items.len();
            if let Some(item) = items.get_mut(which) {
                descend(item, script);
            }
        }
        Value::Object(fields) if byte(script).is_multiple_of(2) => edit_fields(fields, script),
        Value::Array(items) if byte(script).is_multiple_of(2) => edit_items(items, script),
        Value::String(text) if byte(script).is_multiple_of(2) => edit_text(text, script),
        other => *other = interesting(byte(script)),
    }
}

fn edit_fields(fields: &mut Map<String, Value>, script: &mut &[u8]) {
    let (kind, which) = (byte(script), usize::from(byte(script)));
    let name = fields.keys().nth(which % fields.len().max(1)).cloned().unwrap_or_default();
    match kind % 4 {
        0 => drop(fields.remove(&name)),
        1 => drop(fields.insert("unknown".to_owned(), interesting(byte(script)))),
        2 => {
            if let Some(value) = fields.get(&name).cloned() {
                fields.insert(name.to_ascii_uppercase(), value);
            }
        }
        _ => drop(fields.insert(name, interesting(byte(script)))),
    }
}

fn edit_items(items: &mut Vec<Value>, script: &mut &[u8]) {
    let (kind, which) = (byte(script), usize::from(byte(script)));
    let at = which % items.len().max(1);
    match kind % 4 {
        0 if !items.is_empty() => drop(items.remove(at)),
        1 if items.len() < 64 => items.extend(items.clone()),
        2 if !items.is_empty() => items.swap(0, at),
        _ => items.push(interesting(byte(script))),
    }
}

fn edit_text(text: &mut String, script: &mut &[u8]) {
    let (kind, which) = (byte(script), usize::from(byte(script)));
    let at = text.char_indices().map(|(at, _)| at).nth(which % text.len().max(1)).unwrap_or(text.len());
    let new = char::from(byte(script));
    match kind % 4 {
        0 => text.truncate(at),
        1 => text.insert(at, new),
        2 => text.push(new),
        _ if at < text.len() => {
            text.remove(at);
            text.insert(at, new);
        }
        _ => text.clear(),
    }
}
