//! The short notation of parameters and types.
//!
//! A type is a schema's name (`Address`), one of JSON's own types (`boolean`), a list of something (`Address[]`), or
//! alternatives (`Block | null`). A parameter is `name: Type`, or `name?: Type` when it may be left out.

use serde_json::{Value, json};

/// JSON's own types.
const PLAIN: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Param<'a> {
    pub(super) name: &'a str,
    pub(super) required: bool,
    pub(super) ty: &'a str,
}

/// Reads a parameter; without a type it may be anything.
pub(super) fn param(text: &str) -> Param<'_> {
    let (name, ty) = text.split_once(": ").unwrap_or((text, "object"));
    match name.strip_suffix('?') {
        Some(name) => Param { name, required: false, ty },
        None => Param { name, required: true, ty },
    }
}

/// The JSON schema of a type.
pub(super) fn schema(ty: &str) -> Value {
    let alternatives: Vec<Value> = ty.split(" | ").map(alternative).collect();
    match <[Value; 1]>::try_from(alternatives) {
        Ok([only]) => only,
        Err(several) => json!({"anyOf": several}),
    }
}

fn alternative(ty: &str) -> Value {
    if let Some(item) = ty.strip_suffix("[]") {
        return json!({"type": "array", "items": alternative(item)});
    }
    if PLAIN.contains(&ty) {
        return json!({"type": ty});
    }
    json!({"$ref": format!("#/components/schemas/{ty}")})
}

/// The names of the schemas in a type.
#[cfg(test)]
pub(super) fn names(ty: &str) -> impl Iterator<Item = &str> {
    ty.split(" | ").map(|ty| ty.trim_end_matches("[]")).filter(|ty| !PLAIN.contains(ty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_a_name_a_type_and_may_be_left_out() {
        let expected = Param { name: "block", required: false, ty: "BlockId" };
        assert_eq!(param("block?: BlockId"), expected);
        assert_eq!(param("block: BlockId"), Param { required: true, ..expected });
    }

    #[test]
    fn types_become_schemas() {
        let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
        assert_eq!(schema("boolean"), json!({"type": "boolean"}));
        assert_eq!(schema("Block"), reference("Block"));
        assert_eq!(schema("Log[]"), json!({"type": "array", "items": reference("Log")}));
        assert_eq!(schema("Block | null"), json!({"anyOf": [reference("Block"), {"type": "null"}]}));
        assert_eq!(names("Receipt[] | null").collect::<Vec<_>>(), ["Receipt"]);
    }
}
