// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/otelbridge"
)

// onForeign holds the one span of the instrumentation's own against the ending: it has the last
// thing that became of the request.
func (e ending) onForeign(t *testing.T, w *party) {
	t.Helper()
	w.settled(t)
	s := w.one(t)
	want := [2]string{}
	for _, r := range e.spans {
		if r[0] != "" {
			want = r
		}
	}
	wantAttrs(t, s, map[attribute.Key]string{otelbridge.AttrResult: want[0], otelbridge.AttrErrorType: want[1]})
	if failed := want[1] != ""; failed && s.Status().Code != codes.Error {
		t.Errorf("the status is %v", s.Status())
	}
	if id := attr(s.Attributes(), otelbridge.AttrTaskID); e.task && id == "" {
		t.Error("the span has no task id")
	}
	if n := len(eventsOf(s, otelbridge.EventUnsent)); e.small != (n == 1) {
		t.Errorf("%d events of tokens that were not sent", n)
	}
}

// TestEndingsInOtelhttp: otelhttp's span has what the bridge says, however a request ends and
// whatever otelhttp says itself at the end.
func TestEndingsInOtelhttp(t *testing.T) {
	for _, e := range endings() {
		t.Run(e.name, func(t *testing.T) {
			e.onForeign(t, e.overHTTP(t, func(w *party, h http.Handler) http.Handler { return otel(w, h, w3c) }))
		})
	}
}

// TestEndingsInOtelgrpc is TestEndingsInOtelhttp for gRPC.
func TestEndingsInOtelgrpc(t *testing.T) {
	for _, e := range endings() {
		t.Run(e.name, func(t *testing.T) {
			e.onForeign(t, e.overGRPC(t, false, func(w *party) []grpc.ServerOption {
				return []grpc.ServerOption{grpc.StatsHandler(
					otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(w.tracers), otelgrpc.WithPropagators(w3c)))}
			}))
		})
	}
}

// TestEquivocation: two tokens of one issuer and id are an event, on the span that the second
// came on, and which they are is not said.
func TestEquivocation(t *testing.T) {
	d := ecttest.NewDomain()
	from := d.Agent(t, "from")
	w := newTraced(t, d, "a", setup{show: showAll()})
	first := from.Token(w.Identity)
	ctx, span := w.start(t.Context(), "first")
	ctx, task, err := w.take(ctx, first.Sign(t))
	if err != nil {
		t.Fatal(err)
	}
	done(ctx, t, task)
	span.End()
	ctx, span = w.start(t.Context(), "second")
	if _, _, err := w.take(ctx, first.With("exec_act", "something else").Sign(t)); core.CodeOf(err) != core.CodeEquivocation {
		t.Fatalf("err = %v", err)
	}
	span.End()
	s := w.named(t, "second")
	if e := eventsOf(s, otelbridge.EventEquivocation); len(e) != 1 || len(e[0].Attributes) != 0 {
		t.Errorf("the events are %v", s.Events())
	}
	judgedBy(t, s, core.CodeEquivocation, false, []string{first.Sign(t)})
}

// TestTwoObservers: two bridges on one service, or bridges of two services, lose nothing of
// each other in one span, and what the first began ends last.
func TestTwoObservers(t *testing.T) {
	for _, own := range []bool{false, true} {
		d := ecttest.NewDomain()
		a := d.Agent(t, "a")
		spans, counted := tracetest.NewSpanRecorder(), &balance{}
		tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSpanProcessor(counted))
		var opts []core.VerifierOption
		for _, show := range []otelbridge.Policy{otelbridge.ShowNothing(), otelbridge.ShowTasks()} {
			with := []otelbridge.Option{otelbridge.WithTracerProvider(tracers)}
			if own {
				with = append(with, otelbridge.WithTaskSpans())
			}
			b, err := otelbridge.New(a.Identity, show, with...)
			if err != nil {
				t.Fatal(err)
			}
			opts = append(opts, core.WithObserver(b.Observer()))
		}
		s := d.ServiceWithPolicy(t, a, a.Policy(), nil, opts...)
		ctx := t.Context()
		if !own {
			ctx, _ = tracers.Tracer("test").Start(ctx, "job")
		}
		ctx, task, err := core.Extract(ctx, s, core.MapCarrier{core.CarrierTokens: {inFlow(d.Agent(t, "from"), a.Identity, flow()).Sign(t)}}, core.ExtractInput{Action: "take"})
		if err != nil {
			t.Fatal(err)
		}
		issued := done(ctx, t, task)
		trace.SpanFromContext(ctx).End()
		if began, open := counted.counts(); began != 1 || len(open) > 0 {
			t.Errorf("own %t: %d spans began, and %q are open", own, began, open)
		}
		got := spans.Ended()[0]
		wantAttrs(t, got, map[attribute.Key]string{
			otelbridge.AttrResult: otelbridge.ResultAccepted, otelbridge.AttrKind: "task", otelbridge.AttrTaskID: "",
		})
		wantCounts(t, got, 1, 1) // as the first, which shows nothing, has it
		if ids := events(got, otelbridge.EventTask); len(ids) != 1 || ids[0] != issued.TaskID().String() {
			t.Errorf("own %t: the second bridge tells of %q, want %v", own, ids, issued.TaskID())
		}
	}
}

// TestNothingOfOurs: nothing of a task gets into baggage or the trace state, of the context
// that a handler has or of what goes out.
func TestNothingOfOurs(t *testing.T) {
	d := ecttest.NewDomain()
	a, b := d.Agent(t, "a"), d.Agent(t, "b")
	var gone http.Header
	peer := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { gone = r.Header.Clone() }))
	defer peer.Close()
	s := setup{show: showAll(), to: []core.Audience{{
		ID: b.Identity, Tokens: true, Endpoints: []string{peer.URL}, Answer: core.AnswerOptional, Trace: core.TraceParent | core.TraceState | core.Baggage,
	}}}
	w := newTraced(t, d, "a", s)
	w.dial(t, d)
	server := httptest.NewServer(otel(w, httpect.Middleware(w.service)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if n := baggage.FromContext(r.Context()).Len(); n > 0 {
			t.Errorf("%d members are in the baggage", n)
		}
		if n := trace.SpanContextFromContext(r.Context()).TraceState().Len(); n > 0 {
			t.Errorf("%d members are in the trace state", n)
		}
		if _, err := get(r.Context(), t, w.client, peer.URL); err != nil {
			t.Error(err)
		}
	})), w3c))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(httpect.FieldName, inFlow(b, a.Identity, flow()).Sign(t))
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if gone.Get("traceparent") == "" || gone.Get("tracestate") != "" || gone.Get("baggage") != "" {
		t.Errorf("what went out is %v, want a traceparent alone", gone)
	}
}
