# Everything a developer does here has a target; `make` lists them.
# Each target installs the Debian packages that it misses first (scripts/need says which).
#
#   make run ARGS="--validators 7 --port-offset 100"     further arguments of `assent devnet`
#   make test ARGS="-p assent-chain mempool"             further arguments of `cargo test`
#   make soak ASSENT_SOAK_SECONDS=600                    how long all long tests take together
#   make vectors ASSENT_STATE_TESTS=DIR                  state tests of any folder

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test vectors lint docs screenshots bench planted soak clean install need

export PATH := $(PATH):$(HOME)/.cargo/bin
export ASSENT_SOAK_SECONDS ?= 3600
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
ARGS ?=

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

run: need ## Build, then run a network of four validators on this machine (Ctrl-C ends it)
	@cargo build --locked -p assent
	@exec "$(TARGET_DIR)/debug/assent" devnet $(ARGS)

test: need ## Run all quick tests and say how many ran
	@scripts/test $(ARGS)

vectors: need ## Hold the node against Ethereum's public state tests and schemas (ASSENT_VECTORS, ASSENT_STATE_TESTS)
	@cargo build --locked --workspace --bins
	cargo test --locked -p assent-chain --lib state_tests -- --nocapture
	cargo test --locked -p assent-tests --test conformance -- --nocapture

lint: need ## Check formatting, clippy, documentation and the line of dependencies
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --locked --workspace --no-deps
	cargo test --locked --workspace --test architecture

docs: need ## Write docs/rpc.md and docs/metrics.md from the data beside the code
	ASSENT_WRITE_DOCS=1 cargo test --locked -p assent-rpc --lib openrpc
	ASSENT_WRITE_DOCS=1 cargo test --locked -p assent --lib metrics::page

screenshots: need ## Take the pictures of the README with a browser and write docs/images
	@cargo build --locked --workspace --bins
	@browser=$$(scripts/browser) && ASSENT_BROWSER=$$browser ASSENT_PICTURES=docs/images \
		cargo test --locked -p assent-tests --test explorer pictures_of_the_readme

bench: need ## Measure networks on this machine, reads beside anvil and pages of the explorer, and write docs/benchmarks.md
	@cargo build --locked --workspace --bins
	@"$(TARGET_DIR)/debug/matrix" --output docs/benchmarks.md $(ARGS)
	@ASSENT_TOOLS="$${ASSENT_TOOLS:-$$(scripts/tools)}"; [ -z "$$ASSENT_TOOLS" ] || export ASSENT_TOOLS; \
		"$(TARGET_DIR)/debug/reads" --output docs/benchmarks.md
	@exec "$(TARGET_DIR)/debug/pages" --output docs/benchmarks.md

planted: need ## Plant known bugs, see which harness finds them, and write docs/planted-bugs.md
	@scripts/planted

soak: need ## Run all long tests, ASSENT_SOAK_SECONDS (3600) together
	@scripts/soak

install: need ## Build for release and install the binary in Cargo's folder
	cargo install --locked --path node

clean: ## Remove what was built
	cargo clean

need:
	@scripts/need
