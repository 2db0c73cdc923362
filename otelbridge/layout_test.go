// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/otelbridge"
)

// TestHTTPOutside: without a span outside, the middleware writes nothing unless it was asked to
// begin one, and then otelhttp's own is below it.
func TestHTTPOutside(t *testing.T) {
	for _, own := range []bool{false, true} {
		d := ecttest.NewDomain()
		from := d.Agent(t, "from")
		s := setup{show: otelbridge.ShowTasks()}
		if own {
			s = taskSpans()
		}
		w := newTraced(t, d, "to", s)
		server := httptest.NewServer(httpect.Middleware(w.service)(otel(w, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			task, _ := core.TaskFromContext(r.Context())
			if _, err := task.Step(r.Context(), "step", core.StepInput{}); err != nil {
				t.Error(err)
			}
		}), w.bridge.SenderPropagator(w3c))))
		defer server.Close()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		token := inFlow(from, w.Identity, flow()).Sign(t)
		req.Header.Set(httpect.FieldName, token)
		req.Header.Set("traceparent", "00-"+cameTrace+"-"+cameSpan+"-01")
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		w.settled(t)
		inner := w.named(t, "serve")
		wantAttrs(t, inner, map[attribute.Key]string{otelbridge.AttrKind: "step", otelbridge.AttrResult: ""})
		if !own {
			if w.one(t) != inner {
				t.Error("a span that nobody asked for")
			}
			continue
		}
		outer := w.named(t, otelbridge.SpanName)
		wantAttrs(t, outer, map[attribute.Key]string{otelbridge.AttrKind: "task", otelbridge.AttrResult: otelbridge.ResultAccepted})
		wantCounts(t, outer, 2, 0) // the head and the step
		if inner.Parent().SpanID() != outer.SpanContext().SpanID() || outer.SpanKind() != trace.SpanKindServer {
			t.Error("otelhttp's span is not below one for a server")
		}
		if got, want := events(outer, otelbridge.EventPredecessor), []string{idOf(t, token), attr(inner.Attributes(), otelbridge.AttrTaskID)}; !slices.Equal(got, want) {
			t.Errorf("the predecessors are %q, want %q", got, want)
		}
	}
}

// TestNoInstrumentation: where nothing begins a span, nothing is written, and all works.
func TestNoInstrumentation(t *testing.T) {
	d := ecttest.NewDomain()
	a, b := d.Agent(t, "a"), d.Agent(t, "b")
	w := newTraced(t, d, "b", setup{show: showAll(), to: []core.Audience{{ID: a.Identity, Tokens: true}}})
	server := httptest.NewServer(httpect.Middleware(w.service)(http.NotFoundHandler()))
	defer server.Close()
	c := newTraced(t, d, "a", setup{show: showAll(), to: []core.Audience{
		{ID: b.Identity, Tokens: true, Endpoints: []string{server.URL}, Answer: core.AnswerRequired},
	}})
	transport, err := httpect.NewTransport(c.service, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, task, err := c.service.StartTask(t.Context(), "job")
	if err != nil {
		t.Fatal(err)
	}
	if status, err := get(ctx, t, &http.Client{Transport: transport}, server.URL); err != nil || status != http.StatusNotFound {
		t.Fatalf("status = %d, %v", status, err)
	}
	if issued := done(ctx, t, task); len(issued.Claims().Pred) != 1 {
		t.Errorf("the task comes after %d, want the answer", len(issued.Claims().Pred))
	}
	for _, w := range []*party{w, c} {
		if n, _ := w.balance.counts(); n != 0 {
			t.Errorf("%s began %d spans", w.Identity, n)
		}
	}
}

// dispatches returns the ids of the dispatches that the party's spans tell of, as what they
// stand for or in an event.
func (w *party) dispatches() (ids []string) {
	for _, s := range w.spans.Ended() {
		if attr(s.Attributes(), otelbridge.AttrKind) == "dispatch" {
			ids = append(ids, attr(s.Attributes(), otelbridge.AttrTaskID))
		}
	}
	return append(ids, w.eventIDs(otelbridge.EventDispatch)...)
}

// eventIDs returns the task ids of the events of a name, on all spans.
func (w *party) eventIDs(name string) (ids []string) {
	for _, s := range w.spans.Ended() {
		ids = append(ids, events(s, name)...)
	}
	return ids
}

// TestTransports: over HTTP a call's span stands for the dispatch where otelhttp is outside of
// the transport. Where it is inside the dispatch is an event of the caller's.
func TestTransports(t *testing.T) {
	for _, inside := range []bool{false, true} {
		d := ecttest.NewDomain()
		a, b := d.Agent(t, "a"), d.Agent(t, "b")
		w := newTraced(t, d, "b", setup{show: otelbridge.ShowTasks(), to: []core.Audience{{ID: a.Identity, Tokens: true}}})
		server := httptest.NewServer(httpect.Middleware(w.service)(http.NotFoundHandler()))
		defer server.Close()
		c := newTraced(t, d, "a", setup{show: otelbridge.ShowTasks(), to: []core.Audience{
			{ID: b.Identity, Tokens: true, Endpoints: []string{server.URL}, Answer: core.AnswerRequired},
		}})
		traced := func(base http.RoundTripper) http.RoundTripper {
			return otelhttp.NewTransport(base, otelhttp.WithTracerProvider(c.tracers), otelhttp.WithPropagators(w3c))
		}
		var base http.RoundTripper
		if inside {
			base = traced(http.DefaultTransport)
		}
		transport, err := httpect.NewTransport(c.service, base)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: transport}
		if !inside {
			client.Transport = traced(transport)
		}
		ctx, span := c.start(t.Context(), "job")
		ctx, task, err := c.service.StartTask(ctx, "job")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := get(ctx, t, client, server.URL); err != nil {
			t.Fatal(err)
		}
		done(ctx, t, task)
		span.End()
		call, job := c.named(t, "HTTP GET"), c.named(t, "job")
		if stands := attr(call.Attributes(), otelbridge.AttrKind) == "dispatch"; stands == inside {
			t.Errorf("inside %t: the call's span stands for the dispatch: %t", inside, stands)
		}
		for span, is := range map[sdktrace.ReadOnlySpan]bool{call: !inside, job: inside} {
			if n := len(events(span, otelbridge.EventAnswer)); (n == 1) != is {
				t.Errorf("inside %t: %d answers on %q", inside, n, span.Name())
			}
		}
		if n := len(c.dispatches()); n != 1 {
			t.Errorf("inside %t: %d dispatches are told of", inside, n)
		}
	}
}
