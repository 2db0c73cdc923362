// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

const everyTrace = core.TraceParent | core.TraceState | core.Baggage

// traceMasks are all settings that an audience can have: those of the eight without a trace
// state that has no parent.
func traceMasks() (all []core.TraceHeaders) {
	for m := range everyTrace + 1 {
		if m&core.TraceState == 0 || m&core.TraceParent != 0 {
			all = append(all, m)
		}
	}
	return all
}

// telemetry is an SDK of a test's own; nothing is global.
type telemetry struct {
	spans    *tracetest.SpanRecorder
	provider *sdktrace.TracerProvider
}

func newTelemetry(t testing.TB) *telemetry {
	t.Helper()
	r := tracetest.NewSpanRecorder()
	p := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r))
	t.Cleanup(func() {
		if err := p.Shutdown(context.Background()); err != nil { //nolint:usetesting // the test's is done by now
			t.Error(err)
		}
	})
	return &telemetry{r, p}
}

func (o *telemetry) options() []otelgrpc.Option {
	w3c := propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	return []otelgrpc.Option{otelgrpc.WithPropagators(w3c), otelgrpc.WithTracerProvider(o.provider)}
}

func (o *telemetry) client() stats.Handler { return otelgrpc.NewClientHandler(o.options()...) }
func (o *telemetry) server() stats.Handler { return otelgrpc.NewServerHandler(o.options()...) }

// traced returns a context that is part of a trace, with a state and with baggage.
func traced(ctx context.Context, t testing.TB) context.Context {
	t.Helper()
	state, err := trace.ParseTraceState("vendor=state")
	if err != nil {
		t.Fatal(err)
	}
	ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1: 7}, SpanID: trace.SpanID{1: 7}, TraceFlags: trace.FlagsSampled, TraceState: state, Remote: true,
	}))
	bag, err := baggage.Parse("user=alice")
	if err != nil {
		t.Fatal(err)
	}
	return baggage.ContextWithBaggage(ctx, bag)
}

// otherSystems is metadata of other systems, and what each needs.
var otherSystems = map[string]core.TraceHeaders{
	"b3": core.TraceParent, "x-b3-traceid": core.TraceParent, "uber-trace-id": core.TraceParent, "grpc-trace-bin": core.TraceParent,
	"sw8": core.TraceParent, "uberctx-user": core.Baggage, "grpc-tags-bin": core.Baggage,
}

// asCaller returns a context with metadata that a caller has set itself.
func asCaller(ctx context.Context) context.Context {
	for name := range otherSystems {
		ctx = metadata.AppendToOutgoingContext(ctx, name, "one", name, "two") //nolint:fatcontext // a few
	}
	return metadata.AppendToOutgoingContext(ctx, "TraceParent", "mine", "x-request-id", "kept")
}

// expected returns the metadata of tracing that arrives where so much passes.
func expected(m core.TraceHeaders) []string {
	all := maps.Clone(otherSystems)
	all["traceparent"], all["tracestate"], all["baggage"] = core.TraceParent, core.TraceState, core.Baggage
	names := []string{}
	for name, need := range all {
		if m&need != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// traceIn returns the names of what is of tracing, in order.
func traceIn(md metadata.MD) []string {
	names := []string{}
	for name := range md {
		if !core.TraceHeaders(0).Passes(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// receiver is a server that tells what metadata comes, and its address. It knows nothing of
// tokens.
type receiver struct {
	at  string
	got chan metadata.MD
}

func newReceiver(t testing.TB, opts ...grpc.ServerOption) *receiver {
	t.Helper()
	r, l := &receiver{got: make(chan metadata.MD, 16)}, listen(t)
	r.at = l.Addr().String()
	s := grpc.NewServer(append(opts, grpc.StatsHandler(&inHeader{heard: r.got}))...)
	testpb.RegisterTestServiceServer(s, talk())
	run(t, s, l)
	return r
}

// inHeader is a stats handler that tells what metadata comes, as a server's transport has it.
type inHeader struct {
	stats.Handler
	heard chan<- metadata.MD
}

func (*inHeader) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*inHeader) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*inHeader) HandleConn(context.Context, stats.ConnStats)                       {}
func (h *inHeader) HandleRPC(_ context.Context, s stats.RPCStats) {
	if s, ok := s.(*stats.InHeader); ok {
		h.heard <- s.Header
	}
}

// next returns the metadata of the next call.
func (r *receiver) next(t testing.TB) metadata.MD {
	t.Helper()
	select {
	case md := <-r.got:
		return md
	default: // the call is over
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// none fails if a call came.
func (r *receiver) none(t testing.TB) {
	t.Helper()
	select {
	case md := <-r.got:
		t.Errorf("a call came, with %q of tracing", traceIn(md))
	default:
	}
}

// tells returns a service that tells these peers what it tells them.
func (w *world) tells(t testing.TB, peers ...core.Audience) *core.Service {
	t.Helper()
	return w.domain.ServiceWithPolicy(t, w.from.agent, w.from.policy, peers, core.WithObserver(w.from.seen.observer()))
}

func startTask(t testing.TB, s *core.Service) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	ctx, _, err := s.StartTask(ctx, "test")
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

var plaintext = grpc.WithTransportCredentials(insecure.NewCredentials())

// TestTraceMetadata: of what OpenTelemetry's stats handler adds and of what the caller has
// set, that arrives at a peer which its audience lets pass, wherever the handler stands, with
// tokens and without; and at one that is not named, nothing.
func TestTraceMetadata(t *testing.T) {
	orders := map[string]func(o *telemetry, ours []grpc.DialOption) []grpc.DialOption{
		"guarded, before": func(o *telemetry, ours []grpc.DialOption) []grpc.DialOption {
			return append([]grpc.DialOption{grpc.WithStatsHandler(grpcect.GuardTrace(o.client()))}, ours...)
		},
		"guarded, after": func(o *telemetry, ours []grpc.DialOption) []grpc.DialOption {
			return append(ours, grpc.WithStatsHandler(grpcect.GuardTrace(o.client())))
		},
		"a guard alone after it": func(o *telemetry, ours []grpc.DialOption) []grpc.DialOption {
			return append(ours, grpc.WithStatsHandler(o.client()), grpc.WithStatsHandler(grpcect.GuardTrace(nil)))
		},
	}
	for order, wire := range orders {
		for _, mask := range traceMasks() {
			for _, tokens := range []bool{true, false} {
				for _, named := range []string{"", "passthrough:///", "dns:///"} {
					t.Run(fmt.Sprintf("%s/%03b/tokens=%t/named=%q", order, mask, tokens, named), func(t *testing.T) {
						r, o, w := newReceiver(t), newTelemetry(t), newWorld(t)
						peer := core.Audience{ID: w.to.agent.Identity, Tokens: tokens, Answer: core.AnswerOptional, Trace: mask}
						if named != "" { // as it is given, or in its canonical form
							peer.Endpoints = []string{named + r.at}
						}
						target := r.at
						if named == "passthrough:///" {
							target = named + r.at
						}
						s := w.tells(t, peer)
						c := testpb.NewTestServiceClient(dial(t, target, append(wire(o, grpcect.DialOptions(s)), plaintext)...))
						for _, k := range kinds {
							if err := k.call(asCaller(traced(startTask(t, s), t)), c); err != nil {
								t.Fatalf("%s: %v", k.name, err)
							}
							md, want := r.next(t), []string{}
							if named != "" {
								want = expected(mask)
							}
							if d := cmp.Diff(want, traceIn(md)); d != "" {
								t.Errorf("%s: what arrived (-want +got):\n%s", k.name, d)
							}
							for _, name := range want {
								if _, ok := otherSystems[name]; ok && len(md[name]) != 2 {
									t.Errorf("%s: %s has %d values", k.name, name, len(md[name]))
								}
							}
							if d := cmp.Diff([]string{"kept"}, md["x-request-id"]); d != "" {
								t.Errorf("%s: what is not of tracing (-want +got):\n%s", k.name, d)
							}
							if came := core.AnyToken(md[core.CarrierTokens]); came != (tokens && named != "") {
								t.Errorf("%s: a token came: %t", k.name, came)
							}
						}
					})
				}
			}
		}
	}
}
