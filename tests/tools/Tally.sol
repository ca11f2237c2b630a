// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// What the tools deploy, call, watch and make fail.
contract Tally {
    event Counted(address indexed who, uint256 indexed by, uint256 total);
    event Noted(address indexed who, string text);
    error TooMuch(uint256 limit, uint256 got);

    bytes32 private constant COUNT = keccak256("Count(address who,uint256 by,uint256 nonce)");
    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    uint256 public total;
    mapping(address => uint256) public countedBy;
    mapping(address => uint256) public nonces;

    constructor(uint256 start) {
        total = start;
    }

    receive() external payable {}

    function count(uint256 by) external {
        add(msg.sender, by);
    }

    /// Counts for whoever signed that, as typed data of EIP-712.
    function countFor(address who, uint256 by, uint8 v, bytes32 r, bytes32 s) external {
        bytes32 domain = keccak256(abi.encode(DOMAIN, keccak256("Tally"), keccak256("1"), block.chainid, address(this)));
        bytes32 message = keccak256(abi.encode(COUNT, who, by, nonces[who]++));
        address signer = ecrecover(keccak256(abi.encodePacked("\x19\x01", domain, message)), v, r, s);
        require(signer == who && who != address(0), "not signed by who");
        add(who, by);
    }

    function note(string calldata text) external {
        emit Noted(msg.sender, text);
        emit Noted(msg.sender, text);
    }

    /// Panics when `among` is 0.
    function share(uint256 among) external view returns (uint256) {
        return total / among;
    }

    function add(address who, uint256 by) private {
        if (by > 1000) revert TooMuch(1000, by);
        require(by > 0, "nothing to count");
        total += by;
        countedBy[who] += by;
        emit Counted(who, by, total);
    }
}
