//! Calls and estimates.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, Bytes, U256, hex};
use assent_chain::execution::{
    BlockContext, CallError, CallOptions, CallOutcome, CallRequest, EstimateError, Overrides, call, estimate_gas,
};
use assent_chain::state::StateView;

use crate::support::*;

const OPTIONS: CallOptions = CallOptions { gas_cap: 50_000_000, deadline: None };

struct Fixture {
    node: Node,
    store: Address,
}

fn fixture() -> Fixture {
    let node = Node::new(&genesis());
    node.next(&[create(0, 0, deploying(&STORE))]);
    node.next(&[crate::support::call(0, 1, address(0).create(0), words(&[1, 11]))]);
    Fixture { node, store: address(0).create(0) }
}

impl Fixture {
    fn at(&self) -> (StateView, BlockContext) {
        let head = self.node.chain.head().number;
        let header = self.node.chain.header_by_number(head).unwrap().unwrap().header;
        (self.node.chain.latest_state(), self.node.chain.spec().context(&header))
    }

    fn call(&self, request: CallRequest) -> Result<CallOutcome, CallError> {
        let (view, context) = self.at();
        call(&view, &context, &request, &Overrides::default(), OPTIONS)
    }

    fn estimate(&self, request: CallRequest) -> Result<u64, EstimateError> {
        let (view, context) = self.at();
        estimate_gas(&view, &context, &request, &Overrides::default(), OPTIONS)
    }

    fn request(&self, input: impl Into<Bytes>) -> CallRequest {
        CallRequest { from: address(3), to: Some(self.store), input: input.into(), ..CallRequest::default() }
    }
}

#[test]
fn calls_return_revert_and_halt() {
    let fixture = fixture();
    let CallOutcome::Success { output, .. } = fixture.call(fixture.request(words(&[1]))).unwrap() else { panic!() };
    assert_eq!(output, words(&[11]));
    let outcome = fixture.call(fixture.request(vec![1, 2, 3])).unwrap();
    assert!(matches!(outcome, CallOutcome::Revert { output, .. } if output.as_ref() == [1, 2, 3]));
    // A write succeeds and leaves no trace.
    let CallOutcome::Success { logs, .. } = fixture.call(fixture.request(words(&[1, 99]))).unwrap() else { panic!() };
    assert_eq!(logs.len(), 1);
    let CallOutcome::Success { output, .. } = fixture.call(fixture.request(words(&[1]))).unwrap() else { panic!() };
    assert_eq!(output, words(&[11]));
    // An account without code, a creation, one that fails.
    let to_nobody = CallRequest { to: Some(address(5)), ..CallRequest::default() };
    assert!(fixture.call(to_nobody).unwrap().is_success());
    let creation = CallRequest { to: None, input: deploying(&STORE), ..CallRequest::default() };
    let CallOutcome::Success { output, .. } = fixture.call(creation).unwrap() else { panic!() };
    assert_eq!(output.as_ref(), STORE);
    let invalid = CallRequest { to: None, input: hex!("fe").into(), ..CallRequest::default() };
    let outcome = fixture.call(invalid).unwrap();
    assert!(matches!(outcome, CallOutcome::Halt { reason, out_of_gas: false, .. } if reason == "invalid opcode"));
}

#[test]
fn calls_from_contracts_and_of_any_nonce_but_not_beyond_the_funds() {
    let fixture = fixture();
    let mut request = fixture.request(words(&[1]));
    request.from = fixture.store;
    assert!(fixture.call(request.clone()).unwrap().is_success(), "from a contract");
    request.value = U256::from(1);
    let error = fixture.call(request.clone()).unwrap_err();
    assert!(error.to_string().starts_with("insufficient funds for gas * price + value"), "{error}");
    request.value = U256::ZERO;
    request.gas = Some(20_000);
    let error = fixture.call(request.clone()).unwrap_err();
    assert!(error.to_string().starts_with("intrinsic gas too low"), "{error}");
    request.gas = Some(22_000);
    let outcome = fixture.call(CallRequest { input: words(&[1, 5]), ..request.clone() }).unwrap();
    assert!(matches!(outcome, CallOutcome::Halt { out_of_gas: true, .. }));
    // More than the cap is the cap.
    request.gas = Some(u64::MAX);
    assert!(fixture.call(request).unwrap().is_success());
}

#[test]
fn endless_code_is_aborted_at_the_deadline() {
    let fixture = fixture();
    let recursive = address(1).create(0);
    fixture.node.next(&[create(1, 0, deploying(&hex!("5b6000600060006000600030 5af150 600056")))]);
    let (view, context) = fixture.at();
    // One jumps for ever (JUMPDEST PUSH1 0 JUMP), one calls itself and then begins anew.
    let jumping = CallRequest { to: None, input: hex!("5b600056").into(), ..CallRequest::default() };
    let calling = CallRequest { to: Some(recursive), ..CallRequest::default() };
    for request in [jumping, calling] {
        let start = Instant::now();
        let options = CallOptions { gas_cap: u64::MAX / 2, deadline: Some(start + Duration::from_millis(50)) };
        let error = call(&view, &context, &request, &Overrides::default(), options).unwrap_err();
        assert!(matches!(error, CallError::TimedOut), "{error}");
        let error = estimate_gas(&view, &context, &request, &Overrides::default(), options);
        assert!(error.is_err());
    }
}

#[test]
fn estimates_are_enough_and_not_much_more() {
    let fixture = fixture();
    let plain = CallRequest { from: address(3), to: Some(address(4)), value: U256::from(1), ..CallRequest::default() };
    assert_eq!(fixture.estimate(plain.clone()).unwrap(), 21_000);
    for request in [
        fixture.request(words(&[1])),
        fixture.request(words(&[5, 50])),
        CallRequest { from: address(3), to: None, input: deploying(&STORE), ..CallRequest::default() },
    ] {
        let gas = fixture.estimate(request.clone()).unwrap();
        let with = |gas| fixture.call(CallRequest { gas: Some(gas), ..request.clone() });
        let CallOutcome::Success { gas_used, .. } = with(gas).unwrap() else { panic!() };
        assert!(!with(gas - gas / 50).is_ok_and(|outcome| outcome.is_success()), "{gas} is far too high");
        assert!(gas >= gas_used && gas < gas_used * 2, "{gas} for {gas_used}");
    }
    let error = fixture.estimate(fixture.request(vec![9])).unwrap_err();
    assert!(matches!(&error, EstimateError::Revert(data) if data.as_ref() == [9]), "{error}");
    let error = fixture.estimate(CallRequest { gas: Some(22_000), ..fixture.request(words(&[5, 50])) }).unwrap_err();
    assert_eq!(error.to_string(), "gas required exceeds allowance (22000)");
    let poor = CallRequest { from: address(50), value: U256::from(1), gas_price: Some(1), ..plain };
    assert_eq!(fixture.estimate(poor).unwrap_err().to_string(), "insufficient funds for transfer");
    let invalid = CallRequest { to: None, input: hex!("fe").into(), ..CallRequest::default() };
    assert_eq!(fixture.estimate(invalid).unwrap_err().to_string(), "invalid opcode");
}

/// Burns some 26 million gas in a loop that counts to 800,000.
const BURNING: [u8; 17] = hex!("6000 5b 6001 01 80 620c3500 90 10 6002 57 00");

/// From Osaka on no transaction may have more than 2^24 gas (EIP-7825), but a call may.
#[test]
fn an_estimate_is_no_more_than_a_transaction_may_have() {
    let mut genesis = genesis();
    for osaka in [true, false] {
        if !osaka {
            genesis.ethereum.config.osaka_time = None;
        }
        let node = Node::new(&genesis);
        node.next(&[create(0, 0, deploying(&BURNING))]);
        let fixture = Fixture { node, store: address(0).create(0) };
        let CallOutcome::Success { gas_used, .. } = fixture.call(fixture.request(Bytes::new())).unwrap() else {
            panic!()
        };
        assert!(gas_used > 1 << 24, "{gas_used}");
        let estimate = fixture.estimate(fixture.request(Bytes::new()));
        match estimate {
            Err(error) => assert!(osaka && error.to_string() == "gas required exceeds allowance (16777216)", "{error}"),
            Ok(gas) => assert!(!osaka && gas >= gas_used, "{gas}"),
        }
    }
}
