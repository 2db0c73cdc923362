// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

const everyTrace = core.TraceParent | core.TraceState | core.Baggage

// traceMasks are all settings that an audience can have; of the eight that there are, two have
// a trace state without a parent.
func traceMasks(t *testing.T) (all []core.TraceHeaders) {
	t.Helper()
	for m := range everyTrace + 1 {
		_, err := core.NewAudiences(core.Audience{ID: "urn:peer", Trace: m})
		if ok := m&core.TraceState == 0 || m&core.TraceParent != 0; ok != (err == nil) {
			t.Fatalf("an audience with %03b: %v", m, err)
		}
		if err == nil {
			all = append(all, m)
		}
	}
	if len(all) != 6 {
		t.Fatalf("%d settings", len(all))
	}
	return all
}

var w3c = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

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

func (o *telemetry) options() []otelhttp.Option {
	return []otelhttp.Option{otelhttp.WithPropagators(w3c), otelhttp.WithTracerProvider(o.provider)}
}

func (o *telemetry) transport(base http.RoundTripper) http.RoundTripper {
	return otelhttp.NewTransport(base, o.options()...)
}

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

// traceIn returns the names of the headers of tracing in a section, in order.
func traceIn(h http.Header) []string {
	names := []string{}
	for name := range h {
		if !core.TraceHeaders(0).Passes(name) {
			names = append(names, strings.ToLower(name))
		}
	}
	slices.Sort(names)
	return names
}

// others are headers of other systems, and what each needs.
var others = map[string]core.TraceHeaders{
	"b3": core.TraceParent, "x-b3-traceid": core.TraceParent, "uber-trace-id": core.TraceParent, "grpc-trace-bin": core.TraceParent,
	"x-amzn-trace-id": core.TraceParent, "sw8": core.TraceParent, "uberctx-user": core.Baggage, "ot-baggage-user": core.Baggage,
}

// expected returns the headers of tracing that arrive where so much passes.
func expected(m core.TraceHeaders) []string {
	all := maps.Clone(others)
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

// receiver is a server's handler that says what came.
type receiver chan *http.Request

func newReceiver() receiver { return make(receiver, 16) }

func (r receiver) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	io.Copy(io.Discard, req.Body) //nolint:errcheck // what came shows in the trailers
	r <- req
}

// TestTraceHeaders: of what OpenTelemetry's transport sets and of what the caller has set,
// that arrives at a peer which its audience lets pass, in either order, with tokens and
// without; and at one that is not named, nothing.
func TestTraceHeaders(t *testing.T) {
	orders := map[string]func(t *testing.T, o *telemetry, s *core.Service, base http.RoundTripper) http.RoundTripper{
		"otelhttp further out": func(t *testing.T, o *telemetry, s *core.Service, base http.RoundTripper) http.RoundTripper {
			t.Helper()
			return o.transport(newTransport(t, s, base))
		},
		"otelhttp further in": func(t *testing.T, o *telemetry, s *core.Service, base http.RoundTripper) http.RoundTripper {
			t.Helper()
			return newTransport(t, s, o.transport(newGuard(t, s, base)))
		},
		"a guard alone": func(t *testing.T, o *telemetry, s *core.Service, base http.RoundTripper) http.RoundTripper {
			t.Helper()
			return o.transport(newGuard(t, s, base))
		},
	}
	protos(t, func(t *testing.T, proto string) {
		for order, wire := range orders {
			for _, mask := range traceMasks(t) {
				for _, tokens := range []bool{true, false} {
					for _, named := range []bool{true, false} {
						t.Run(fmt.Sprintf("%s/%03b/tokens=%t/named=%t", order, mask, tokens, named), func(t *testing.T) {
							got, o, told := newReceiver(), newTelemetry(t), newSeen()
							site := serve(t, proto, got)
							w := newWorld(t)
							peer := core.Audience{ID: w.to.Identity, Tokens: tokens, Answer: core.AnswerOptional, Trace: mask}
							if named {
								peer.Endpoints = []string{site.URL}
							}
							caller, _ := newService(t, w.domain, w.from, setup{policy: w.from.Policy(), tells: []core.Audience{peer}}, told)
							client := &http.Client{Transport: wire(t, o, caller, site.transport(t))}
							ctx, _ := startTask(t, caller)
							req := newRequest(t, "POST", site.URL, strings.NewReader("body")).WithContext(traced(ctx, t))
							for name := range others {
								req.Header.Add(name, "one")
								req.Header.Add(name, "two")
							}
							req.Header.Set("X-Request-Id", "kept")
							if r, err := readReply(client.Do(req)); err != nil || r.err != nil || r.StatusCode != 200 {
								t.Fatalf("%v, %v", r, err)
							}
							r, want := wait(t, got, "the request"), []string{}
							if named {
								want = expected(mask)
							}
							if d := cmp.Diff(want, traceIn(r.Header)); d != "" {
								t.Errorf("what arrived (-want +got):\n%s", d)
							}
							for _, name := range want {
								if _, ok := others[name]; ok && len(r.Header.Values(name)) != 2 {
									t.Errorf("%s: %d values arrived", name, len(r.Header.Values(name)))
								}
							}
							if r.Header.Get("X-Request-Id") != "kept" {
								t.Error("what is no header of tracing did not arrive")
							}
							if came := len(tokensIn(r.Header)) > 0; came != (named && tokens && order != "a guard alone") {
								t.Errorf("a token came: %t", came)
							}
							if leaked := told.leaks(); leaked != nil {
								t.Errorf("observers were told of leaks: %q", leaked)
							}
						})
					}
				}
			}
		}
	})
}

func newGuard(tb testing.TB, s *core.Service, base http.RoundTripper) http.RoundTripper {
	tb.Helper()
	g, err := httpect.NewTraceGuard(s, base)
	if err != nil {
		tb.Fatalf("NewTraceGuard: %v", err)
	}
	return g
}

func TestNewTraceGuard(t *testing.T) {
	if _, err := httpect.NewTraceGuard(nil, nil); err == nil {
		t.Error("NewTraceGuard of a nil service: no error")
	}
	if _, err := httpect.NewTraceGuard(newWorld(t, verifyOnly).service, nil); err != nil {
		t.Errorf("NewTraceGuard of a service that records nothing, over nil: %v", err)
	}
	for _, a := range []core.Audience{
		{ID: "urn:a", Endpoints: []string{"https://Peer.example"}, Trace: core.Baggage},
		{ID: "urn:a", Endpoints: []string{"https://peer.example/"}, Tokens: true, Answer: core.AnswerOptional},
	} {
		s := newWorld(t, func(s *setup) { s.tells = []core.Audience{a} }).service
		if _, err := httpect.NewTraceGuard(s, nil); err == nil {
			t.Errorf("NewTraceGuard with endpoint %q: no error", a.Endpoints)
		}
		if _, err := httpect.NewTransport(s, nil); err == nil {
			t.Errorf("NewTransport with endpoint %q: no error", a.Endpoints)
		}
	}
}

// TestTraceLeak: what sets headers of tracing further in than the transport, and has no guard,
// is told to observers, of calls with tokens and without. What the peer gets anyway is none.
func TestTraceLeak(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for _, tokens := range []bool{true, false} {
			for _, mask := range traceMasks(t) {
				t.Run(fmt.Sprintf("tokens=%t/%03b", tokens, mask), func(t *testing.T) {
					got, o, told := newReceiver(), newTelemetry(t), newSeen()
					site := serve(t, proto, got)
					w := newWorld(t)
					caller, _ := newService(t, w.domain, w.from, setup{policy: w.from.Policy(), tells: []core.Audience{
						{ID: w.to.Identity, Endpoints: []string{site.URL}, Tokens: tokens, Answer: core.AnswerOptional, Trace: mask},
					}}, told)
					client := &http.Client{Transport: newTransport(t, caller, o.transport(site.transport(t)))}
					ctx, _ := startTask(t, caller)
					if r, err := readReply(client.Do(newRequest(t, "GET", site.URL, nil).WithContext(traced(ctx, t)))); err != nil || r.err != nil {
						t.Fatalf("%v, %v", r, err)
					}
					arrived := traceIn(wait(t, got, "the request").Header)
					if !slices.Equal(arrived, []string{"baggage", "traceparent", "tracestate"}) {
						t.Fatalf("%q arrived; the test is of nothing", arrived)
					}
					var want []string
					for _, name := range arrived {
						if !mask.Passes(name) {
							want = append(want, name)
						}
					}
					leaked := told.leaks()
					if want == nil && leaked == nil {
						return
					}
					if len(leaked) != 1 || leaked[0].endpoint != site.URL || !slices.Equal(leaked[0].headers, want) {
						t.Errorf("observers were told %+v, want %q once", leaked, want)
					}
				})
			}
		}
	})
}
