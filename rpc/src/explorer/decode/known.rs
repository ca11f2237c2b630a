//! Functions, events and errors of standards that contracts everywhere follow, for those whose ABI nobody uploaded.

use std::sync::LazyLock;

use alloy_json_abi::{Error, Event, Function};

use super::abi::Abi;

const FUNCTIONS: &[&str] = &[
    // ERC-20, with its usual extensions
    "transfer(address to, uint256 amount)",
    "transferFrom(address from, address to, uint256 amount)",
    "approve(address spender, uint256 amount)",
    "allowance(address owner, address spender)",
    "balanceOf(address account)",
    "totalSupply()",
    "name()",
    "symbol()",
    "decimals()",
    "increaseAllowance(address spender, uint256 added)",
    "decreaseAllowance(address spender, uint256 subtracted)",
    "mint(address to, uint256 amount)",
    "burn(uint256 amount)",
    "burn(address from, uint256 amount)",
    "burnFrom(address from, uint256 amount)",
    "permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)",
    "deposit()",
    "withdraw(uint256 amount)",
    // ERC-721
    "ownerOf(uint256 id)",
    "safeTransferFrom(address from, address to, uint256 id)",
    "safeTransferFrom(address from, address to, uint256 id, bytes data)",
    "setApprovalForAll(address operator, bool approved)",
    "getApproved(uint256 id)",
    "isApprovedForAll(address owner, address operator)",
    "tokenURI(uint256 id)",
    "safeMint(address to, uint256 id)",
    "safeMint(address to, uint256 id, string uri)",
    "mint(address to)",
    // ERC-1155
    "safeTransferFrom(address from, address to, uint256 id, uint256 amount, bytes data)",
    "safeBatchTransferFrom(address from, address to, uint256[] ids, uint256[] amounts, bytes data)",
    "balanceOf(address account, uint256 id)",
    "balanceOfBatch(address[] accounts, uint256[] ids)",
    "uri(uint256 id)",
    "mint(address to, uint256 id, uint256 amount, bytes data)",
    "mintBatch(address to, uint256[] ids, uint256[] amounts, bytes data)",
    // ERC-165
    "supportsInterface(bytes4 interfaceId)",
    // ERC-4626
    "deposit(uint256 assets, address receiver)",
    "mint(uint256 shares, address receiver)",
    "withdraw(uint256 assets, address receiver, address owner)",
    "redeem(uint256 shares, address receiver, address owner)",
    // Owners and roles
    "owner()",
    "transferOwnership(address newOwner)",
    "acceptOwnership()",
    "renounceOwnership()",
    "hasRole(bytes32 role, address account)",
    "grantRole(bytes32 role, address account)",
    "revokeRole(bytes32 role, address account)",
    "renounceRole(bytes32 role, address account)",
    "pause()",
    "unpause()",
    // Proxies
    "upgradeTo(address implementation)",
    "upgradeToAndCall(address implementation, bytes data)",
    "upgrade(address proxy, address implementation)",
    "upgradeAndCall(address proxy, address implementation, bytes data)",
    "changeAdmin(address newAdmin)",
    "initialize()",
    // Several calls at once
    "multicall(bytes[] data)",
    "multicall(uint256 deadline, bytes[] data)",
    "aggregate((address,bytes)[] calls)",
    "tryAggregate(bool requireSuccess, (address,bytes)[] calls)",
    "aggregate3((address,bool,bytes)[] calls)",
    "aggregate3Value((address,bool,uint256,bytes)[] calls)",
    // Wallets of several owners, and delegated accounts
    "execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, \
     uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures)",
    "execute(address target, uint256 value, bytes data)",
    "executeBatch(address[] targets, bytes[] data)",
    "isValidSignature(bytes32 hash, bytes signature)",
    // Exchanges
    "swapExactTokensForTokens(uint256 amountIn, uint256 amountOutMin, address[] path, address to, uint256 deadline)",
    "swapTokensForExactTokens(uint256 amountOut, uint256 amountInMax, address[] path, address to, uint256 deadline)",
    "swapExactETHForTokens(uint256 amountOutMin, address[] path, address to, uint256 deadline)",
    "swapExactTokensForETH(uint256 amountIn, uint256 amountOutMin, address[] path, address to, uint256 deadline)",
    "addLiquidity(address tokenA, address tokenB, uint256 amountADesired, uint256 amountBDesired, uint256 amountAMin, \
     uint256 amountBMin, address to, uint256 deadline)",
    "removeLiquidity(address tokenA, address tokenB, uint256 liquidity, uint256 amountAMin, uint256 amountBMin, \
     address to, uint256 deadline)",
    // Votes and timelocks
    "delegate(address delegatee)",
    "castVote(uint256 proposalId, uint8 support)",
    "propose(address[] targets, uint256[] values, bytes[] calldatas, string description)",
    "schedule(address target, uint256 value, bytes data, bytes32 predecessor, bytes32 salt, uint256 delay)",
];

const EVENTS: &[&str] = &[
    "Transfer(address indexed from, address indexed to, uint256 value)",
    "Transfer(address indexed from, address indexed to, uint256 indexed id)",
    "Approval(address indexed owner, address indexed spender, uint256 value)",
    "Approval(address indexed owner, address indexed approved, uint256 indexed id)",
    "ApprovalForAll(address indexed owner, address indexed operator, bool approved)",
    "TransferSingle(address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value)",
    "TransferBatch(address indexed operator, address indexed from, address indexed to, uint256[] ids, uint256[] values)",
    "URI(string value, uint256 indexed id)",
    "Deposit(address indexed account, uint256 amount)",
    "Withdrawal(address indexed account, uint256 amount)",
    "Deposit(address indexed sender, address indexed owner, uint256 assets, uint256 shares)",
    "Withdraw(address indexed sender, address indexed receiver, address indexed owner, uint256 assets, uint256 shares)",
    "OwnershipTransferStarted(address indexed previousOwner, address indexed newOwner)",
    "OwnershipTransferred(address indexed previousOwner, address indexed newOwner)",
    "RoleGranted(bytes32 indexed role, address indexed account, address indexed sender)",
    "RoleRevoked(bytes32 indexed role, address indexed account, address indexed sender)",
    "RoleAdminChanged(bytes32 indexed role, bytes32 indexed previousAdminRole, bytes32 indexed newAdminRole)",
    "Paused(address account)",
    "Unpaused(address account)",
    "Upgraded(address indexed implementation)",
    "AdminChanged(address previousAdmin, address newAdmin)",
    "BeaconUpgraded(address indexed beacon)",
    "Initialized(uint8 version)",
    "Initialized(uint64 version)",
    "Sync(uint112 reserve0, uint112 reserve1)",
    "Swap(address indexed sender, uint256 amount0In, uint256 amount1In, uint256 amount0Out, uint256 amount1Out, \
     address indexed to)",
    "DelegateChanged(address indexed delegator, address indexed fromDelegate, address indexed toDelegate)",
    "DelegateVotesChanged(address indexed delegate, uint256 previousVotes, uint256 newVotes)",
];

const ERRORS: &[&str] = &[
    // ERC-6093
    "ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)",
    "ERC20InvalidSender(address sender)",
    "ERC20InvalidReceiver(address receiver)",
    "ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed)",
    "ERC20InvalidApprover(address approver)",
    "ERC20InvalidSpender(address spender)",
    "ERC721InvalidOwner(address owner)",
    "ERC721NonexistentToken(uint256 id)",
    "ERC721IncorrectOwner(address sender, uint256 id, address owner)",
    "ERC721InvalidSender(address sender)",
    "ERC721InvalidReceiver(address receiver)",
    "ERC721InsufficientApproval(address operator, uint256 id)",
    "ERC721InvalidApprover(address approver)",
    "ERC721InvalidOperator(address operator)",
    "ERC1155InsufficientBalance(address sender, uint256 balance, uint256 needed, uint256 id)",
    "ERC1155InvalidSender(address sender)",
    "ERC1155InvalidReceiver(address receiver)",
    "ERC1155MissingApprovalForAll(address operator, address owner)",
    "ERC1155InvalidApprover(address approver)",
    "ERC1155InvalidOperator(address operator)",
    "ERC1155InvalidArrayLength(uint256 idsLength, uint256 valuesLength)",
    // What libraries that many use revert with
    "OwnableUnauthorizedAccount(address account)",
    "OwnableInvalidOwner(address owner)",
    "AccessControlUnauthorizedAccount(address account, bytes32 neededRole)",
    "AccessControlBadConfirmation()",
    "EnforcedPause()",
    "ExpectedPause()",
    "ReentrancyGuardReentrantCall()",
    "SafeERC20FailedOperation(address token)",
    "AddressEmptyCode(address target)",
    "AddressInsufficientBalance(address account)",
    "FailedInnerCall()",
    "FailedCall()",
    "InsufficientBalance(uint256 balance, uint256 needed)",
    "InvalidInitialization()",
    "NotInitializing()",
    "ERC2612ExpiredSignature(uint256 deadline)",
    "ERC2612InvalidSigner(address signer, address owner)",
    "InvalidAccountNonce(address account, uint256 currentNonce)",
    "ECDSAInvalidSignature()",
    "MathOverflowedMulDiv()",
];

/// All of them.
pub(crate) static KNOWN: LazyLock<Abi> = LazyLock::new(|| {
    // A test holds that each of them is read.
    let functions: Vec<_> = FUNCTIONS.iter().filter_map(|text| Function::parse(text).ok()).collect();
    let events: Vec<_> = EVENTS.iter().filter_map(|text| Event::parse(text).ok()).collect();
    let errors: Vec<_> = ERRORS.iter().filter_map(|text| Error::parse(text).ok()).collect();
    Abi::of_items(functions.iter(), events.iter(), errors.iter()).unwrap_or_default()
});

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use alloy_primitives::{Selector, b256};

    use super::*;

    #[test]
    fn every_entry_is_read_and_none_stands_twice() {
        let functions: BTreeSet<_> = FUNCTIONS.iter().map(|text| Function::parse(text).unwrap().selector()).collect();
        let events: BTreeSet<_> = EVENTS
            .iter()
            .map(|text| Event::parse(text).unwrap())
            .map(|event| (event.selector(), event.num_topics()))
            .collect();
        let errors: BTreeSet<_> = ERRORS.iter().map(|text| Error::parse(text).unwrap().selector()).collect();
        assert_eq!((functions.len(), events.len(), errors.len()), (FUNCTIONS.len(), EVENTS.len(), ERRORS.len()));
        assert_eq!(KNOWN.methods.len(), FUNCTIONS.len());
        assert_eq!(KNOWN.events.len(), EVENTS.len());
        assert_eq!(KNOWN.errors.len(), ERRORS.len());
    }

    #[test]
    fn selectors_are_those_that_everybody_knows() {
        let signature = |selector: u32| KNOWN.methods[&Selector::from(selector.to_be_bytes())].signature.clone();
        assert_eq!(signature(0xa9059cbb), "transfer(address,uint256)");
        assert_eq!(signature(0x42842e0e), "safeTransferFrom(address,address,uint256)");
        assert_eq!(signature(0xf242432a), "safeTransferFrom(address,address,uint256,uint256,bytes)");
        assert_eq!(signature(0x82ad56cb), "aggregate3((address,bool,bytes)[])");
        let transfer = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
        assert!(KNOWN.events.contains_key(&(transfer, 3)) && KNOWN.events.contains_key(&(transfer, 4)));
        assert!(KNOWN.errors.contains_key(&Selector::from([0xe4, 0x50, 0xd3, 0x8c])), "ERC20InsufficientBalance");
    }
}
