//! Forms that call a function: their fields in markup, and what was written into them as calldata.

use alloy_dyn_abi::{DynSolType, JsonAbiExt};
use alloy_primitives::{Address, Selector, U256, hex, utils::parse_ether};
use maud::{Markup, html};

use crate::explorer::decode::{
    abi::{Abi, Method},
    kind::Kind,
    text::shown,
};

/// Characters of one argument.
const MAX_ARGUMENT: usize = 64 * 1024;

/// The fields of a form as a browser sent them.
pub(crate) type Sent = Vec<(String, String)>;

/// The value of a field, without spaces around it.
pub(crate) fn field<'a>(sent: &'a Sent, name: &str) -> Option<&'a str> {
    sent.iter().find(|(field, _)| field == name).map(|(_, value)| value.trim())
}

/// A form of which the names were checked against the ABI.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) input: Vec<u8>,
    /// The chain's money that goes along.
    pub(crate) value: U256,
    pub(crate) from: Address,
}

/// Reads a form.
pub(crate) fn asked<'a>(abi: &'a Abi, sent: &Sent) -> Result<Asked<'a>, String> {
    let selector = field(sent, "function").unwrap_or_default();
    let selector = hex::decode(selector).ok().and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).map(Selector::from);
    let method = selector.and_then(|selector| abi.methods.get(&selector));
    let method = method.ok_or("expected a function of the contract's ABI, by its selector such as 0x70a08231")?;
    let mut values = Vec::with_capacity(method.inputs.len());
    for (index, input) in method.inputs.iter().enumerate() {
        let text = field(sent, &format!("a{index}")).unwrap_or_default();
        values.push(argument(index, &input.name, &input.text, &input.kind, text)?);
    }
    let input =
        method.item.abi_encode_input(&values).map_err(|error| format!("these arguments do not fit: {error}"))?;
    let value = match field(sent, "value").unwrap_or_default() {
        "" => U256::ZERO,
        _ if !method.is_payable() => return Err(format!("{} takes no money: expected no value", method.signature)),
        text => parse_ether(text)
            .map_err(|_| format!("value: expected an amount such as 0.5, got \"{}\"", shown(text, 64)))?,
    };
    let from = match field(sent, "from").unwrap_or_default() {
        "" => Address::ZERO,
        text => text
            .parse()
            .map_err(|_| format!("from: expected an address, 0x and 40 hex digits, got \"{}\"", shown(text, 64)))?,
    };
    Ok(Asked { method, input, value, from })
}

fn argument(index: usize, name: &str, ty: &str, kind: &Kind, text: &str) -> Result<alloy_dyn_abi::DynSolValue, String> {
    let named = if name.is_empty() { format!("argument {}", index + 1) } else { name.to_owned() };
    let expected = || {
        let got = if text.is_empty() { "nothing".to_owned() } else { format!("\"{}\"", shown(text, 64)) };
        format!("{named} ({ty}): expected {}, got {got}", example(kind))
    };
    if text.len() > MAX_ARGUMENT {
        return Err(format!("{named} ({ty}): expected at most {MAX_ARGUMENT} characters, got {}", text.len()));
    }
    let ty = DynSolType::parse(ty).map_err(|_| expected())?;
    ty.coerce_str(text).map_err(|_| expected())
}

/// What a value of a type looks like.
fn example(kind: &Kind) -> &'static str {
    match kind {
        Kind::Bool => "true or false",
        Kind::Uint => "a number such as 100",
        Kind::Int => "a number such as -100",
        Kind::Address => "an address, 0x and 40 hex digits",
        Kind::FixedBytes(_) | Kind::Bytes | Kind::Function => "bytes in hex such as 0x00ff, as many as the type has",
        Kind::Text => "text",
        Kind::List(_) | Kind::Fixed(..) => "a list such as [1, 2, 3]",
        Kind::Tuple(_) => "values in parentheses such as (1, true)",
    }
}

/// The form of a function. `id` makes the ids of its fields differ from those of other forms.
pub(crate) fn form(id: usize, method: &Method, address: &Address, sent: Option<&Sent>, writable: bool) -> Markup {
    let action = format!("/address/{address}/contract/read");
    let encode = format!("/address/{address}/contract/encode");
    let kept = |name: &str| sent.and_then(|sent| field(sent, name)).unwrap_or_default().to_owned();
    html! {
        form.call method="post" action=(action) data-encode=[writable.then_some(encode)] {
            input type="hidden" name="function" value=(method.selector().to_string());
            @for (index, input) in method.inputs.iter().enumerate() {
                @let field = format!("f{id}a{index}");
                p.field {
                    label for=(field) {
                        @if input.name.is_empty() { "Argument " (index + 1) } @else { (shown(&input.name, 128)) }
                        " " span.muted { (shown(&input.text, 256)) }
                    }
                    input id=(field) name={ "a" (index) } type="text" autocomplete="off" spellcheck="false"
                        placeholder=(example(&input.kind)) value=(kept(&format!("a{index}")));
                }
            }
            @if writable && method.is_payable() {
                p.field {
                    label for={ "f" (id) "value" } { "Value " span.muted { "ETH that go along" } }
                    input id={ "f" (id) "value" } name="value" type="text" inputmode="decimal" autocomplete="off"
                        placeholder="0" value=(kept("value"));
                }
            }
            @if writable {
                button type="submit" disabled data-send { "Send with a wallet" }
                output.said aria-live="polite" {}
            } @else {
                button type="submit" { "Read" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn abi() -> Abi {
        let function = |name: &str, inputs: serde_json::Value, mutability: &str| json!({"type": "function", "name": name, "inputs": inputs, "outputs": [], "stateMutability": mutability});
        let list = json!([
            function(
                "transfer",
                json!([{"name": "to", "type": "address"}, {"name": "amount", "type": "uint256"}]),
                "nonpayable"
            ),
            function("deposit", json!([]), "payable"),
            function(
                "many",
                json!([{"name": "", "type": "uint8[]"}, {"name": "pair", "type": "tuple",
                "components": [{"name": "a", "type": "bool"}, {"name": "b", "type": "string"}]}]),
                "view"
            ),
        ]);
        Abi::of_value(&list).unwrap().0
    }

    fn sent(fields: &[(&str, &str)]) -> Sent {
        fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn arguments_become_calldata() {
        let abi = abi();
        let to = Address::repeat_byte(7);
        let form = sent(&[("function", "0xa9059cbb"), ("a0", &format!(" {to} ")), ("a1", "5")]);
        let asked = asked(&abi, &form).unwrap();
        let expected = format!("a9059cbb{:0>64}{:0>64}", hex::encode(to), "5");
        assert_eq!((hex::encode(asked.input), asked.value), (expected, U256::ZERO));
    }

    #[test]
    fn lists_and_tuples_are_written_in_brackets() {
        let abi = abi();
        let many = abi.methods.values().find(|method| method.item.name == "many").unwrap();
        let selector = many.selector().to_string();
        let form = sent(&[("function", &selector), ("a0", "[1, 2]"), ("a1", "(true, \"x\")")]);
        assert_eq!(asked(&abi, &form).unwrap().input.len(), 4 + 32 * (2 + 3 + 4));
        let form = sent(&[("function", &selector), ("a0", "1, 2"), ("a1", "(true, \"x\")")]);
        let error = asked(&abi, &form).err().unwrap();
        assert!(error.starts_with("argument 1 (uint8[]): expected a list such as [1, 2, 3], got \"1, 2\""), "{error}");
    }

    #[test]
    fn money_goes_where_it_is_taken() {
        let abi = abi();
        let deposit = sent(&[("function", "0xd0e30db0"), ("value", "0.5")]);
        assert_eq!(asked(&abi, &deposit).unwrap().value, U256::from(500_000_000_000_000_000_u64));
        let wrong = sent(&[("function", "0xd0e30db0"), ("value", "much")]);
        assert!(asked(&abi, &wrong).err().unwrap().contains("expected an amount such as 0.5"));
        let to = Address::ZERO.to_string();
        let transfer = sent(&[("function", "0xa9059cbb"), ("a0", &to), ("a1", "5"), ("value", "1")]);
        assert!(asked(&abi, &transfer).err().unwrap().contains("takes no money"));
    }

    #[test]
    fn what_is_wrong_is_named_and_shown_without_deceiving() {
        let abi = abi();
        for fields in [vec![], vec![("function", "0x00")], vec![("function", "0x01020304")]] {
            assert!(asked(&abi, &sent(&fields)).err().unwrap().contains("expected a function of the contract's ABI"));
        }
        let form = sent(&[("function", "0xa9059cbb"), ("a0", "\u{202e}bob"), ("a1", "5")]);
        let error = asked(&abi, &form).err().unwrap();
        assert!(error.starts_with("to (address): expected an address") && error.contains("\\u{202e}bob"), "{error}");
        let long = "9".repeat(MAX_ARGUMENT + 1);
        let form = sent(&[("function", "0xa9059cbb"), ("a0", &long), ("a1", "5")]);
        assert!(asked(&abi, &form).err().unwrap().contains("at most 65536 characters"));
    }

    #[test]
    fn fields_have_labels_and_hostile_values_stay_text() {
        let abi = abi();
        let method = abi.methods.get(&Selector::from([0xa9, 0x05, 0x9c, 0xbb])).unwrap();
        let kept = sent(&[("a0", "\"><script>alert(1)</script>")]);
        let text = form(3, method, &Address::ZERO, Some(&kept), false).into_string();
        assert!(text.contains("<label for=\"f3a0\">") && text.contains("id=\"f3a0\""), "{text}");
        assert!(!text.contains("<script>"), "{text}");
        assert!(text.contains("/contract/read") && !text.contains("data-encode"), "{text}");
    }
}
