// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package deps_test

// A rule bans arrows. A pattern is a package, or a package and all below it if it ends
// in "/..."; "./" in front of it stands for our module.
type rule struct {
	name   string
	from   []string
	except []string // packages that from matches and the rule spares
	deny   []string
	allow  []string // packages that deny matches and the rule spares
	direct bool     // only what a package itself imports, not what that imports in turn
	reason string
}

// adapters know a transport or an exporter, and core alone beside it.
var adapters = []string{"./httpect/...", "./grpcect/...", "./otelbridge/..."}

var rules = []rule{
	{
		name:   "core-transport",
		from:   []string{"./core/...", "./internal/..."},
		except: []string{"./internal/jaegertest"},
		deny:   []string{"net/http/...", "google.golang.org/grpc/...", "go.opentelemetry.io/..."},
		reason: "core decides whether a token is believed, whatever brought it and whatever watches; transports are adapters, and observers attach through core.Observer",
	},
	{
		name:   "core-adapter",
		from:   []string{"./core/..."},
		deny:   []string{"./httpect/...", "./grpcect/...", "./otelbridge/...", "./ecttest/...", "./examples/..."},
		reason: "adapters, the test kit and examples stand on core; core must build and be reviewed without them",
	},
	{
		name:   "core-backend",
		from:   []string{"./core", "./core/dag/...", "./core/replay/...", "./core/id/..."},
		deny:   []string{"./identity/...", "./core/ledger/...", "./ledger/...", "./replay/...", "./store/..."},
		reason: "identity, ledger and stores implement interfaces that core declares; core names none of its implementations",
	},
	{
		name:   "dag",
		from:   []string{"./core/dag/..."},
		deny:   []string{"./..."},
		allow:  []string{"./core/dag/...", "./core/id/...", "./internal/..."},
		reason: "the graph rules know ids, digests and times, and never a token or a policy: core imports dag, not dag core",
	},
	{
		name:   "replay",
		from:   []string{"./core/replay/..."},
		deny:   []string{"./..."},
		allow:  []string{"./core/replay/..."},
		reason: "a claim of a token id needs bytes and a time; a replay store is written without reading the rest of the module",
	},
	{
		name:   "id",
		from:   []string{"./core/id/..."},
		deny:   []string{"./..."},
		allow:  []string{"./core/id/...", "./internal/..."},
		reason: "ids are at the bottom: whatever imports them would be in a cycle with what they import",
	},
	{
		name:   "internal",
		from:   []string{"./internal/..."},
		deny:   []string{"./..."},
		allow:  []string{"./internal/..."},
		reason: "internal packages are tools that know nothing of tokens, so that any package may use them",
	},
	{
		name:   "test-support",
		from:   []string{"./..."},
		except: []string{"./examples/internal/tracetest"},
		deny:   []string{"./internal/jaegertest/...", "./internal/readme/...", "./examples/internal/tracetest/..."},
		reason: "they import testing, and one runs a process: they are for tests alone",
	},
	{
		name:   "identity",
		from:   []string{"./identity/..."},
		deny:   []string{"./httpect/...", "./grpcect/...", "./otelbridge/...", "./ecttest/...", "./examples/..."},
		reason: "whose key it is does not depend on what carried the token",
	},
	{
		name:   "httpect",
		from:   []string{"./httpect/..."},
		deny:   []string{"./grpcect/...", "./otelbridge/...", "./ecttest/...", "./examples/..."},
		reason: "adapters never import each other: a service with HTTP alone must not get gRPC or OpenTelemetry with it",
	},
	{
		name:   "grpcect",
		from:   []string{"./grpcect/..."},
		deny:   []string{"./httpect/...", "./otelbridge/...", "./ecttest/...", "./examples/..."},
		reason: "adapters never import each other: what gRPC needs of a token is in core",
	},
	{
		name:   "otelbridge",
		from:   []string{"./otelbridge/..."},
		deny:   []string{"./httpect/...", "./grpcect/...", "./ecttest/...", "./examples/..."},
		reason: "adapters never import each other: the bridge observes core and fits every transport",
	},
	{
		name:   "ecttest",
		from:   []string{"./..."},
		except: []string{"./ecttest/...", "./examples/..."},
		deny:   []string{"./ecttest/..."},
		reason: "the test kit mints bad tokens on purpose; it belongs in tests, and in examples at most",
	},
	{
		name:   "ecttest-adapter",
		from:   []string{"./ecttest/..."},
		deny:   adapters,
		reason: "every adapter's tests use the kit: one that imported an adapter would bring it into the tests of the others",
	},
	{
		name:   "examples",
		from:   []string{"./..."},
		except: []string{"./examples/..."},
		deny:   []string{"./examples/..."},
		reason: "examples are read and copied, never imported",
	},
	{
		name:   "grpc-home",
		from:   []string{"./..."},
		except: []string{"./grpcect/...", "./examples/..."},
		deny:   []string{"google.golang.org/grpc/..."},
		direct: true, // libraries that identity packages need bring grpc of their own
		reason: "grpcect is the only place that knows gRPC",
	},
	{
		name:   "otel-home",
		from:   []string{"./..."},
		except: []string{"./otelbridge/...", "./examples/..."},
		deny:   []string{"go.opentelemetry.io/..."},
		direct: true, // grpc and others bring otel of their own
		reason: "otelbridge is the only place that knows OpenTelemetry",
	},
}
