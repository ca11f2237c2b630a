//! Types of Solidity's ABI, within bounds: an ABI comes from strangers.

use alloy_json_abi::Param;

/// How deep tuples may lie within each other, and how many brackets one type may have.
const MAX_DEPTH: usize = 8;
/// Words that a value may take where it stands (an array of fixed length takes as many as it has elements).
const MAX_WORDS: usize = 1_024;
/// Types that one type may be made of, itself counted: it is gone through again for each value that is read.
const MAX_PARTS: usize = 256;

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    Uint,
    FixedBytes(usize),
    Address,
    Function,
    Bytes,
    Text,
    List(Box<Kind>),
    Fixed(Box<Kind>, usize),
    Tuple(Vec<Field>),
}

/// A type with a name, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// The type as the ABI writes it, tuples spelled out.
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

impl Field {
    /// A parameter of a function, an error, or within a tuple.
    pub(crate) fn of(param: &Param) -> Result<Self, String> {
        Self::at_depth(&param.name, &param.ty, &param.components, 0)
    }

    /// The same of the parts.
    pub(crate) fn new(name: &str, ty: &str, components: &[Param]) -> Result<Self, String> {
        Self::at_depth(name, ty, components, 0)
    }

    fn at_depth(name: &str, ty: &str, components: &[Param], depth: usize) -> Result<Self, String> {
        if depth > MAX_DEPTH {
            return Err(format!("expected at most {MAX_DEPTH} tuples within each other"));
        }
        let (base, brackets) = ty.find('[').map_or((ty, ""), |at| ty.split_at(at));
        let (kind, text) = match base {
            "tuple" => {
                let fields = components
                    .iter()
                    .map(|component| Self::at_depth(&component.name, &component.ty, &component.components, depth + 1));
                let fields = fields.collect::<Result<Vec<_>, _>>()?;
                if fields.is_empty() {
                    return Err("expected a tuple with components, got one without".into());
                }
                let texts: Vec<_> = fields.iter().map(|field| field.text.as_str()).collect();
                let text = format!("({}){brackets}", texts.join(","));
                (Kind::Tuple(fields), text)
            }
            base => (elementary(base).ok_or_else(|| unknown(ty))?, ty.to_owned()),
        };
        let kind = wrap(kind, brackets).ok_or_else(|| unknown(ty))?;
        if kind.words() > MAX_WORDS {
            return Err(format!("expected types of at most {MAX_WORDS} words, got {ty:?}"));
        }
        if kind.parts() > MAX_PARTS {
            let got = super::text::shown(ty, 64);
            return Err(format!("expected types that are made of at most {MAX_PARTS} others, got {got:?}"));
        }
        Ok(Self { name: name.to_owned(), text, kind })
    }
}

fn unknown(ty: &str) -> String {
    format!("expected a type of Solidity's ABI such as uint256 or address[], got {:?}", super::text::shown(ty, 64))
}

fn elementary(name: &str) -> Option<Kind> {
    let bits =
        |digits: &str| digits.parse::<usize>().is_ok_and(|bits| (8..=256).contains(&bits) && bits.is_multiple_of(8));
    Some(match name {
        "bool" => Kind::Bool,
        "address" => Kind::Address,
        "function" => Kind::Function,
        "bytes" => Kind::Bytes,
        "string" => Kind::Text,
        _ => {
            if let Some(digits) = name.strip_prefix("uint") {
                return bits(digits).then_some(Kind::Uint);
            }
            if let Some(digits) = name.strip_prefix("int") {
                return bits(digits).then_some(Kind::Int);
            }
            let length = name.strip_prefix("bytes")?.parse::<usize>().ok()?;
            return (1..=32).contains(&length).then_some(Kind::FixedBytes(length));
        }
    })
}

/// Arrays of a type, as the brackets behind it say.
fn wrap(kind: Kind, brackets: &str) -> Option<Kind> {
    let (mut kind, mut rest) = (kind, brackets);
    for _ in 0..MAX_DEPTH {
        if rest.is_empty() {
            return Some(kind);
        }
        let (length, after) = rest.strip_prefix('[')?.split_once(']')?;
        kind = match length {
            "" => Kind::List(Box::new(kind)),
            digits => {
                let length = digits.parse::<usize>().ok().filter(|length| (1..=MAX_WORDS).contains(length))?;
                Kind::Fixed(Box::new(kind), length)
            }
        };
        rest = after;
    }
    rest.is_empty().then_some(kind)
}

impl Kind {
    /// Whether a value stands elsewhere, and only its place where it belongs.
    pub(crate) fn is_dynamic(&self) -> bool {
        self.own_words().is_none()
    }

    /// Words that a value takes where it belongs.
    pub(crate) fn words(&self) -> usize {
        self.own_words().unwrap_or(1)
    }

    /// Words of a value that stands where it belongs; `None`: it stands elsewhere.
    fn own_words(&self) -> Option<usize> {
        match self {
            Self::Bytes | Self::Text | Self::List(_) => None,
            Self::Fixed(element, length) => Some(element.own_words()?.saturating_mul(*length)),
            Self::Tuple(fields) => {
                fields.iter().try_fold(0, |sum: usize, field| Some(field.kind.own_words()?.saturating_add(sum)))
            }
            _ => Some(1),
        }
    }

    /// How many types it is made of, itself counted.
    fn parts(&self) -> usize {
        match self {
            Self::List(element) | Self::Fixed(element, _) => element.parts().saturating_add(1),
            Self::Tuple(fields) => fields.iter().fold(1, |sum, field| field.kind.parts().saturating_add(sum)),
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn of(ty: &str) -> Result<Kind, String> {
        Field::new("", ty, &[]).map(|field| field.kind)
    }

    #[test]
    fn types_are_read_with_their_brackets() {
        assert_eq!(of("uint256"), Ok(Kind::Uint));
        assert_eq!(of("int8"), Ok(Kind::Int));
        assert_eq!(of("bytes32"), Ok(Kind::FixedBytes(32)));
        assert_eq!(of("string[2][]"), Ok(Kind::List(Box::new(Kind::Fixed(Box::new(Kind::Text), 2)))));
        let param = Param {
            ty: "tuple[]".into(),
            name: "orders".into(),
            components: vec![
                Param { ty: "bool".into(), ..Param::default() },
                Param { ty: "bytes".into(), ..Param::default() },
            ],
            internal_type: None,
        };
        let field = Field::of(&param).unwrap();
        assert_eq!(field.text, "(bool,bytes)[]");
        assert!(field.kind.is_dynamic());
    }

    #[test]
    fn static_values_are_measured_in_words() {
        assert_eq!(of("uint8[3][2]").unwrap().words(), 6);
        assert_eq!(of("string[3]").unwrap().words(), 1);
    }

    #[test]
    fn types_of_very_many_parts_are_refused() {
        let tuple = |components: Vec<Param>| Param { ty: "tuple".into(), components, ..Param::default() };
        // A word each where they belong, so that words do not bound them.
        let bytes = Param { ty: "bytes".into(), ..Param::default() };
        let some = |parts: usize| tuple(vec![bytes.clone(); parts]);
        assert!(Field::of(&tuple(vec![some(50), some(50)])).is_ok());
        let error = Field::of(&tuple(vec![some(60); 5])).unwrap_err();
        assert!(error.contains("made of at most 256 others"), "{error}");
    }

    #[test]
    fn types_without_bounds_are_refused() {
        for ty in [
            "",
            "uint",
            "uint7",
            "uint264",
            "bytes0",
            "bytes33",
            "uint256[0]",
            "uint256[4294967295]",
            "uint256[",
            "uint256[]x",
            "tuple",
            "uint256[1024][1024]",
            "(((((((((",
            "Contract.Kind",
        ] {
            assert!(of(ty).is_err(), "{ty}");
        }
        assert!(of(&format!("uint256{}", "[]".repeat(MAX_DEPTH))).is_ok());
        assert!(of(&format!("uint256{}", "[]".repeat(MAX_DEPTH + 1))).is_err());
        let mut param = Param { ty: "uint256".into(), ..Param::default() };
        for _ in 0..=MAX_DEPTH {
            param = Param { ty: "tuple".into(), components: vec![param], ..Param::default() };
        }
        assert!(Field::of(&param).unwrap_err().contains("within each other"));
    }
}
