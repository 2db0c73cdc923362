// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/otelbridge"
)

// TestRing holds a ring against a list, for every size and key of some length.
func TestRing(t *testing.T) {
	for size := 1; size <= 9; size++ {
		r := otelbridge.NewRing(size)
		for k := range 5 * size {
			if !r.Put(k, fmt.Sprint(k)) {
				t.Fatalf("size %d: key %d is not fresh", size, k)
			}
			if keys, places := r.Len(); keys != min(k+1, size) || places > size {
				t.Fatalf("size %d: %d keys in %d places after %d", size, keys, places, k+1)
			}
			for old := range k + 1 {
				v, ok := r.Get(old)
				if kept := old > k-size; ok != kept || ok && v != fmt.Sprint(old) {
					t.Fatalf("size %d: after key %d, key %d is there: %t, %q", size, k, old, ok, v)
				}
			}
		}
	}
}

// TestRingRenews: a key that is put again and again stays, keeps its value, and costs others
// no more than one place in all.
func TestRingRenews(t *testing.T) {
	for size := 2; size <= 9; size++ {
		r := otelbridge.NewRing(size)
		r.Put(-1, "hot")
		for k := range 10 * size {
			r.Put(k, fmt.Sprint(k))
			if v, ok := r.Get(-1); !ok || v != "hot" {
				t.Fatalf("size %d: after %d others the key has %q, %t", size, k+1, v, ok)
			}
			for range 3 {
				if r.Put(-1, "hot") {
					t.Fatalf("size %d: after %d others the key is fresh", size, k+1)
				}
			}
			keys, places := r.Len()
			if keys > size || places > size {
				t.Fatalf("size %d: %d keys in %d places", size, keys, places)
			}
			for old := max(0, k-size+3); old <= k; old++ {
				if _, ok := r.Get(old); !ok {
					t.Fatalf("size %d: after key %d, key %d is gone", size, k, old)
				}
			}
		}
		if r.Put(0, "again"); size > 1 {
			if v, ok := r.Get(0); !ok || v != "again" {
				t.Errorf("size %d: a key that comes back has %q, %t", size, v, ok)
			}
		}
	}
}

// TestRingConcurrentSafe: goroutines at once neither race nor break the bound.
func TestRingConcurrentSafe(t *testing.T) {
	r := otelbridge.NewRing(64)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for k := range 2000 {
				r.Put(k%97+g, "v")
				r.Get(k % 97)
			}
		})
	}
	wg.Wait()
	if keys, places := r.Len(); keys > 64 || places > 64 {
		t.Errorf("%d keys in %d places", keys, places)
	}
}

// TestIndexSize: New takes sizes within its limits alone.
func TestIndexSize(t *testing.T) {
	for n, ok := range map[int]bool{
		-1: false, 0: false, otelbridge.MinIndexSize - 1: false, otelbridge.MinIndexSize: true, otelbridge.MinIndexSize + 1: true,
		otelbridge.MaxIndexSize - 1: true, otelbridge.MaxIndexSize: true, otelbridge.MaxIndexSize + 1: false,
	} {
		_, err := otelbridge.New(identity, otelbridge.ShowTasks(), otelbridge.WithIndexSize(n))
		if (err == nil) != ok {
			t.Errorf("WithIndexSize(%d): %v", n, err)
		}
		if err != nil && !strings.Contains(err.Error(), "WithIndexSize") {
			t.Errorf("the error %q does not name the option", err)
		}
	}
}

// TestForgotten: the oldest tokens are forgotten, and what comes after them counts them as
// withheld.
func TestForgotten(t *testing.T) {
	const size = otelbridge.MinIndexSize
	// The task token itself is remembered before its predecessors are looked up.
	for between, withheld := range map[int]int{size - 2: 0, size - 1: 1, size: 1} {
		w := newTraced(t, ecttest.NewDomain(), "a", setup{
			show: otelbridge.ShowTasks(), bridge: []otelbridge.Option{otelbridge.WithIndexSize(size)},
		})
		_, first, err := w.service.StartTask(t.Context(), "first")
		if err != nil {
			t.Fatal(err)
		}
		on, span := w.start(t.Context(), "old")
		if _, err := first.Step(on, "old", core.StepInput{}); err != nil {
			t.Fatal(err)
		}
		span.End()
		_, other, err := w.service.StartTask(t.Context(), "other")
		if err != nil {
			t.Fatal(err)
		}
		on, span = w.start(t.Context(), "others")
		for range between {
			if _, err := other.Step(on, "other", core.StepInput{}); err != nil {
				t.Fatal(err)
			}
		}
		span.End()
		if n, _ := w.bridge.Remembered(); n != min(between+1, size) {
			t.Errorf("%d tokens are remembered of %d", n, between+1)
		}
		on, span = w.start(t.Context(), "end")
		done(on, t, first)
		span.End()
		wantCounts(t, w.named(t, "end"), 1, withheld)
	}
}

// TestOneIDTwoIssuers: two tokens of one task id are told apart by their digests, whoever
// came first.
func TestOneIDTwoIssuers(t *testing.T) {
	d := ecttest.NewDomain()
	show := showAll()
	w := newTraced(t, d, "a", setup{show: show})
	jti, in := id.NewUUID().String(), flow()
	traces := []string{"0af7651916cd43dd8448eb211c80319c", "1bf7651916cd43dd8448eb211c80319c"}
	for n, name := range []string{"one", "two"} {
		ctx, span := w.start(t.Context(), name)
		token := inFlow(d.Agent(t, name), w.Identity, in).With("jti", jti).
			With("ect_ext", map[string]any{"trace": "00-" + traces[n] + "-b7ad6b7169203331-01"})
		ctx, task, err := w.take(ctx, token.Sign(t))
		if err != nil {
			t.Fatal(err)
		}
		where, ok := w.bridge.Where(task.Heads()[0])
		if !ok || where.TraceID().String() != traces[n] {
			t.Errorf("%s: it was in %v", name, where.TraceID())
		}
		done(ctx, t, task)
		span.End()
		s := w.named(t, name)
		if len(s.Links()) != 1 || s.Links()[0].SpanContext.TraceID().String() != traces[n] {
			t.Errorf("%s has links to %v", name, s.Links())
		}
		if e := eventsOf(s, otelbridge.EventPredecessor); len(e) != 1 || attr(e[0].Attributes, otelbridge.AttrIssuer) != d.Agent(t, name).Identity {
			t.Errorf("%s has the predecessors %v", name, e)
		}
	}
}

// TestUnsampled: of a trace that is not sampled nothing is written, and nothing of it is
// remembered as a place that links could lead to.
func TestUnsampled(t *testing.T) {
	for _, c := range []struct {
		name    string
		sampler sdktrace.Sampler
		own     bool
	}{
		{"never", sdktrace.NeverSample(), false},
		{"never, own spans", sdktrace.NeverSample(), true},
		{"by the parent", sdktrace.ParentBased(sdktrace.AlwaysSample()), false},
		{"by the parent, own spans", sdktrace.ParentBased(sdktrace.AlwaysSample()), true},
		{"recorded and not sampled", recordOnly{}, false},
		{"recorded and not sampled, own spans", recordOnly{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := ecttest.NewDomain()
			b := d.Agent(t, "b")
			s := setup{show: showAll(), sdk: []sdktrace.TracerProviderOption{sdktrace.WithSampler(c.sampler)}}
			s.to = []core.Audience{{ID: b.Identity, Tokens: true, Trace: core.TraceParent}}
			if c.own {
				s.bridge = taskSpans().bridge
			}
			w := newTraced(t, d, "a", s)
			// The parent, where one decides, is remote and not sampled.
			ctx := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, Remote: true,
			}))
			if !c.own {
				ctx, _ = w.start(ctx, "job")
			}
			ctx, task, err := w.take(ctx, inFlow(b, w.Identity, flow()).Sign(t))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := task.Step(ctx, "step", core.StepInput{}); err != nil {
				t.Fatal(err)
			}
			message := core.MapCarrier{}
			if _, err := core.Inject(ctx, message, b.Identity, core.DispatchInput{}); err != nil {
				t.Fatal(err)
			}
			if u, err := core.ParseWithoutVerification(message[core.CarrierTokens][0]); err != nil || u.ClaimsWithoutVerification().Ext.Trace != "" {
				t.Errorf("a token says that it was issued in a span that is not sampled, %v", err)
			}
			if _, _, err := w.take(ctx, b.Token("spiffe://elsewhere").Sign(t)); err == nil {
				t.Error("a token to somebody else is accepted")
			}
			done(ctx, t, task)
			w.end(ctx)
			if _, places := w.bridge.Remembered(); len(places) > 0 {
				t.Errorf("it remembers %v", places)
			}
			_, records := c.sampler.(recordOnly)
			if got := len(w.spans.Ended()) > 0; got != records {
				t.Errorf("%d spans ended", len(w.spans.Ended()))
			}
		})
	}
}

// recordOnly records and does not sample.
type recordOnly struct{}

func (recordOnly) ShouldSample(sdktrace.SamplingParameters) sdktrace.SamplingResult {
	return sdktrace.SamplingResult{Decision: sdktrace.RecordOnly}
}

func (recordOnly) Description() string { return "records only" }

// TestNoop: under a provider that does nothing, all works and nothing is remembered.
func TestNoop(t *testing.T) {
	d := ecttest.NewDomain()
	a := d.Agent(t, "a")
	b, err := otelbridge.New(a.Identity, showAll(), otelbridge.WithTracerProvider(noop.NewTracerProvider()), otelbridge.WithTaskSpans())
	if err != nil {
		t.Fatal(err)
	}
	s := d.ServiceWithPolicy(t, a, a.Policy(), nil, core.WithObserver(b.Observer()))
	ctx, task, err := s.StartTask(t.Context(), "job")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := task.Step(ctx, "step", core.StepInput{}); err != nil {
		t.Fatal(err)
	}
	done(ctx, t, task)
	if n, _ := b.Remembered(); n != 0 {
		t.Errorf("%d tokens are remembered", n)
	}
	_, task, err = core.Extract(t.Context(), s, core.MapCarrier{core.CarrierTokens: {d.Agent(t, "from").Token(a.Identity).Sign(t)}}, core.ExtractInput{Action: "take"})
	if err != nil {
		t.Fatal(err)
	}
	received, _ := task.Received()
	for _, r := range []*core.Received{nil, received} {
		if _, watch := b.Observer().Entered(t.Context(), r); watch != nil {
			t.Error("a unit of work is watched whose span does nothing")
		}
	}
}

// TestConcurrentSafe: many goroutines dispatch in one task, in spans of their own and in the
// task's; no id is lost.
func TestConcurrentSafe(t *testing.T) {
	const workers, each = 8, 10
	d := ecttest.NewDomain()
	b := d.Agent(t, "b")
	w := newTraced(t, d, "a", setup{
		show: otelbridge.ShowTasks(), to: []core.Audience{{ID: b.Identity, Tokens: true}},
		sdk: []sdktrace.TracerProviderOption{sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{
			AttributeValueLengthLimit: -1, AttributeCountLimit: -1, EventCountLimit: -1, LinkCountLimit: -1,
			AttributePerEventCountLimit: -1, AttributePerLinkCountLimit: -1,
		})},
	})
	ctx, span := w.start(t.Context(), "job")
	ctx, task, err := w.service.StartTask(ctx, "job")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var want []string
	var wg sync.WaitGroup
	fork := task.Fork(ctx)
	for g := range workers {
		on := fork.Branch(ctx)
		wg.Go(func() {
			for n := range each {
				ctx := on
				if (g+n)%2 == 0 {
					var call trace.Span
					ctx, call = w.start(ctx, "call")
					defer call.End()
				}
				sent, err := core.Inject(ctx, core.MapCarrier{}, b.Identity, core.DispatchInput{})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				want = append(want, sent.Issued().TaskID().String())
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	fork.Join()
	done(ctx, t, task)
	span.End()
	got := w.dispatches()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d dispatches are told of, want %d", len(got), len(want))
	}
}
