// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/otelbridge"
)

// What comes from outside beside a token.
const (
	cameTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	cameSpan  = "00f067aa0ba902b7"
	cameState = "vendor=came"
	cameBag   = "bag=came"
)

// outcome is what becomes of a trace that comes.
type outcome struct{ continues, links, baggage bool }

var (
	nothing  = outcome{}
	linked   = outcome{links: true}
	goesOn   = outcome{continues: true, baggage: true}
	whatever = map[otelbridge.Edge]outcome{ // at a listener that never asks who sent it
		otelbridge.EdgeRestart: nothing, otelbridge.EdgeLink: linked, otelbridge.EdgeContinue: goesOn,
	}
)

// arrangement is how a listener is put together.
type arrangement struct {
	name  string
	tasks bool // WithTaskSpans
	serve func(w *party, h http.Handler) http.Handler
	// span is the name of the one that the trace that comes may lead to.
	span func(w *party) string
	// home, foreign and refused say what must become of it, by who sent it.
	home, foreign, refused map[otelbridge.Edge]outcome
}

func otel(w *party, h http.Handler, p propagation.TextMapPropagator) http.Handler {
	return otelhttp.NewHandler(h, "serve", otelhttp.WithTracerProvider(w.tracers), otelhttp.WithPropagators(p),
		otelhttp.WithSpanNameFormatter(func(string, *http.Request) string { return "serve" }))
}

// extracting calls a propagator's Extract, as no instrumentation is outside of h.
func extracting(p propagation.TextMapPropagator, h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(rw, r.WithContext(p.Extract(r.Context(), propagation.HeaderCarrier(r.Header))))
	})
}

func arrangements() []arrangement {
	server := func(*party) string { return "serve" }
	task := func(*party) string { return otelbridge.SpanName }
	unseen := map[otelbridge.Edge]outcome{
		otelbridge.EdgeRestart: nothing, otelbridge.EdgeLink: nothing, otelbridge.EdgeContinue: goesOn,
	}
	always := func(o outcome) map[otelbridge.Edge]outcome {
		return map[otelbridge.Edge]outcome{otelbridge.EdgeRestart: o, otelbridge.EdgeLink: o, otelbridge.EdgeContinue: goesOn}
	}
	return []arrangement{
		{
			name: "otelhttp outside, for an edge", span: server,
			serve: func(w *party, h http.Handler) http.Handler {
				return otel(w, httpect.Middleware(w.service)(h), w.bridge.EdgePropagator(w3c))
			},
			home: whatever, foreign: whatever, refused: unseen,
		},
		{
			name: "otelhttp outside, by sender", span: server,
			serve: func(w *party, h http.Handler) http.Handler {
				return otel(w, httpect.Middleware(w.service)(h), w.bridge.SenderPropagator(w3c))
			},
			home: always(linked), foreign: whatever, refused: unseen,
		},
		{
			name: "httpect outside, by sender", span: server,
			serve: func(w *party, h http.Handler) http.Handler {
				return httpect.Middleware(w.service)(otel(w, h, w.bridge.SenderPropagator(w3c)))
			},
			// No unit of work begins after the span, so nothing draws a link.
			home: always(goesOn), foreign: unseen,
		},
		{
			name: "httpect outside, task spans, by sender", tasks: true, span: task,
			serve: func(w *party, h http.Handler) http.Handler {
				p := w.bridge.SenderPropagator(w3c)
				return extracting(p, httpect.Middleware(w.service)(otel(w, h, p)))
			},
			home: always(goesOn), foreign: whatever, refused: unseen,
		},
		{
			name: "httpect outside, task spans, for an edge", tasks: true, span: task,
			serve: func(w *party, h http.Handler) http.Handler {
				p := w.bridge.EdgePropagator(w3c)
				return extracting(p, httpect.Middleware(w.service)(h))
			},
			home: whatever, foreign: whatever, refused: unseen,
		},
	}
}

// judgeEdge holds the spans against what must become of the trace that came.
func judgeEdge(t *testing.T, all []sdktrace.ReadOnlySpan, name string, want outcome, bag string) {
	t.Helper()
	found := false
	for _, s := range all {
		text := allOf(s)
		if strings.Contains(text, "bag=") || strings.Contains(text, cameBag) {
			t.Errorf("baggage is on span %q", s.Name())
		}
		if !want.continues && !want.links && (strings.Contains(text, cameTrace) || strings.Contains(text, cameSpan) || strings.Contains(text, cameState)) {
			t.Errorf("what came is on span %q:\n%s", s.Name(), text)
		}
		if s.Name() != name {
			continue
		}
		found = true
		if got := s.SpanContext().TraceID().String() == cameTrace; got != want.continues {
			t.Errorf("span %q is in the trace that came: %t, want %t", name, got, want.continues)
		}
		if want.continues && (s.Parent().SpanID().String() != cameSpan || s.SpanContext().TraceState().String() != cameState) {
			t.Errorf("span %q goes on from %v in the state %q", name, s.Parent().SpanID(), s.SpanContext().TraceState())
		}
		n := 0
		for _, l := range s.Links() {
			if l.SpanContext.SpanID().String() == cameSpan {
				n++
			}
			if l.SpanContext.TraceState().Len() > 0 {
				t.Errorf("a link has the state %q", l.SpanContext.TraceState())
			}
		}
		if (n == 1) != want.links || n > 1 {
			t.Errorf("span %q has %d links to what came, want one: %t", name, n, want.links)
		}
	}
	if !found {
		t.Errorf("no span is named %q", name)
	}
	if want.baggage != (bag == cameBag) {
		t.Errorf("the handler has the baggage %q, want that which came: %t", bag, want.baggage)
	}
}

// TestEdge: what becomes of a trace that comes, by the policy, the listener and the sender. A
// stranger's is linked only once its message was verified, and under EdgeRestart nothing of it
// is anywhere.
func TestEdge(t *testing.T) {
	for _, a := range arrangements() {
		for _, edge := range []otelbridge.Edge{otelbridge.EdgeRestart, otelbridge.EdgeLink, otelbridge.EdgeContinue} {
			for sender, want := range map[string]map[otelbridge.Edge]outcome{"home": a.home, "foreign": a.foreign, "refused": a.refused} {
				if want == nil {
					continue
				}
				t.Run(fmt.Sprintf("%s, %v, %s", a.name, edge, sender), func(t *testing.T) {
					d := ecttest.NewDomain()
					binder := newAbroad(t, d)
					show := otelbridge.ShowTasks()
					show.Edge = edge
					s := setup{show: show, binder: binder}
					if a.tasks {
						s.bridge = taskSpans().bridge
					}
					w := newTraced(t, d, "to", s)
					bag := ""
					server := httptest.NewServer(a.serve(w, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						bag = baggage.FromContext(r.Context()).String()
					})))
					defer server.Close()
					req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
					if err != nil {
						t.Fatal(err)
					}
					from := d.Agent(t, "from")
					if sender == "foreign" {
						from = binder.stranger
					}
					token := from.Token(w.Identity)
					if sender == "refused" {
						token.Without("exec_act")
					}
					req.Header.Set(httpect.FieldName, token.Sign(t))
					req.Header.Set("traceparent", "00-"+cameTrace+"-"+cameSpan+"-01")
					req.Header.Set("tracestate", cameState)
					req.Header.Set("baggage", cameBag)
					resp, err := server.Client().Do(req)
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					w.settled(t)
					outcome := want[edge]
					if sender == "refused" {
						outcome.baggage = false // no handler ran
					}
					judgeEdge(t, w.spans.Ended(), a.span(w), outcome, bag)
				})
			}
		}
	}
}

// TestEdgeOverGRPC is TestEdge for gRPC, where otelgrpc is outside always, or is not there.
func TestEdgeOverGRPC(t *testing.T) {
	linkedFromHome := map[otelbridge.Edge]outcome{
		otelbridge.EdgeRestart: linked, otelbridge.EdgeLink: linked, otelbridge.EdgeContinue: goesOn,
	}
	for _, bySender := range []bool{false, true} {
		for edge, want := range whatever {
			for _, sender := range []string{"home", "foreign"} {
				t.Run(fmt.Sprintf("by sender %t, %v, %s", bySender, edge, sender), func(t *testing.T) {
					d := ecttest.NewDomain()
					binder := newAbroad(t, d)
					show := otelbridge.ShowTasks()
					show.Edge = edge
					w := newTraced(t, d, "to", setup{show: show, binder: binder})
					from, want := d.Agent(t, "from"), want
					switch {
					case sender == "foreign":
						from = binder.stranger
					case bySender:
						want = linkedFromHome[edge]
					}
					p := w.bridge.EdgePropagator(w3c)
					if bySender {
						p = w.bridge.SenderPropagator(w3c)
					}
					bag := ""
					client := connect(t, listen(t, &talker{on: func(ctx context.Context) error {
						bag = baggage.FromContext(ctx).String()
						return nil
					}}, append(grpcect.ServerOptions(w.service),
						grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(w.tracers), otelgrpc.WithPropagators(p))))...))
					ctx := metadata.NewOutgoingContext(t.Context(), metadata.Pairs(
						core.CarrierTokens, from.Token(w.Identity).Sign(t), "traceparent", "00-"+cameTrace+"-"+cameSpan+"-01",
						"tracestate", cameState, "baggage", cameBag))
					if _, err := client.UnaryCall(ctx, &grpc_testing.SimpleRequest{}); err != nil {
						t.Fatal(err)
					}
					w.settled(t)
					judgeEdge(t, w.spans.Ended(), "grpc.testing.TestService/UnaryCall", want, bag)
				})
			}
		}
	}
}

// TestArrivalIsOfOneMessage: a trace that came with one message is linked from no other that
// a task below takes, whoever sent it.
func TestArrivalIsOfOneMessage(t *testing.T) {
	d := ecttest.NewDomain()
	show := otelbridge.ShowTasks()
	show.Edge = otelbridge.EdgeLink
	w := newTraced(t, d, "a", setup{show: show})
	p := w.bridge.EdgePropagator(w3c)
	ctx := p.Extract(t.Context(), propagation.MapCarrier{"traceparent": "00-" + cameTrace + "-" + cameSpan + "-01"})
	ctx, first := w.start(ctx, "first")
	ctx, task, err := w.service.StartTask(ctx, "nobody sent it a token")
	if err != nil {
		t.Fatal(err)
	}
	below, second := w.start(ctx, "second")
	below, taken, err := w.take(below, d.Agent(t, "from").Token(w.Identity).Sign(t))
	if err != nil {
		t.Fatal(err)
	}
	done(below, t, taken)
	second.End()
	done(ctx, t, task)
	first.End()
	for _, s := range w.spans.Ended() {
		if len(s.Links()) > 0 {
			t.Errorf("span %q has links to %v", s.Name(), s.Links())
		}
	}
}

// TestInject: what goes out is as the inner propagator makes it, and has nothing of ours.
func TestInject(t *testing.T) {
	d := ecttest.NewDomain()
	w := newTraced(t, d, "a", taskSpans())
	for name, p := range map[string]propagation.TextMapPropagator{"edge": w.bridge.EdgePropagator(w3c), "sender": w.bridge.SenderPropagator(w3c)} {
		ctx, task, err := w.service.StartTask(t.Context(), "job")
		if err != nil {
			t.Fatal(err)
		}
		ours, plain := propagation.MapCarrier{}, propagation.MapCarrier{}
		p.Inject(ctx, ours)
		w3c.Inject(ctx, plain)
		if fmt.Sprint(ours) != fmt.Sprint(plain) || len(ours) != 1 || ours["traceparent"] == "" {
			t.Errorf("%s injects %v, want %v and a traceparent alone", name, ours, plain)
		}
		if fields := slices.Sorted(slices.Values(p.Fields())); !slices.Equal(fields, []string{"baggage", "traceparent", "tracestate"}) {
			t.Errorf("%s has the fields %v", name, p.Fields())
		}
		done(ctx, t, task)
	}
}
