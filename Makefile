# What a contributor can do here. `make` alone lists it.

.DEFAULT_GOAL := help
.PHONY: help build run test soak check bench docs clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the release binary, target/release/toolgate
	@scripts/prepare build
	cargo build --release --locked -p toolgate

run: ## Watch the gate judge real calls: an example server behind a policy, until Ctrl-C
	@scripts/prepare build npm
	@cargo build --quiet --locked -p toolgate
	@exec node scripts/demo.mjs

test: ## Run every test, black-box tests with real MCP servers included
	@scripts/prepare build npm
	@scripts/test

soak: ## Run the long versions of the tests
	@scripts/prepare build npm
	@TOOLGATE_SOAK=1 PROPTEST_CASES=$${PROPTEST_CASES:-20000} scripts/test

check: ## Check format, lints, documentation and its links
	@scripts/prepare build
	@scripts/check

bench: ## Measure: judging one call, and calls through the gate against direct ones
	@scripts/prepare build
	@scripts/bench

docs: ## Write what is generated from the code, docs/cli.md
	@scripts/prepare build
	cargo run --locked --quiet -p toolgate -- reference > docs/cli.md

clean: ## Remove what was built
	cargo clean
	rm -rf tests/npm/node_modules
