# The default is what to run before a commit, with everything that belongs to it staged.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:

# A number of runs rather than a time: when a time is up while an input is minimized, go
# test reports a failure that is none.
FUZZTIME  ?= 60000x
BENCH     ?= .
BENCHTIME ?= 1s
EXAMPLE   ?= chi

MODULES := $(shell find . -name go.mod -not -path '*/node_modules/*' -not -path '*/testdata/*' | sort | xargs -n1 dirname)
# The modules under tools pin tools and have no package of their own.
CODE    := $(filter-out ./tools ./tools/%,$(MODULES))
LINT    := .bin/golangci-lint
BUF     := .bin/buf
# The plugins of buf, which buf.gen.yaml names.
PLUGINS := .bin/protoc-gen-go .bin/protoc-gen-go-grpc
# What tests run, which are skipped where it is not there.
GRPCURL := .bin/grpcurl
JAEGER  := .bin/jaeger

# each runs a command in modules: $(call each,modules,command).
each = @for m in $(1); do echo "== $$m"; (cd "$$m" && $(2)); done

.PHONY: precommit
precommit: generate tidy fmt lint race clean-tree

.PHONY: generate
generate: $(BUF) $(PLUGINS) ## Rewrites the code that is generated from .proto files.
	$(BUF) lint
	$(BUF) generate

.PHONY: generated
generated: $(BUF) $(PLUGINS) ## Fails, and shows the difference, where generated code is not what it would be.
	$(BUF) lint
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	$(BUF) generate -o "$$tmp"; \
	find . -name '*.pb.go' -not -path '*/node_modules/*' | sort >"$$tmp/here"; \
	(cd "$$tmp" && find . -name '*.pb.go' | sort >due && diff -u due here); \
	while read -r f; do diff -u "$$f" "$$tmp/$$f"; done <"$$tmp/here"

.PHONY: tidy
tidy: ## Fails, and shows the difference, where a go.mod or go.sum is not tidy.
	$(call each,$(MODULES),go mod tidy -diff)

.PHONY: fmt
fmt: $(LINT) ## Rewrites what is not formatted.
	$(call each,$(CODE),$(abspath $(LINT)) fmt ./...)

.PHONY: lint
lint: $(LINT)
	$(call each,$(CODE),$(abspath $(LINT)) run --allow-serial-runners ./...)

.PHONY: test
test: $(GRPCURL) $(JAEGER)
	$(call each,$(CODE),go test ./...)

.PHONY: race
race: $(GRPCURL) $(JAEGER)
	$(call each,$(CODE),go test -race ./...)

.PHONY: fuzz
fuzz: ## Fuzzes every target of every package, FUZZTIME each.
	@for m in $(CODE); do \
		targets=$$(cd "$$m" && go test -list '^Fuzz' ./...); \
		awk '/^Fuzz/ { name[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, name[i]; n = 0 }' <<<"$$targets" | \
		while read -r pkg name; do \
			echo "== $$pkg $$name"; \
			(cd "$$m" && go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$pkg" </dev/null); \
		done; \
	done

.PHONY: bench
bench: ## Prints what the hot path costs, against its floors.
	go run -C bench .

.PHONY: benchmarks
benchmarks:
	$(call each,$(CODE),go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem ./...)

.PHONY: example
example: ## Runs examples/$(EXAMPLE), EXAMPLE being chi, grpc or mixed.
	go run ./examples/$(EXAMPLE)

.PHONY: clean-tree
clean-tree: ## Fails where the tree is not what is committed or staged.
	@git diff --exit-code
	@left=$$(git ls-files --others --exclude-standard); \
	if [ -n "$$left" ]; then printf 'neither staged nor ignored:\n%s\n' "$$left"; exit 1; fi

$(LINT): tools/go.mod tools/go.sum
	go build -C tools -ldflags='-s -w' -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

$(BUF): tools/buf/go.mod tools/buf/go.sum
	go build -C tools/buf -ldflags='-s -w' -o ../../$@ github.com/bufbuild/buf/cmd/buf
	@touch $@

.bin/protoc-gen-go: tools/protoc/go.mod tools/protoc/go.sum
	go build -C tools/protoc -ldflags='-s -w' -o ../../$@ google.golang.org/protobuf/cmd/protoc-gen-go
	@touch $@

.bin/protoc-gen-go-grpc: tools/protoc/go.mod tools/protoc/go.sum
	go build -C tools/protoc -ldflags='-s -w' -o ../../$@ google.golang.org/grpc/cmd/protoc-gen-go-grpc
	@touch $@

$(GRPCURL): tools/grpcurl/go.mod tools/grpcurl/go.sum
	go build -C tools/grpcurl -ldflags='-s -w' -o ../../$@ github.com/fullstorydev/grpcurl/cmd/grpcurl
	@touch $@

$(JAEGER): tools/jaeger/go.mod tools/jaeger/go.sum
	go build -C tools/jaeger -ldflags='-s -w' -o ../../$@ github.com/jaegertracing/jaeger/cmd/jaeger
	@touch $@
