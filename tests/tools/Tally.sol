// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// What the tools deploy, call, watch and make fail.
contract Tally {
    event Counted(address indexed who, uint256 indexed by, uint256 total);
    error TooMuch(uint256 limit, uint256 got);

    uint256 public total;
    mapping(address => uint256) public countedBy;

    constructor(uint256 start) {
        total = start;
    }

    function count(uint256 by) external {
        if (by > 1000) revert TooMuch(1000, by);
        require(by > 0, "nothing to count");
        total += by;
        countedBy[msg.sender] += by;
        emit Counted(msg.sender, by, total);
    }
}
