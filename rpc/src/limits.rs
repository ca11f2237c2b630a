//! Every bound of the RPC server, with its reason. Those that an operator may want to change are
//! the defaults of [`RpcConfig`](crate::RpcConfig).

use std::time::Duration;

/// Bytes of one request (HTTP body or WebSocket message), a whole batch included. The largest
/// transaction is far below 1 MiB in hex, and indexers send batches of 500 small calls.
pub const MAX_REQUEST_BYTES: u32 = 5 * 1024 * 1024;

/// Bytes of one answer, a whole batch included. A full block with its transactions or receipts in
/// JSON is about ten times its size in RLP.
pub const MAX_RESPONSE_BYTES: u32 = 100 * 1024 * 1024;

/// Calls in one batch. Blockscout sends up to 500; ethers up to 100.
pub const MAX_BATCH: u32 = 1_000;

/// Connections at a time, HTTP and WebSocket together. Each holds a socket and its buffers.
pub const MAX_CONNECTIONS: u32 = 1_000;

/// Connections to the explorer at a time. A browser opens up to six, and one more for what is live.
pub const EXPLORER_CONNECTIONS: u32 = 1_024;

/// Subscriptions of one WebSocket connection: a wallet has a handful.
pub const MAX_SUBSCRIPTIONS: u32 = 64;

/// Messages that may wait for a slow WebSocket reader.
pub const SUBSCRIPTION_BUFFER: u32 = 128;

/// Final blocks that a subscription may be behind before it reads what it missed from the chain.
pub const BLOCKS_BACKLOG: usize = 256;

/// News of the mempool that a subscription may be behind before it misses some.
pub const POOL_BACKLOG: usize = 1_024;

/// Bytes of messages of a WebSocket's subscriptions that may wait for its reader (one more when
/// nothing waits): a block's logs fit, and all connections together stay within what a node has.
pub const SUBSCRIPTION_BYTES: usize = 4 * 1024 * 1024;

/// Time for a reader to make room for the next message; then the subscription ends.
pub const SUBSCRIPTION_PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether there is room again.
pub const SUBSCRIPTION_CHECK: Duration = Duration::from_millis(20);

/// Messages of one WebSocket that are read and whose answers are not written yet; further ones are left unread. Who sends
/// transactions and waits for each to be final has room for a block's worth.
pub const OWED_CALLS: usize = 128;

/// Bytes of them, requests and answers; beyond it nothing more is read.
pub const OWED_BYTES: usize = 16 * 1024 * 1024;

/// Shares of a connection (these bytes, one more request and one more answer) that all connections together may owe. An
/// answer for which there is no room is not kept.
pub const OWED_SHARES: usize = 4;

/// How many times what a connection owes must fit into what then is left for all. So some connections that are not read
/// cannot take everything: with the default sizes five leave some 23 MiB to a sixth, and what the next may owe shrinks by a
/// third each time.
pub const OWED_ROOM: usize = 2;

/// Bytes of an answer that always has room: that of a call that changes something is no larger.
pub const SMALL_ANSWER: usize = 1024;

/// Time in which a client must take some of what is written to it.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes that a client may owe for as long as it takes any of them in time.
pub const SLOW_BYTES: usize = 1024 * 1024;

/// Bytes per second that a client must take which owes more, on average over the time above in which writes wait for it.
/// The system's buffers take and give way in pieces of a megabyte: a higher rate would not be told from a lower one.
pub const SLOW_RATE: usize = 32 * 1024;

/// Requests per second of one address when the server listens beyond loopback. One transaction
/// takes a handful of calls; a load client should be given a larger limit in the configuration.
pub const DEFAULT_RATE_LIMIT: u32 = 1_000;

/// A client that was quiet may spend this many seconds of its rate at once: a full batch fits.
pub const RATE_BURST_SECONDS: u32 = 2;

/// Addresses whose rate is remembered; beyond it those that have been quiet are forgotten.
pub const MAX_RATE_ENTRIES: usize = 10_000;

/// Time that a call may take, from its decoding to its answer, waiting for a place included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Time that one execution (`eth_call`, `eth_estimateGas`) or one search (`eth_getLogs`,
/// `eth_feeHistory`) may take.
pub const EVM_TIMEOUT: Duration = Duration::from_secs(5);

/// Gas of one `eth_call` or of one step of `eth_estimateGas`.
pub const GAS_CAP: u64 = 50_000_000;

/// Heavy calls that may wait for a place per place; further ones are told to come back.
pub const HEAVY_QUEUE_PER_SLOT: usize = 16;

/// Reads of blocks, transactions and receipts that run at a time. They take a fraction of a
/// millisecond each.
pub const READ_SLOTS: usize = 32;

/// Reads that may wait for a place; further ones are told to come back.
pub const READ_QUEUE: usize = 4_096;

/// Filters (`eth_newFilter` and the like) of all clients together.
pub const MAX_FILTERS: usize = 1_000;

/// Time after which a filter that nobody asks is removed (Geth's).
pub const FILTER_EXPIRY: Duration = Duration::from_secs(300);

/// Blocks that one `eth_getFilterChanges` tells at most.
pub const MAX_FILTER_BLOCKS: u64 = 10_000;

/// Blocks that one `eth_getLogs` may span that names neither address nor topic.
pub const MAX_LOG_BLOCKS: u64 = 10_000;

/// Logs that one `eth_getLogs` may return.
pub const MAX_LOG_RESULTS: usize = 10_000;

/// Blocks that one `eth_feeHistory` may span (Geth's limit).
pub const MAX_FEE_HISTORY_BLOCKS: u64 = 1_024;

/// The same when it asks for percentiles: then every transaction is looked at.
pub const MAX_REWARD_HISTORY_BLOCKS: u64 = 128;

/// Percentiles that one `eth_feeHistory` may ask for (Geth's limit).
pub const MAX_FEE_HISTORY_PERCENTILES: usize = 100;

/// Blocks after a block that are searched for the certificate that made it final with them. Blocks
/// become final without one of their own when a certificate was lost on the way; one is enough for
/// all before it, and consensus never has that many that are not final.
pub const MAX_CERTIFICATE_SEARCH: u64 = 256;

/// Storage positions that one `eth_getProof` may name (Geth's limit).
pub const MAX_PROOF_SLOTS: usize = 1_024;

/// Bytes that the traces of one call may take, with the answer that is made of them: some 180,000 steps with ten words
/// on the stack. As many calls at a time as there are places for executions may take this much.
pub const MAX_TRACE_BYTES: usize = 256 * 1024 * 1024;

/// Storage positions that one `eth_getStorageValues` may name (Geth's limit).
pub const MAX_STORAGE_VALUES: usize = 1_024;

/// Calls of one `eth_simulateV1`: more than its gas is enough for.
pub const MAX_SIMULATED_CALLS: usize = 5_000;

/// Time that `eth_sendRawTransactionSync` waits unless it is told otherwise (Geth's). It never waits for the whole of
/// the time that a call may take, so that its own answer comes first.
pub const SYNC_WAIT: Duration = Duration::from_secs(20);

/// Traces that one `trace_filter` may return, and blocks that it may go through.
pub const MAX_TRACE_RESULTS: usize = 10_000;
/// See [`MAX_TRACE_RESULTS`].
pub const MAX_TRACE_BLOCKS: u64 = 1_000;

/// Transactions that one page of `ots_searchTransactionsBefore` and `After` holds (Erigon's limit).
pub const MAX_PAGE: usize = 25;

/// Addresses that one log filter may name.
pub const MAX_LOG_ADDRESSES: usize = 1_000;

/// Alternatives that one topic position of a log filter may name (Geth's limit).
pub const MAX_LOG_TOPICS: usize = 1_000;

/// Time that a browser may keep the answer to a preflight request.
pub const CORS_MAX_AGE: Duration = Duration::from_secs(600);

/// Time for the body of a request to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Time in which a body that is too large is read on, before the connection is closed.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for the headers of a request, and time that a connection may stay open without one.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Pause after a connection that could not be accepted: while the system has no file descriptors left, each attempt fails
/// at once.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that are told at a time that there are too many; further ones are just closed.
pub const MAX_REFUSALS: usize = 32;

/// Time for telling so.
pub const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Interval of the pings that keep a WebSocket open through proxies.
pub const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Pings after which a WebSocket is closed of which nothing was heard since the first of them.
pub const MAX_SILENT_PINGS: u32 = 2;

/// Time for a message of a WebSocket to arrive, from its begin.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(75);

/// Time for writing why a WebSocket is closed, after what is just being written.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How far the server's threads stand behind all others (`nice`, 19 is the most). Blocks are made first: with 10,
/// a flood of traces that takes all processors doubles the time between some blocks; with 19 it is not seen.
pub const THREAD_NICENESS: i32 = 19;

/// Time that open calls get when the server stops.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(3);
