//! Why the pool refuses a transaction, in Geth's words.
//!
//! Wallets and libraries match on these texts, so the display is the text alone. The numbers
//! behind it are fields, and [`PoolError::detail`] turns them into a sentence for `error.data`
//! and logs.

use alloy_primitives::{Address, B256, U256};

use crate::transaction::TransactionError;

/// Why the pool refuses a transaction. Over JSON-RPC each is code -32000 with the display as
/// its message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Not a transaction, or without a sender.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// A type that the present fork does not have.
    #[error("transaction type not supported")]
    TypeNotSupported {
        /// The EIP-2718 type.
        ty: u8,
    },
    /// A legacy transaction without a chain id could be replayed on another chain.
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    /// Signed for another chain.
    #[error("invalid sender: invalid chain id for signer: have {got} want {expected}")]
    ChainId {
        /// The transaction's.
        got: u64,
        /// This chain's.
        expected: u64,
    },
    /// The pool holds this very transaction.
    #[error("already known")]
    AlreadyKnown {
        /// Its hash.
        hash: B256,
    },
    /// The account has used the nonce.
    #[error("nonce too low")]
    NonceTooLow {
        /// The account's next nonce.
        expected: u64,
        /// The transaction's.
        got: u64,
    },
    /// Further ahead of the account than the pool could ever hold for one sender.
    #[error("nonce too high")]
    NonceTooHigh {
        /// The highest nonce that is accepted now.
        limit: u64,
        /// The transaction's.
        got: u64,
    },
    /// The nonce after it would not exist (EIP-2681).
    #[error("nonce has max value")]
    NonceMax,
    /// The account cannot pay for this and what it has in the pool before it.
    #[error("insufficient funds for gas * price + value")]
    InsufficientFunds {
        /// The account's balance.
        balance: U256,
        /// What it would need; saturated.
        needed: U256,
    },
    /// The pool holds another transaction with this nonce, and this one may not replace it.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced {
        /// The transaction that stays.
        kept: B256,
    },
    /// Pays less than the chain's minimum.
    #[error("transaction underpriced")]
    Underpriced {
        /// Price per gas that it would pay.
        price: u128,
        /// The chain's minimum.
        minimum: u128,
    },
    /// Its fee cap is below the base fee.
    #[error("max fee per gas less than block base fee")]
    FeeCapTooLow {
        /// The transaction's cap.
        fee_cap: u128,
        /// The base fee.
        base_fee: u64,
    },
    /// Its tip is above its fee cap.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFeeCap {
        /// The tip.
        tip: u128,
        /// The cap.
        fee_cap: u128,
    },
    /// Its gas limit does not even pay for being a transaction.
    #[error("intrinsic gas too low")]
    IntrinsicGas {
        /// Its gas limit.
        gas: u64,
        /// What it needs at least.
        needed: u64,
    },
    /// Its gas limit is below the floor for its data (EIP-7623).
    #[error("insufficient gas for floor data gas cost")]
    FloorDataGas {
        /// Its gas limit.
        gas: u64,
        /// The floor.
        needed: u64,
    },
    /// Its gas limit is above a whole block's.
    #[error("exceeds block gas limit")]
    ExceedsBlockGasLimit {
        /// Its gas limit.
        gas: u64,
        /// The block's.
        limit: u64,
    },
    /// Its gas limit is above what one transaction may have (EIP-7825).
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas})")]
    GasLimitTooHigh {
        /// Its gas limit.
        gas: u64,
        /// The cap.
        cap: u64,
    },
    /// Creates a contract from more init code than EIP-3860 allows.
    #[error("max initcode size exceeded: code size {size}, limit {limit}")]
    InitCodeTooLarge {
        /// Bytes of init code.
        size: usize,
        /// Most bytes.
        limit: usize,
    },
    /// An EIP-7702 transaction without an authorization.
    #[error("set code tx must have at least one authorization tuple")]
    NoAuthorization,
    /// The sender has code that is not a delegation (EIP-3607).
    #[error("sender not an eoa")]
    SenderNotEoa {
        /// The sender.
        sender: Address,
    },
    /// The sender has as many transactions in the pool as one sender may have.
    #[error("account limit exceeded")]
    AccountLimit {
        /// Most executable, or most queued, transactions of one sender.
        limit: usize,
    },
    /// The pool is full of transactions that are not worse than this one.
    #[error("txpool is full")]
    Full,
    /// The sender's account could not be read on this node.
    #[error("state unavailable: {0}")]
    StateUnavailable(String),
}

/// All that [`PoolError::reason`] can be.
pub(super) const REASONS: &[&str] = &[
    "type_not_supported",
    "oversized",
    "invalid_sender",
    "malformed",
    "unprotected",
    "chain_id",
    "already_known",
    "nonce_too_low",
    "nonce_too_high",
    "nonce_max",
    "insufficient_funds",
    "replacement_underpriced",
    "underpriced",
    "fee_cap_too_low",
    "tip_above_fee_cap",
    "intrinsic_gas",
    "floor_data_gas",
    "exceeds_block_gas_limit",
    "gas_limit_too_high",
    "init_code_too_large",
    "no_authorization",
    "sender_not_eoa",
    "account_limit",
    "full",
    "state_unavailable",
];

impl PoolError {
    /// A short name for metrics and logs; [`REASONS`] has all of them.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Transaction(TransactionError::TypeNotSupported { .. }) | Self::TypeNotSupported { .. } => {
                "type_not_supported"
            }
            Self::Transaction(TransactionError::Oversized { .. }) => "oversized",
            Self::Transaction(TransactionError::HighS | TransactionError::InvalidSignature) => "invalid_sender",
            Self::Transaction(_) => "malformed",
            Self::Unprotected => "unprotected",
            Self::ChainId { .. } => "chain_id",
            Self::AlreadyKnown { .. } => "already_known",
            Self::NonceTooLow { .. } => "nonce_too_low",
            Self::NonceTooHigh { .. } => "nonce_too_high",
            Self::NonceMax => "nonce_max",
            Self::InsufficientFunds { .. } => "insufficient_funds",
            Self::ReplacementUnderpriced { .. } => "replacement_underpriced",
            Self::Underpriced { .. } => "underpriced",
            Self::FeeCapTooLow { .. } => "fee_cap_too_low",
            Self::TipAboveFeeCap { .. } => "tip_above_fee_cap",
            Self::IntrinsicGas { .. } => "intrinsic_gas",
            Self::FloorDataGas { .. } => "floor_data_gas",
            Self::ExceedsBlockGasLimit { .. } => "exceeds_block_gas_limit",
            Self::GasLimitTooHigh { .. } => "gas_limit_too_high",
            Self::InitCodeTooLarge { .. } => "init_code_too_large",
            Self::NoAuthorization => "no_authorization",
            Self::SenderNotEoa { .. } => "sender_not_eoa",
            Self::AccountLimit { .. } => "account_limit",
            Self::Full => "full",
            Self::StateUnavailable(_) => "state_unavailable",
        }
    }

    /// The numbers behind the text, where it has none: what was expected and what came.
    pub fn detail(&self) -> Option<String> {
        Some(match self {
            Self::TypeNotSupported { ty } => {
                format!("type {ty} does not exist at the chain's present fork")
            }
            Self::Unprotected => "sign with the chain id (EIP-155), or use a typed transaction".to_owned(),
            Self::AlreadyKnown { hash } => format!("{hash} is in the pool"),
            Self::NonceTooLow { expected, got } => {
                format!("next nonce {expected}, tx nonce {got}")
            }
            Self::NonceTooHigh { limit, got } => {
                format!("highest nonce accepted now {limit}, tx nonce {got}")
            }
            Self::InsufficientFunds { balance, needed } => {
                format!("balance {balance}, needed with the pending transactions {needed}")
            }
            Self::ReplacementUnderpriced { kept } => format!(
                "{kept} has this nonce; offer at least {}% more in both fees, or at price zero \
                 cancel it with an empty transfer of 0 to yourself",
                super::replacement::PRICE_BUMP_PERCENT
            ),
            Self::Underpriced { price, minimum } => {
                format!("price per gas {price}, minimum {minimum}")
            }
            Self::FeeCapTooLow { fee_cap, base_fee } => {
                format!("maxFeePerGas {fee_cap}, baseFee {base_fee}")
            }
            Self::TipAboveFeeCap { tip, fee_cap } => {
                format!("maxPriorityFeePerGas {tip}, maxFeePerGas {fee_cap}")
            }
            Self::IntrinsicGas { gas, needed } | Self::FloorDataGas { gas, needed } => {
                format!("gas {gas}, minimum needed {needed}")
            }
            Self::ExceedsBlockGasLimit { gas, limit } => {
                format!("gas {gas}, block gas limit {limit}")
            }
            Self::SenderNotEoa { sender } => format!("{sender} has code (EIP-3607)"),
            Self::AccountLimit { limit } => {
                format!("{limit} transactions of this sender wait already")
            }
            _ => return None,
        })
    }

    /// Whether the bytes can be no transaction on any node: whoever passed them on did not check.
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::Transaction(_))
    }
}
