// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package otelbridge_test

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/otelbridge"
)

// TestQuiet: where no span records, what the bridge is told costs no allocation.
func TestQuiet(t *testing.T) {
	d := ecttest.NewDomain()
	b := d.Agent(t, "b")
	w := newTraced(t, d, "a", setup{show: showAll(), to: []core.Audience{{ID: b.Identity, Tokens: true}}})
	w.bridge.SenderPropagator(w3c) // so that it looks for what was remembered
	ctx, task, err := w.take(t.Context(), inFlow(b, w.Identity, flow()).Sign(t))
	if err != nil {
		t.Fatal(err)
	}
	received, _ := task.Received()
	sent, err := core.Inject(ctx, core.MapCarrier{}, b.Identity, core.DispatchInput{})
	if err != nil {
		t.Fatal(err)
	}
	issued := done(ctx, t, task)
	refused := core.NewError(core.CodeExpired, nil)

	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	unsampled, _ := never.Tracer("test").Start(t.Context(), "job")
	remote := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	for name, ctx := range map[string]context.Context{"none": t.Context(), "not sampled": unsampled, "remote": remote} {
		o := w.bridge.Observer()
		got := testing.AllocsPerRun(200, func() {
			for _, r := range []*core.Received{nil, received} {
				in, watch := o.Entered(ctx, r)
				if watch == nil {
					continue
				}
				watch.Issued(in, sent.Issued())
				watch.Sent(in, sent.Issued())
				watch.Answered(in, sent.Issued(), received)
				watch.Issued(in, issued)
				watch.Ended(refused)
			}
			o.Rejected(ctx, refused, core.VerifyInfo{})
			o.Rejected(ctx, refused, core.VerifyInfo{Answer: true})
			o.BodyDiffered(ctx, refused, core.VerifyInfo{})
			o.Altered(ctx, refused, core.VerifyInfo{Answer: true})
			o.Unsent(ctx, issued)
			o.Evidence(ctx, core.Equivocation{})
			if w.bridge.TraceParent(ctx) != "" {
				t.Error("it tells of a span that is not here, or not sampled")
			}
		})
		if got != 0 {
			t.Errorf("%s: %v allocations, want none", name, got)
		}
	}
	if n, _ := w.bridge.Remembered(); n != 0 {
		t.Errorf("%d tokens are remembered", n)
	}
}

// TestClaimedForLong: a span that is used now and then stands for its first token however
// many others begin beside it.
func TestClaimedForLong(t *testing.T) {
	d := ecttest.NewDomain()
	w := newTraced(t, d, "a", setup{show: otelbridge.ShowTasks()})
	ctx, span := w.start(t.Context(), "long")
	var first core.UUID
	o := w.bridge.Observer()
	for n := range 5 {
		on, task, err := w.service.StartTask(ctx, "job")
		if err != nil {
			t.Fatal(err)
		}
		if issued := done(on, t, task); n == 0 {
			first = issued.TaskID()
		}
		for range 36000 { // of the 65536 that are known
			ctx, other := w.start(t.Context(), "other")
			o.Entered(ctx, nil)
			other.End()
		}
		w.spans.Reset()
	}
	span.End()
	s := w.one(t)
	if got := attr(s.Attributes(), otelbridge.AttrTaskID); got != first.String() {
		t.Errorf("the span stands for %s, want its first task %s", got, first)
	}
	if got := len(events(s, otelbridge.EventTask)); got != 4 {
		t.Errorf("%d other tasks are told of, want 4", got)
	}
}
