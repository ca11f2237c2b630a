//! The precompiled contracts, which a call may assume at other addresses.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use alloy_primitives::map::{AddressMap, AddressSet};
use alloy_rpc_types_eth::state::StateOverride;
use revm::handler::{EthPrecompiles, PrecompileProvider};
use revm::interpreter::{CallInputs, InterpreterResult};
use revm::primitives::hardfork::SpecId;

use super::CallError;
use super::evm::EvmContext;

/// The precompiles that an EVM runs.
#[derive(Clone, Debug)]
pub(crate) struct Precompiles {
    real: EthPrecompiles,
    /// Where a call assumes them instead.
    assumed: Option<Assumed>,
}

/// Precompiles at other addresses than theirs.
#[derive(Clone, Debug)]
pub(crate) struct Assumed {
    /// Where one answers, and which one.
    at: AddressMap<Address>,
    /// The same addresses.
    addresses: AddressSet,
}

impl Precompiles {
    pub(super) fn new(spec: SpecId) -> Self {
        Self { real: EthPrecompiles::new(spec), assumed: None }
    }

    /// Has them stand elsewhere from now on.
    pub(super) fn assume(&mut self, assumed: Assumed) {
        self.assumed = Some(assumed);
    }
}

impl PrecompileProvider<EvmContext> for Precompiles {
    type Output = InterpreterResult;

    fn set_spec(&mut self, spec: SpecId) -> bool {
        PrecompileProvider::<EvmContext>::set_spec(&mut self.real, spec)
    }

    fn run(&mut self, context: &mut EvmContext, inputs: &CallInputs) -> Result<Option<InterpreterResult>, String> {
        let Some(assumed) = &self.assumed else { return self.real.run(context, inputs) };
        let Some(bytecode_address) = assumed.at.get(&inputs.bytecode_address).copied() else { return Ok(None) };
        self.real.run(context, &CallInputs { bytecode_address, ..inputs.clone() })
    }

    fn warm_addresses(&self) -> &AddressSet {
        match &self.assumed {
            Some(assumed) => &assumed.addresses,
            None => self.real.warm_addresses(),
        }
    }
}

impl Assumed {
    /// What overrides of accounts do to precompiles, by Geth's rules: one that is overridden in any way is none any more,
    /// and one can be moved to an address that is not overridden itself. `None`: nothing.
    pub(super) fn by(overrides: &StateOverride, spec: SpecId) -> Result<Option<Self>, CallError> {
        let real = EthPrecompiles::new(spec);
        let mut at: AddressMap<Address> = real.warm_addresses().iter().map(|address| (*address, *address)).collect();
        let mut moved = AddressSet::default();
        let mut changed = false;
        for (address, account) in overrides {
            let is_precompile = real.contains(address);
            if let Some(target) = account.move_precompile_to {
                if !is_precompile {
                    return Err(CallError::Invalid(format!("account {address} is not a precompile")));
                }
                if overrides.contains_key(&target) || !moved.insert(target) {
                    return Err(CallError::Invalid(format!("account {target} is already overridden")));
                }
                at.insert(target, *address);
            }
            if is_precompile {
                at.remove(address);
                changed = true;
            }
        }
        let addresses = at.keys().copied().collect();
        Ok(changed.then_some(Self { at, addresses }))
    }
}

/// The precompiles under these rules, by the names that EIP-7910 gives them.
pub fn precompiles(spec: SpecId) -> BTreeMap<String, Address> {
    let real = EthPrecompiles::new(spec);
    real.precompiles.inner().iter().map(|(address, of)| (of.id().name().to_owned(), *address)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_primitives::U256;
    use alloy_rpc_types_eth::state::AccountOverride;

    use super::*;

    fn address(last: u8) -> Address {
        Address::with_last_byte(last)
    }

    fn moved(from: Address, to: Address) -> (Address, AccountOverride) {
        (from, AccountOverride { move_precompile_to: Some(to), ..AccountOverride::default() })
    }

    fn by(overrides: impl IntoIterator<Item = (Address, AccountOverride)>) -> Result<Option<Assumed>, String> {
        Assumed::by(&overrides.into_iter().collect(), SpecId::PRAGUE).map_err(|error| error.to_string())
    }

    #[test]
    fn one_is_moved_and_gone_from_where_it_was() {
        let target = Address::repeat_byte(9);
        let assumed = by([moved(address(1), target)]).unwrap().unwrap();
        assert_eq!(assumed.at.get(&target), Some(&address(1)));
        assert!(!assumed.addresses.contains(&address(1)) && assumed.addresses.contains(&address(2)));
        assert_eq!(assumed.addresses.len(), EthPrecompiles::new(SpecId::PRAGUE).warm_addresses().len());
    }

    #[test]
    fn one_that_is_overridden_is_none_any_more() {
        let rich = AccountOverride { balance: Some(U256::from(1)), ..AccountOverride::default() };
        assert!(!by([(address(4), rich.clone())]).unwrap().unwrap().addresses.contains(&address(4)));
        assert!(by([(Address::repeat_byte(4), rich)]).unwrap().is_none());
    }

    #[test]
    fn impossible_moves_are_refused_in_geths_words() {
        let (one, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
        assert_eq!(by([moved(one, other)]).unwrap_err(), format!("account {one} is not a precompile"));
        for overrides in [
            vec![moved(address(1), address(1))],
            vec![moved(address(1), one), (one, AccountOverride::default())],
            vec![moved(address(1), one), moved(address(2), one)],
        ] {
            assert!(by(overrides.clone()).unwrap_err().ends_with("is already overridden"), "{overrides:?}");
        }
    }

    #[test]
    fn they_have_names() {
        let names = precompiles(SpecId::OSAKA);
        assert_eq!(names.get("ECREC"), Some(&address(1)));
        assert!(names.contains_key("P256VERIFY") && !precompiles(SpecId::PRAGUE).contains_key("P256VERIFY"));
    }
}
