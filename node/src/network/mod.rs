//! The network of one node: authenticated connections to the peers on the node list, and frames
//! over them.
//!
//! It moves bytes. It does not know what a vote, a transaction or a block is, and it never decides
//! whom to punish.
