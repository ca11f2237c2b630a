//! Where chain and mempool meet.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use revm::primitives::hardfork::SpecId;

use super::{Chain, ChainSpec, ExecutedBlock, Tree};
use crate::mempool::{Account, AccountSource, PoolRules};
use crate::state::{FlatAccount, StateError, StateView};
use crate::storage::Store;
use crate::transaction::Recovered;

/// What a block adds to a typed transaction: the head of an RLP string.
const STRING_HEAD_BYTES: usize = 4;

/// The accounts of the final head, for the pool.
pub(super) struct HeadAccounts {
    pub(super) store: Arc<Store>,
    pub(super) tree: Arc<Tree>,
}

impl AccountSource for HeadAccounts {
    fn account(&self, address: Address) -> Result<Account, Box<dyn std::error::Error + Send + Sync>> {
        let view = self.tree.view_of_head(&self.store);
        let account = view.account(&address)?;
        Ok(account.map_or(Ok(Account::default()), |account| pool_account(&view, &account))?)
    }
}

fn pool_account(view: &StateView, account: &FlatAccount) -> Result<Account, StateError> {
    let is_contract = account.has_code() && !view.code_by_hash(&account.code_hash)?.is_eip7702();
    Ok(Account { nonce: account.nonce, balance: account.balance, is_contract })
}

/// What the pool checks transactions against, under the rules of `spec`.
pub(super) fn pool_rules(chain: &ChainSpec, spec: SpecId) -> PoolRules {
    let min_gas_price = u128::from(chain.min_gas_price);
    let mut rules = PoolRules::new(chain.chain_id, spec, chain.base_fee, min_gas_price, chain.gas_limit);
    // What fits into no block would wait for one forever.
    rules.max_bytes = rules.max_bytes.min(chain.room_bytes().saturating_sub(STRING_HEAD_BYTES));
    rules
}

impl Chain {
    /// Whether the pool holds an executable transaction that is neither in the block `parent` nor
    /// in one of those before it that are not final.
    pub fn has_work(&self, parent: B256) -> bool {
        let blocks = self.inner.tree.parent(&parent).map(|parent| parent.overlays).unwrap_or_default();
        let included: Vec<_> = blocks.iter().map(|block| block.transaction_hashes()).collect();
        self.inner.pool.has_executable_excluding(&included)
    }

    pub(super) fn known_transaction(&self, hash: &B256) -> Option<Arc<Recovered>> {
        self.inner.pool.get(hash)
    }

    /// Tells the pool what a final block changed, after its state can be read. `spec` holds the
    /// rules that the pool has.
    pub(super) fn update_pool(&self, block: &ExecutedBlock, spec: &mut SpecId) {
        let inner = &self.inner;
        let view = inner.tree.view_of_head(&inner.store);
        let included: Vec<_> = block.block().transactions().iter().map(|tx| *tx.hash()).collect();
        let mut touched = Vec::with_capacity(block.diff().accounts.len());
        for (address, diff) in &block.diff().accounts {
            let account = diff.new.as_ref().map_or(Ok(Account::default()), |account| pool_account(&view, account));
            match account {
                Ok(account) => touched.push((*address, account)),
                // The pool then judges the sender by what it knew; the builder skips what fails.
                Err(error) => tracing::error!(target: "assent::chain", %address, %error, "cannot read an account"),
            }
        }
        inner.pool.on_final(&included, &touched);
        let now = inner.spec.forks.at(block.block().header().timestamp);
        if now != *spec {
            *spec = now;
            inner.pool.set_rules(pool_rules(&inner.spec, now));
        }
    }
}
