// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/otelbridge"
)

// TestTaskSpanKinds: what the bridge begins for a message is a server's span, or a consumer's
// where no adapter brought it; for work that no message started it is neither.
func TestTaskSpanKinds(t *testing.T) {
	d := ecttest.NewDomain()
	w := newTraced(t, d, "a", taskSpans())
	ctx, task, err := w.service.StartTask(t.Context(), "job")
	if err != nil {
		t.Fatal(err)
	}
	done(ctx, t, task)
	ctx, task, err = w.take(t.Context(), d.Agent(t, "from").Token(w.Identity).Sign(t))
	if err != nil {
		t.Fatal(err)
	}
	done(ctx, t, task)
	var got []trace.SpanKind
	for _, s := range w.spans.Ended() {
		got = append(got, s.SpanKind())
	}
	if want := []trace.SpanKind{trace.SpanKindInternal, trace.SpanKindConsumer}; !slices.Equal(got, want) {
		t.Errorf("the spans are of the kinds %v, want %v", got, want)
	}
}

// TestQueue: what is taken from a queue leads back to the span that put it there, where tokens
// may say which that was, and has the same ids where not.
func TestQueue(t *testing.T) {
	for _, carry := range []bool{false, true} {
		d := ecttest.NewDomain()
		b := d.Agent(t, "b")
		show := otelbridge.ShowTasks()
		show.CarryTrace = carry
		from := newTraced(t, d, "a", setup{show: show, to: []core.Audience{{ID: b.Identity, Tokens: true, Trace: core.TraceParent}}})
		asked := &sampler{decide: sdktrace.AlwaysSample()}
		s := taskSpans()
		s.show, s.sdk = show, []sdktrace.TracerProviderOption{sdktrace.WithSampler(asked)}
		to := newTraced(t, d, "b", s)

		ctx, put := from.start(t.Context(), "put", trace.WithSpanKind(trace.SpanKindProducer))
		ctx, task, err := from.service.StartTask(ctx, "put")
		if err != nil {
			t.Fatal(err)
		}
		message := core.MapCarrier{}
		if _, err := core.Inject(ctx, message, b.Identity, core.DispatchInput{}); err != nil {
			t.Fatal(err)
		}
		done(ctx, t, task)
		put.End()
		dispatched := from.eventIDs(otelbridge.EventDispatch)
		if len(dispatched) != 1 {
			t.Fatalf("the dispatches are %q, want one", dispatched)
		}

		// Once in a span of the consumer's, and once where there is none.
		for _, own := range []bool{false, true} {
			ctx, name := t.Context(), "get"
			if own {
				name = otelbridge.SpanName
				if _, err := core.Inject(renewed(t, from), message, b.Identity, core.DispatchInput{}); err != nil {
					t.Fatal(err)
				}
			} else {
				ctx, _ = to.start(ctx, name)
			}
			ctx, task, err := core.Extract(ctx, to.service, message, core.ExtractInput{Action: "get"})
			if err != nil {
				t.Fatal(err)
			}
			done(ctx, t, task)
			to.end(ctx)
			got := to.named(t, name)
			wantCounts(t, got, 1, 0)
			if ids := events(got, otelbridge.EventPredecessor); !slices.Equal(ids, []string{idOf(t, message[core.CarrierTokens][0])}) {
				t.Errorf("the predecessors are %q", ids)
			}
			if linked := len(got.Links()) == 1; linked != carry {
				t.Errorf("own %t: %d links, want one where tokens carry the trace: %t", own, len(got.Links()), carry)
			}
			if carry && !own && got.Links()[0].SpanContext.SpanID() != put.SpanContext().SpanID() {
				t.Error("the link does not lead to the producer")
			}
			for _, p := range asked.of(name) {
				if early := len(p.Links) == 1; early != (own && carry) {
					t.Errorf("own %t: the sampler sees %d links", own, len(p.Links))
				}
			}
		}
	}
}

// TestLoop: a message that comes back to the process it was sent from leads to the span that
// it was sent in, also where its sender is in a trace of somebody with a state of their own.
func TestLoop(t *testing.T) {
	d := ecttest.NewDomain()
	a := d.Agent(t, "a")
	w := newTraced(t, d, "a", setup{show: otelbridge.ShowTasks(), to: []core.Audience{{ID: a.Identity, Tokens: true}}})
	ctx := w3c.Extract(t.Context(), propagation.MapCarrier{
		"traceparent": "00-" + cameTrace + "-" + cameSpan + "-01", "tracestate": cameState,
	})
	ctx, put := w.start(ctx, "put")
	ctx, task, err := w.service.StartTask(ctx, "put")
	if err != nil {
		t.Fatal(err)
	}
	message := core.MapCarrier{}
	if _, err := core.Inject(ctx, message, a.Identity, core.DispatchInput{}); err != nil {
		t.Fatal(err)
	}
	if put.SpanContext().TraceState().Len() == 0 {
		t.Fatal("the span has no state")
	}
	for _, name := range []string{"get", "put"} { // in another span, and in the same
		on := ctx
		if name == "get" {
			on, _ = w.start(t.Context(), name)
		} else if _, err := core.Inject(ctx, message, a.Identity, core.DispatchInput{}); err != nil {
			t.Fatal(err)
		}
		on, got, err := core.Extract(on, w.service, message, core.ExtractInput{Action: "get"})
		if err != nil {
			t.Fatal(err)
		}
		done(on, t, got)
		if name == "put" {
			done(ctx, t, task)
		}
		w.end(on)
		s := w.named(t, name)
		if name == "put" {
			if len(s.Links()) > 0 {
				t.Errorf("a span has links to itself: %v", s.Links())
			}
			continue
		}
		if len(s.Links()) != 1 || s.Links()[0].SpanContext.SpanID() != put.SpanContext().SpanID() {
			t.Fatalf("the links are %v, want one to the sender", s.Links())
		}
		if l := s.Links()[0]; l.SpanContext.TraceState().Len() > 0 || len(l.Attributes) > 0 {
			t.Errorf("the link has the state %q and the attributes %v", l.SpanContext.TraceState(), l.Attributes)
		}
	}
}

// TestGuestUnrecorded: a task that cannot be recorded fails no span that stands for another.
func TestGuestUnrecorded(t *testing.T) {
	d := ecttest.NewDomain()
	signer := newBrokenSigner(t, d.Agent(t, "a"), false)
	w := newTraced(t, d, "a", setup{show: otelbridge.ShowTasks(), signer: signer})
	ctx, span := w.start(t.Context(), "job")
	on, first, err := w.service.StartTask(ctx, "first")
	if err != nil {
		t.Fatal(err)
	}
	recorded := done(on, t, first)
	on, second, err := w.service.StartTask(ctx, "second")
	if err != nil {
		t.Fatal(err)
	}
	signer.fail()
	if _, err := second.Finish(on, core.Completion{}); err == nil {
		t.Error("the second task is recorded")
	}
	span.End()
	s := w.one(t)
	wantAttrs(t, s, map[attribute.Key]string{
		otelbridge.AttrTaskID: recorded.TaskID().String(), otelbridge.AttrResult: "", otelbridge.AttrErrorType: "",
	})
	if e := eventsOf(s, otelbridge.EventTask); len(e) != 1 || attr(e[0].Attributes, otelbridge.AttrResult) != core.CodeUnrecorded.String() {
		t.Errorf("the events are %v", s.Events())
	}
}

// renewed returns a context with a task, and a span that is sampled.
func renewed(t *testing.T, w *party) context.Context {
	t.Helper()
	ctx, _ := w.start(t.Context(), "put again")
	ctx, _, err := w.service.StartTask(ctx, "put again")
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

// TestStartTask: a root task is on the span that it began in, or on that in which it ends.
func TestStartTask(t *testing.T) {
	d := ecttest.NewDomain()
	w := newTraced(t, d, "a", setup{show: otelbridge.ShowTasks()})
	root := func(ctx context.Context) (context.Context, *core.Task) {
		ctx, task, err := w.service.StartTask(ctx, "job")
		if err != nil {
			t.Fatal(err)
		}
		return ctx, task
	}
	// Without a span.
	ctx, task := root(t.Context())
	if done(ctx, t, task); len(w.spans.Ended()) != 0 {
		t.Error("a span that nobody asked for")
	}
	for _, c := range []struct {
		name string
		run  func(name string) *core.Issued
	}{
		{"begun after it", func(name string) *core.Issued {
			ctx, task := root(t.Context())
			ctx, span := w.start(ctx, name)
			defer span.End()
			return done(ctx, t, task)
		}},
		{"a client's", func(name string) *core.Issued {
			ctx, span := w.start(t.Context(), name, trace.WithSpanKind(trace.SpanKindClient))
			defer span.End()
			ctx, task := root(ctx)
			return done(ctx, t, task)
		}},
		{"a second, as the first is over", func(name string) *core.Issued {
			ctx, span := w.start(t.Context(), "over")
			ctx, task := root(ctx)
			span.End()
			ctx, span = w.start(ctx, name)
			defer span.End()
			return done(ctx, t, task)
		}},
		{"with one below", func(name string) *core.Issued {
			ctx, span := w.start(t.Context(), name)
			defer span.End()
			ctx, task := root(ctx)
			below, span := w.start(ctx, "below")
			defer span.End()
			return done(below, t, task)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			issued := c.run(c.name)
			s := w.named(t, c.name)
			wantAttrs(t, s, map[attribute.Key]string{
				otelbridge.AttrTaskID: issued.TaskID().String(), otelbridge.AttrKind: "task", otelbridge.AttrOutcome: "ok", otelbridge.AttrResult: "",
			})
			wantCounts(t, s, 0, 0)
		})
	}
}
