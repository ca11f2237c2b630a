//! Is this what the contract was compiled from? The output of a compiler, compared with the deployed code.
//!
//! The node does not compile. It compares the code in the compiler's output with the code on the chain, leaving out what
//! is only known at deployment (immutables, addresses of libraries), and tells whether the rest is the same, with the
//! hash of the metadata that compilers put behind the code, or but for it. Where the metadata itself was uploaded, and
//! its hash is the one in the code, the hashes of the sources in it are compared with the sources that were uploaded:
//! then they are proven as well.

use std::{collections::BTreeMap, ops::Range};

use alloy_primitives::{hex, keccak256};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::store::{Contract, Proof};
use crate::explorer::decode::{abi::Abi, text::shown};

/// Contracts of one output that are compared.
const MAX_CANDIDATES: usize = 2_000;
/// Characters of a contract's name with its file.
const MAX_NAME: usize = 256;
/// IPFS cuts what is longer into pieces, whose hash is another one.
const MAX_HASHED: usize = 256 * 1024;
/// What stands before an IPFS hash in the metadata behind a contract's code.
const IPFS: &[u8] = b"\x64ipfs\x58\x22";
/// Objects, lists and their entries in one text of JSON: read, each takes hundreds of bytes.
const MAX_ENTRIES: usize = 300_000;
/// What the compiler writes before a place for 20 bytes, the address of a library.
const PUSH20: u8 = 0x73;
/// The same of 32 bytes, an immutable.
const PUSH32: u8 = 0x7f;
/// An IPFS hash: SHA-256 and its length, then the hash.
const IPFS_HASH: usize = 34;

/// What the comparison came to.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The code is that of this contract.
    Matches(Box<Contract>),
    /// It is none of those in the output; of the one that is nearest: its name and what differs.
    Differs { nearest: String, how: String },
}

/// Compares the deployed code with the output of a compiler (standard JSON, or a file that has input and output).
/// `wanted`: the name of the contract, if the output has several that could be meant.
pub(crate) fn verify(
    deployed: &[u8],
    input: Option<&str>,
    output: &str,
    wanted: Option<&str>,
) -> Result<Verdict, String> {
    let output = json("the compiler's output", output)?;
    let input = input.map(|input| json("the compiler's input", input)).transpose()?;
    let input = input.as_ref().or_else(|| output.get("input"));
    let output = output.get("output").unwrap_or(&output);
    let files = output.get("contracts").and_then(Value::as_object).ok_or(
        "expected the compiler's output in standard JSON, with \"contracts\" and in them abi and evm.deployedBytecode",
    )?;
    let mut nearest: Option<(usize, String, String)> = None;
    let mut best: Option<(Proof, Candidate<'_>)> = None;
    let all = files.iter().flat_map(|(file, contracts)| {
        contracts
            .as_object()
            .into_iter()
            .flatten()
            .map(move |(name, contract)| (file.as_str(), name.as_str(), contract))
    });
    let chosen =
        all.filter(|(file, name, _)| wanted.is_none_or(|wanted| wanted == *name || wanted == format!("{file}:{name}")));
    for (file, name, contract) in chosen.take(MAX_CANDIDATES) {
        let Some(candidate) = Candidate::read(file, name, contract)? else { continue };
        match candidate.compare(deployed) {
            Ok(proof) if best.as_ref().is_none_or(|(other, _)| proof > *other) => best = Some((proof, candidate)),
            Ok(_) => {}
            Err(difference) => {
                if nearest.as_ref().is_none_or(|(same, ..)| difference.same > *same) {
                    nearest = Some((difference.same, candidate.title(), difference.how));
                }
            }
        }
    }
    match (best, nearest) {
        (Some((proof, candidate)), _) => candidate.contract(deployed, proof, input).map(Box::new).map(Verdict::Matches),
        (None, Some((_, nearest, how))) => Ok(Verdict::Differs { nearest, how }),
        (None, None) => Err(match wanted {
            Some(wanted) => format!("expected the contract {} in the output, with its deployedBytecode", shown(wanted, MAX_NAME)),
            None => "expected contracts with evm.deployedBytecode in the compiler's output, got none: select it as an output".into(),
        }),
    }
}

fn json(what: &str, text: &str) -> Result<Value, String> {
    if entries(text) > MAX_ENTRIES {
        return Err(format!(
            "expected at most {MAX_ENTRIES} entries in the JSON of {what}: select abi, metadata and evm.deployedBytecode alone"
        ));
    }
    serde_json::from_str(text).map_err(|error| format!("expected {what} in JSON: {error}"))
}

/// How many objects, lists and entries a text of JSON has at most.
fn entries(text: &str) -> usize {
    let (mut count, mut within, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = within,
            b'"' => within = !within,
            b'{' | b'[' | b',' if !within => count += 1,
            _ => {}
        }
    }
    count
}

/// A contract of the output.
struct Candidate<'a> {
    file: &'a str,
    name: &'a str,
    contract: &'a Value,
    code: Vec<u8>,
    /// What is only known at deployment.
    open: Vec<Range<usize>>,
}

/// Where two codes differ first, and in words.
struct Difference {
    same: usize,
    how: String,
}

impl<'a> Candidate<'a> {
    /// `None`: it has no code, as interfaces have none.
    fn read(file: &'a str, name: &'a str, contract: &'a Value) -> Result<Option<Self>, String> {
        let Some(bytecode) = contract.pointer("/evm/deployedBytecode") else { return Ok(None) };
        let object = bytecode.get("object").and_then(Value::as_str).unwrap_or_default();
        let digits = object.strip_prefix("0x").unwrap_or(object);
        if digits.is_empty() {
            return Ok(None);
        }
        let immutables = ranges(bytecode.get("immutableReferences"));
        let libraries = bytecode.get("linkReferences").and_then(Value::as_object);
        let libraries: Vec<_> =
            libraries.into_iter().flat_map(|files| files.values().flat_map(|file| ranges(Some(file)))).collect();
        let mut digits = digits.as_bytes().to_vec();
        // The places of libraries hold no digits but their names.
        for place in libraries.iter().filter(|place| place.len() == 20) {
            if let Some(name) = digits.get_mut(place.start.saturating_mul(2)..place.end.saturating_mul(2)) {
                name.fill(b'0');
            }
        }
        let code = hex::decode(&digits)
            .map_err(|_| format!("expected hex digits in the deployedBytecode of {}", shown(name, MAX_NAME)))?;
        // Whatever else is said to be filled in is compared.
        let is_place = |place: &Range<usize>, push: u8, length: usize| {
            let before = || place.start.checked_sub(1).and_then(|before| code.get(before));
            let zeros = || code.get(place.clone()).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
            place.len() == length && before() == Some(&push) && zeros()
        };
        let immutables = immutables.into_iter().filter(|place| is_place(place, PUSH32, 32));
        let libraries = libraries.into_iter().filter(|place| is_place(place, PUSH20, 20));
        let mut open: Vec<_> = immutables.chain(libraries).collect();
        if code.starts_with(&[PUSH20]) && code.get(1..21).is_some_and(|own| own.iter().all(|byte| *byte == 0)) {
            // A library begins with its own address, which its deployment puts there.
            open.push(1..21);
        }
        Ok(Some(Self { file, name, contract, code, open }))
    }

    fn title(&self) -> String {
        shown(&format!("{}:{}", self.file, self.name), MAX_NAME)
    }

    fn compare(&self, deployed: &[u8]) -> Result<Proof, Difference> {
        let mut expected = self.code.clone();
        for place in &self.open {
            // What is outside of either code differs by its length anyway.
            if let (Some(there), Some(here)) = (deployed.get(place.clone()), expected.get_mut(place.clone())) {
                here.copy_from_slice(there);
            }
        }
        if expected == deployed {
            return Ok(Proof::Full);
        }
        let (ours, theirs) = (without_metadata(&expected), without_metadata(deployed));
        if ours.len() == theirs.len() && without_hashes(ours) == without_hashes(theirs) {
            return Ok(Proof::Code);
        }
        let same = ours.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count();
        let how = match ours.len() == theirs.len() {
            true => format!("the codes are equally long, and differ from byte {same} on"),
            false => format!(
                "the compiled code has {} bytes, the deployed one {}; they differ from byte {same} on",
                expected.len(),
                deployed.len()
            ),
        };
        Err(Difference { same, how })
    }

    fn contract(&self, deployed: &[u8], proof: Proof, input: Option<&Value>) -> Result<Contract, String> {
        let metadata = self.contract.get("metadata").and_then(Value::as_str);
        let proven = metadata.filter(|metadata| proof == Proof::Full && is_metadata_of(metadata, deployed));
        let metadata = metadata.and_then(|text| json("the metadata", text).ok()).unwrap_or_default();
        let proven_abi = proven.and_then(|_| metadata.pointer("/output/abi"));
        let abi = proven_abi.or_else(|| self.contract.get("abi"));
        let abi_proven = proven_abi.is_some();
        let abi = abi.ok_or("expected the contract's abi in the compiler's output")?;
        let (abi, json) = Abi::of_value(abi)?;
        let sources = sources(input);
        let hashes = metadata.get("sources").and_then(Value::as_object);
        let is_proven = |(name, text): (&String, &String)| {
            let hash = hashes.and_then(|hashes| hashes.get(name)?.get("keccak256")?.as_str());
            hash.is_some_and(|hash| hash.eq_ignore_ascii_case(&keccak256(text).to_string()))
        };
        let sources_proven = proven.is_some() && !sources.is_empty() && sources.iter().all(is_proven);
        let compiler = metadata.pointer("/compiler/version").and_then(Value::as_str).map(|text| shown(text, 64));
        let proven_name = proven.and_then(|_| target(&metadata));
        let (name, code) = (Some(proven_name.unwrap_or_else(|| self.title())), keccak256(deployed));
        Ok(Contract { proof, name, compiler, code, abi, abi_proven, json, sources, sources_proven })
    }
}

/// The contract that metadata is about.
fn target(metadata: &Value) -> Option<String> {
    let (file, name) = metadata.pointer("/settings/compilationTarget")?.as_object()?.iter().next()?;
    Some(shown(&format!("{file}:{}", name.as_str()?), MAX_NAME))
}

/// The places in an object of lists of `{start, length}`.
fn ranges(places: Option<&Value>) -> Vec<Range<usize>> {
    let lists = places.and_then(Value::as_object).into_iter().flat_map(|places| places.values());
    let number = |place: &Value, key: &str| usize::try_from(place.get(key)?.as_u64()?).ok();
    lists
        .flat_map(|list| list.as_array().into_iter().flatten())
        .filter_map(|place| {
            let start = number(place, "start")?;
            Some(start..start.checked_add(number(place, "length")?)?)
        })
        .collect()
}

/// Sources of a compiler's input, by their names.
fn sources(input: Option<&Value>) -> BTreeMap<String, String> {
    let sources = input.and_then(|input| input.get("sources")?.as_object());
    let text = |(name, source): (&String, &Value)| {
        let content = source.get("content")?.as_str()?;
        (name.len() <= MAX_NAME).then(|| (name.clone(), content.to_owned()))
    };
    sources.into_iter().flatten().filter_map(text).collect()
}

/// Code without the metadata that compilers put behind it: a map in CBOR, and its length in two bytes.
fn without_metadata(code: &[u8]) -> &[u8] {
    let parse = || {
        let (rest, length) = code.split_last_chunk::<2>()?;
        let start = rest.len().checked_sub(usize::from(u16::from_be_bytes(*length)))?;
        let (body, metadata) = rest.split_at(start);
        // A map of one to four entries, the key of the first a short text.
        matches!(metadata, [0xa1..=0xa4, 0x61..=0x6f, ..]).then_some(body)
    };
    parse().unwrap_or(code)
}

/// Code with zeros in place of hashes of metadata within it, of contracts that it creates.
fn without_hashes(code: &[u8]) -> Vec<u8> {
    let mut code = code.to_vec();
    let mut at = 0;
    while let Some(found) = code.get(at..).and_then(|rest| rest.windows(IPFS.len()).position(|window| window == IPFS)) {
        at += found + IPFS.len();
        let end = code.len().min(at + IPFS_HASH);
        code[at..end].fill(0);
    }
    code
}

/// Whether the hash behind the code is that of this metadata.
fn is_metadata_of(metadata: &str, code: &[u8]) -> bool {
    let behind = &code[without_metadata(code).len()..];
    let Some(at) = behind.windows(IPFS.len()).position(|window| window == IPFS) else { return false };
    let hash = behind.get(at + IPFS.len()..).and_then(|rest| rest.get(..IPFS_HASH));
    hash.is_some() && hash == ipfs_hash(metadata.as_bytes()).as_ref().map(|hash| hash.as_slice())
}

/// The hash by which IPFS knows a file that it keeps in one piece.
fn ipfs_hash(content: &[u8]) -> Option<[u8; IPFS_HASH]> {
    if content.is_empty() || content.len() > MAX_HASHED {
        return None;
    }
    // The node of a file: its kind (2), its content, its length; within a node of the graph.
    let mut file = vec![0x08, 0x02, 0x12];
    varint(content.len(), &mut file);
    file.extend_from_slice(content);
    file.push(0x18);
    varint(content.len(), &mut file);
    let mut node = vec![0x0a];
    varint(file.len(), &mut node);
    node.extend_from_slice(&file);
    let mut hash = [0; IPFS_HASH];
    hash[..2].copy_from_slice(&[0x12, 0x20]);
    let digest: [u8; 32] = Sha256::digest(&node).into();
    hash[2..].copy_from_slice(&digest);
    Some(hash)
}

/// A number in seven bits per byte, the lowest first.
fn varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests;
