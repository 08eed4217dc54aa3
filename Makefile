# What one can do here: `make help`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO ?= go
T  ?= 10s
BIN := $(CURDIR)/bin
LINT_VERSION := v2.15.0
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
STORIES := ./e2e
UNIT = $$($(GO) list ./... | grep -v '/e2e$$' | grep -v '/e2e/bench')

.PHONY: help build test matrix unit race lint fuzz up down e2e bench demo check clean

help: ## list what one can do
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/crossfade
	$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/crossfade ./cmd/crossfade

demo: build ## play a migration for 30 seconds and judge it
	$(BIN)/crossfade demo --for 30s

up: ## start the brokers that tests share
	$(GO) run ./e2e/brokers/cmd up

down: ## stop them and remove their data
	$(GO) run ./e2e/brokers/cmd down

# Brokers for the time of a verb, unless "make up" has started them for longer.
WITH_BROKERS = $(GO) run ./e2e/brokers/cmd running 2>/dev/null || { \
	trap '$(GO) run ./e2e/brokers/cmd down' EXIT; \
	$(GO) run ./e2e/brokers/cmd up || echo "SKIP: brokers are missing; what needs them is skipped, and fails with CI=true"; }
# What a user wants to see of -v: stories, results, skips.
QUIETER = grep --line-buffered -Ev '^=== (RUN|PAUSE|CONT|NAME)'

test: ## everything: unit, conformance, planted mistakes, stories at reduced size
	$(WITH_BROKERS); \
	export CROSSFADE_MATRIX=$$(mktemp -d); \
	four=$$(mktemp); \
	CROSSFADE_TEST_RABBITMQ=4 $(GO) test -short -run Conformance -parallel 4 -timeout 15m ./adapters/rabbitmq > $$four 2>&1 & \
	$(GO) test -shuffle=on -parallel 4 -timeout 15m $(UNIT); \
	wait $$! || { cat $$four; exit 1; }; cat $$four; \
	$(GO) run ./e2e/matrix -check $$CROSSFADE_MATRIX CONFORMANCE.md; \
	$(GO) test -tags planted -run Planted -timeout 10m ./bridge/relay ./bridge/compare; \
	$(GO) test -count=1 -timeout 60m -v $(STORIES) | $(QUIETER)

matrix: ## run the conformance suite on all brokers and write CONFORMANCE.md
	$(WITH_BROKERS); \
	export CROSSFADE_MATRIX=$$(mktemp -d); \
	$(GO) test -run Conformance -parallel 4 -timeout 20m ./adapters/...; \
	CROSSFADE_TEST_RABBITMQ=4 $(GO) test -short -run Conformance -parallel 4 -timeout 10m ./adapters/rabbitmq; \
	$(GO) run ./e2e/matrix $$CROSSFADE_MATRIX CONFORMANCE.md

unit: ## the tests that need no broker of their own
	$(GO) test -short -shuffle=on $(UNIT)

race: ## unit tests under the race detector
	$(GO) test -race -short -parallel 4 -timeout 20m ./bridge/... ./ordering/... ./dedupe/... ./adapters/memory/... ./adapters/faulty/... ./adapters/adaptertest/... ./adapters/kafka/... ./adapters/nats/... ./adapters/rabbitmq/... ./cmd/...

e2e: ## the stories; FULL=1 for the sizes that the promises name, RUN=pattern for some
	$(GO) test -count=1 -timeout 6h -v -run '$(or $(RUN),.)' $(STORIES) | $(QUIETER)

bench: ## measure beside a minimal copy loop, in one interleaved run
	$(WITH_BROKERS); \
	$(GO) run ./e2e/bench $(BENCH); \
	$(GO) test -run '^$$' -bench 'Exact|Constant' -benchtime 3s -count 3 ./bridge/drift

fuzz: ## fuzz every target for T=10s each
	for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg 2>/dev/null | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(T) $$pkg; \
	  done; \
	done

$(BIN)/golangci-lint-$(LINT_VERSION):
	GOBIN=$(BIN) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv $(BIN)/golangci-lint $@

lint: $(BIN)/golangci-lint-$(LINT_VERSION) ## vet and golangci-lint
	$(GO) vet ./...
	$(GO) vet -tags planted ./...
	$< run ./...

check: lint race test ## everything that CI runs

clean: ## remove what was built
	rm -rf $(BIN)
