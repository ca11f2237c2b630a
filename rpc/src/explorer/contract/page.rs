//! The page of a contract.

use alloy_primitives::{Address, Selector, keccak256};
use axum::response::Response;
use maud::{Markup, html};

use super::{
    forms::{self, Sent},
    store::{Contract, Proof},
};
use crate::explorer::{
    Explorer,
    account::tabs,
    decode::{self, abi::Method, text::shown},
    format::count,
    page::{self, Failure, Nav, address_full, badge, block_link, bytes, facts, heading, section},
};

/// Characters of one source that are shown.
const MAX_SOURCE: usize = 256 * 1024;
/// Sources that are shown.
const MAX_SOURCES: usize = 64;

/// What a page shows beside the contract.
#[derive(Default)]
pub(super) struct Shown<'a> {
    /// What was wrong with a form.
    pub(super) notice: Option<String>,
    /// What came of a form: the function, the fields, the result.
    pub(super) result: Option<(Selector, &'a Sent, Markup)>,
}

/// See the module.
pub(super) fn contract(explorer: &Explorer, address: &Address, what: Shown<'_>) -> Result<Response, Failure> {
    let code = explorer.chain.latest_state().code(address)?;
    let known = explorer.contracts.get(address).map(|known| known.of_code(&code));
    let body = html! {
        (heading("Contract", html! { (page::short(&address.to_string())) }, address_full(address)))
        (tabs(address, "contract", !code.is_empty()))
        @if let Some(notice) = &what.notice {
            p.notice.bad role="status" { (shown(notice, 1_024)) }
        }
        @if code.is_empty() {
            (page::empty("This address has no code: it is no contract, or not yet."))
        } @else {
            @if let Some(known) = &known {
                (about(known))
                (functions(address, known, &what))
                (sources(known))
            } @else {
                (section("about", "Nobody has uploaded anything about this contract", html! {
                    p { "With its ABI, calls and events are shown in words, and it can be read and written here." }
                }))
            }
            (uploads(explorer, address, known.as_deref()))
            (section("code", "Code", html! {
                (facts(vec![
                    ("Size", html! { (count(code.len(), "byte")) }),
                    ("Hash", page::hash(&keccak256(&code))),
                ]))
                (bytes(&code))
            }))
            script src={ "/assets/contract.js?v=" (explorer.assets_version) } defer {}
        }
    };
    Ok(page::page(explorer, Nav::None, "Contract", body))
}

/// What is known, and how well.
fn about(contract: &Contract) -> Markup {
    // The right code alone is worth little: everybody can copy it from the chain.
    let kind = if contract.abi_proven { "good" } else { "wait" };
    let proof = match contract.proof {
        Proof::Full => html! { (badge(kind, "Full match")) " the uploaded code is the deployed one, byte by byte" },
        Proof::Code => html! {
            (badge(kind, "Match but metadata"))
            " the uploaded code is the deployed one but for the hash of its metadata: names and comments in the sources \
             may be others"
        },
        Proof::Said => {
            html! { (badge("wait", "Not compared")) " somebody uploaded this ABI; nothing proves that it is right" }
        }
    };
    let mut rows = vec![("Match", proof)];
    if contract.proof > Proof::Said {
        let text = match contract.abi_proven {
            true => {
                html! { (badge("good", "Proven")) " the hash of the metadata that has it stands in the deployed code" }
            }
            false => html! {
                (badge("wait", "As uploaded"))
                " whoever copies the code from the chain can upload it with another ABI: nothing proves that its names are right"
            },
        };
        rows.push(("ABI", text));
    }
    if let Some(name) = &contract.name {
        rows.push(("Name", html! { (shown(name, 256)) }));
    }
    if let Some(compiler) = &contract.compiler {
        rows.push(("Compiler", html! { (shown(compiler, 64)) }));
    }
    if !contract.sources.is_empty() {
        let text = match contract.sources_proven {
            true => html! { (badge("good", "Proven")) " their hashes stand in the deployed code" },
            false => {
                html! { (badge("wait", "As uploaded")) " this node does not compile, and their hashes are not in the code" }
            }
        };
        rows.push(("Sources", text));
    }
    section("about", "About this contract", facts(rows))
}

fn functions(address: &Address, contract: &Contract, what: &Shown<'_>) -> Markup {
    let methods: Vec<(usize, &Method)> = contract.abi.methods.values().enumerate().collect();
    let (reads, writes): (Vec<_>, Vec<_>) = methods.into_iter().partition(|(_, method)| method.is_read());
    let list = |methods: Vec<(usize, &Method)>, writable: bool| {
        html! { @for (id, method) in methods { (function(id, method, address, what, writable)) } }
    };
    html! {
        @if !reads.is_empty() { (section("read", "Read", list(reads, false))) }
        @if !writes.is_empty() {
            (section("write", "Write", html! {
                noscript { p.muted { "Writing takes a wallet in the browser, and scripts." } }
                (list(writes, true))
            }))
        }
    }
}

fn function(id: usize, method: &Method, address: &Address, what: &Shown<'_>, writable: bool) -> Markup {
    let result = what.result.as_ref().filter(|(selector, ..)| *selector == method.selector());
    html! {
        details.function open[result.is_some()] id={ "function-" (id) } {
            summary { code { (shown(&method.signature, 512)) } }
            (forms::form(id, method, address, result.map(|(_, sent, _)| *sent), writable))
            @if let Some((_, _, markup)) = result { div.result role="status" { (markup) } }
        }
    }
}

fn sources(contract: &Contract) -> Markup {
    if contract.sources.is_empty() {
        return html! {};
    }
    let body = html! {
        @for (name, text) in contract.sources.iter().take(MAX_SOURCES) {
            details.source {
                summary { (shown(name, 256)) }
                pre tabindex="0" { code { (source(text)) } }
            }
        }
        @if contract.sources.len() > MAX_SOURCES {
            p.muted { "The first " (MAX_SOURCES) " of " (contract.sources.len()) " sources." }
        }
    };
    section("sources", "Sources", body)
}

/// A source line by line: line ends and tabs stay, everything else that deceives is escaped.
fn source(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_SOURCE));
    for line in text.lines() {
        if out.len() >= MAX_SOURCE {
            out.push_str("…\n");
            break;
        }
        out.push_str(&shown(&line.replace('\t', "    "), MAX_SOURCE));
        out.push('\n');
    }
    out
}

fn uploads(explorer: &Explorer, address: &Address, known: Option<&Contract>) -> Markup {
    if !explorer.contracts.keeps() {
        return section(
            "upload",
            "Upload",
            html! {
                p.muted { "This explorer keeps nothing: its node was started without a folder for uploads." }
            },
        );
    }
    let proven = known.is_some_and(|known| known.proof > Proof::Said);
    let open = known.is_none();
    section(
        "upload",
        "Upload",
        html! {
            @if !proven {
                details open[open] {
                    summary { "An ABI" }
                    form method="post" action={ "/address/" (address) "/contract/abi" } {
                        (area("abi", "ABI in JSON, or a file of a compiler or tool that has one", true))
                        button type="submit" { "Upload the ABI" }
                    }
                }
            }
            details {
                summary { "Sources and compiled code, to be compared with the deployed code" }
                form method="post" action={ "/address/" (address) "/contract/verify" } {
                    (area("output", "Output of the compiler (standard JSON), or a build file with input and output", true))
                    (area("input", "Input of the compiler (standard JSON), with the sources", false))
                    p.field {
                        label for="name" { "Name of the contract " span.muted { "where several could be meant" } }
                        input id="name" name="name" type="text" maxlength="256" autocomplete="off" placeholder="Token.sol:Token";
                    }
                    button type="submit" { "Compare with the deployed code" }
                }
            }
        },
    )
}

/// A field for a long text, which scripts can fill from a file.
fn area(name: &str, label: &str, required: bool) -> Markup {
    html! {
        p.field {
            label for=(name) { (label) @if !required { " " span.muted { "(optional)" } } }
            textarea id=(name) name=(name) rows="6" spellcheck="false" required[required] {}
        }
        p.field hidden {
            label for={ (name) "-file" } { "or from a file" }
            input id={ (name) "-file" } type="file" accept=".json,application/json" data-into=(name);
        }
    }
}

/// What a call returned.
pub(super) fn returned(method: &Method, output: &[u8], number: u64) -> Markup {
    html! {
        p { "Returned after block " (block_link(number)) ":" }
        @match decode::returned(method, output) {
            Some(values) if !values.is_empty() => dl.facts { @for value in values {
                div {
                    dt { @if value.name.is_empty() { (shown(&value.kind, 128)) } @else { (shown(&value.name, 128)) } }
                    dd { code { (value.value) } }
                }
            } },
            Some(_) => p.muted { "nothing" },
            None => { p { "The answer is not what the ABI says:" } (bytes(output)) }
        }
    }
}

/// What a call reverted with.
pub(super) fn reverted(reason: Option<&str>, output: &[u8], number: u64) -> Markup {
    html! {
        p { (badge("bad", "Reverted")) " after block " (block_link(number)) }
        @match reason {
            Some(reason) => p { (reason) },
            None => (bytes(output)),
        }
    }
}

/// Why a call did not end by itself.
pub(super) fn failed(text: &str, number: u64) -> Markup {
    html! { p { (badge("bad", "Failed")) " after block " (block_link(number)) ": " (shown(text, 256)) } }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_primitives::U256;
    use serde_json::json;

    use super::*;
    use crate::explorer::decode::abi::Abi;

    fn known(proof: Proof) -> Contract {
        let abi = json!([
            {"type": "function", "name": "symbol", "inputs": [], "outputs": [{"name": "", "type": "string"}], "stateMutability": "view"},
            {"type": "function", "name": "set", "inputs": [{"name": "to", "type": "uint256"}], "stateMutability": "nonpayable"},
        ]);
        let (abi, json) = Abi::of_value(&abi).unwrap();
        let sources = [("<img src=x>.sol".to_string(), "contract \u{202e}A {\n\t<b>\n}".to_string())].into();
        let (name, compiler, code) = (Some("<b>A</b>".into()), None, keccak256([1_u8]));
        Contract { proof, name, compiler, code, abi, abi_proven: false, json, sources, sources_proven: false }
    }

    #[test]
    fn it_is_said_how_well_something_is_known() {
        assert!(about(&known(Proof::Full)).into_string().contains("Full match"));
        assert!(about(&known(Proof::Code)).into_string().contains("Match but metadata"));
        let copied = about(&known(Proof::Full)).into_string();
        assert!(copied.contains("As uploaded") && !copied.contains("badge good"), "{copied}");
        let proven = about(&Contract { abi_proven: true, ..known(Proof::Full) }).into_string();
        assert!(proven.contains("Proven") && proven.contains("badge good"), "{proven}");
        let said = about(&known(Proof::Said)).into_string();
        assert!(said.contains("Not compared") && said.contains("&lt;b&gt;A&lt;/b&gt;"), "{said}");
    }

    #[test]
    fn functions_that_read_and_that_write_are_told_apart() {
        let text = functions(&Address::ZERO, &known(Proof::Said), &Shown::default()).into_string();
        let (read, write) = text.split_once("id=\"write\"").unwrap();
        assert!(read.contains("symbol()") && !read.contains("set(uint256)") && !read.contains("data-encode"));
        assert!(write.contains("set(uint256)") && write.contains("data-encode"));
    }

    #[test]
    fn sources_keep_their_lines_and_nothing_that_deceives() {
        assert_eq!(source("a\n\tb\u{202e}\r\n"), "a\n    b\\u{202e}\n");
        let text = sources(&known(Proof::Full)).into_string();
        assert!(
            text.contains("&lt;img src=x&gt;.sol") && text.contains("\\u{202e}A") && !text.contains("<b>"),
            "{text}"
        );
        assert!(source(&"x\n".repeat(MAX_SOURCE)).len() < 2 * MAX_SOURCE);
    }

    #[test]
    fn hostile_answers_stay_text() {
        let contract = known(Proof::Said);
        let symbol = contract.abi.methods.values().find(|method| method.item.name == "symbol").unwrap();
        let word = |number: u64| U256::from(number).to_be_bytes::<32>();
        let mut output = [word(32), word(32)].concat();
        output.extend_from_slice(b"<script>alert(1)</script>\xe2\x80\xaeabcd");
        let text = returned(symbol, &output, 7).into_string();
        assert!(text.contains("&lt;script&gt;") && text.contains("\\u{202e}") && !text.contains("<script>"), "{text}");
        assert!(returned(symbol, &[1], 7).into_string().contains("not what the ABI says"));
    }
}
