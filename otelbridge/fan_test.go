// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/otelbridge"
)

// fan takes steps side by side in a task, each in a span of its own, joins them, and returns
// their ids in the order in which they were begun.
func (w *party) fan(ctx context.Context, t *testing.T, task *core.Task, n int) (ids []string) {
	t.Helper()
	fork := task.Fork(ctx)
	for k := range n {
		on, span := w.start(fork.Branch(ctx), fmt.Sprintf("step %d", k))
		i, err := task.Step(on, "step", core.StepInput{})
		if err != nil {
			t.Fatal(err)
		}
		span.End()
		ids = append(ids, i.TaskID().String())
	}
	fork.Join()
	return ids
}

// TestFanIn: a task that comes after many has an event and a link for each, as has the join
// step that stands for them where they are more than 12.
func TestFanIn(t *testing.T) {
	for _, n := range []int{1, 2, 12, 13, 64, 65, 100} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			w := newTraced(t, ecttest.NewDomain(), "a", setup{show: otelbridge.ShowTasks(), sdk: []sdktrace.TracerProviderOption{
				sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{
					AttributeValueLengthLimit: -1, AttributeCountLimit: -1, EventCountLimit: -1, LinkCountLimit: -1,
					AttributePerEventCountLimit: -1, AttributePerLinkCountLimit: -1,
				}),
			}})
			ctx, span := w.start(t.Context(), "job")
			ctx, task, err := w.service.StartTask(ctx, "job")
			if err != nil {
				t.Fatal(err)
			}
			ids := w.fan(ctx, t, task, n)
			issued := done(ctx, t, task)
			span.End()

			s := w.named(t, "job")
			wantCounts(t, s, len(issued.Claims().Pred), 0)
			joins := eventsOf(s, otelbridge.EventStep)
			var joined []string
			for _, e := range joins {
				joined = append(joined, attr(e.Attributes, otelbridge.AttrTaskID))
				if err := has(e.Attributes, map[attribute.Key]string{otelbridge.AttrKind: "join", otelbridge.AttrPredecessorWithheld: "0"}); err != nil {
					t.Errorf("a join: %v", err)
				}
			}
			left := n // as joins take up to 64 and leave one
			for k, e := range joins {
				takes := min(left, core.MaxIssuedPred)
				if got := attr(e.Attributes, otelbridge.AttrPredecessorCount); got != strconv.Itoa(takes) {
					t.Errorf("join %d says that it comes after %s, want %d", k, got, takes)
				}
				left -= takes - 1
			}
			if wide := n > core.MaxFrontier; wide != (len(joins) > 0) || wide && left != 1 {
				t.Errorf("%d join steps leave %d of %d", len(joins), left, n)
			}
			got := events(s, otelbridge.EventPredecessor)
			want := slices.Concat(ids, joined)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%d events of predecessors, want those of %d steps and %d joins", len(got), n, len(joins))
			}
			var places []string
			for _, sp := range w.spans.Ended() {
				if sp.Name() != "job" {
					places = append(places, sp.SpanContext().SpanID().String())
				}
			}
			if got := links(s); !slices.Equal(got, places) { // none to where the joins are: that is here
				t.Errorf("%d links, want %d to the spans of the steps, in their order", len(got), len(places))
			}
		})
	}
}

// TestLimits: whatever the SDK keeps of links and events, and whoever filled it, a span says
// how many predecessors its token has.
func TestLimits(t *testing.T) {
	const heads, steps = 3, 2
	fill := func(span trace.Span) {
		for range 128 {
			span.AddEvent("the user's")
			span.AddLink(trace.Link{SpanContext: span.SpanContext()})
		}
	}
	for _, limit := range []int{0, 1, 4, 128} {
		for _, full := range []struct{ before, after bool }{{}, {before: true}, {after: true}, {true, true}} {
			for _, own := range []bool{false, true} {
				if own && full.before {
					continue // nobody has the span before us
				}
				t.Run(fmt.Sprintf("%d, %+v, own %t", limit, full, own), func(t *testing.T) {
					limits := sdktrace.NewSpanLimits()
					limits.EventCountLimit, limits.LinkCountLimit = limit, limit
					s := setup{show: otelbridge.ShowTasks(), sdk: []sdktrace.TracerProviderOption{sdktrace.WithRawSpanLimits(limits)}}
					name := "job"
					if own {
						s.bridge, name = taskSpans().bridge, otelbridge.SpanName
					}
					d := ecttest.NewDomain()
					w := newTraced(t, d, "a", s)
					from, in := d.Agent(t, "from"), flow()
					var tokens []string
					for range heads {
						tokens = append(tokens, inFlow(from, w.Identity, in).Sign(t))
					}
					ctx := t.Context()
					if !own {
						ctx, _ = w.start(ctx, name)
					}
					if full.before {
						fill(trace.SpanFromContext(ctx))
					}
					ctx, task, err := w.take(ctx, tokens...)
					if err != nil {
						t.Fatal(err)
					}
					span := trace.SpanFromContext(ctx)
					w.fan(ctx, t, task, steps)
					if full.after {
						fill(span)
					}
					issued := done(ctx, t, task)
					span.End()
					if n := len(issued.Claims().Pred); n != heads+steps {
						t.Fatalf("the token has %d predecessors, want %d", n, heads+steps)
					}
					got := w.named(t, name)
					wantCounts(t, got, heads+steps, 0)
					wantAttrs(t, got, map[attribute.Key]string{otelbridge.AttrTaskID: issued.TaskID().String()})
					if len(got.Events()) > limit || len(got.Links()) > limit {
						t.Errorf("%d events and %d links, over the limit of %d", len(got.Events()), len(got.Links()), limit)
					}
					if limit == 128 && full.before && got.DroppedEvents() == 0 {
						t.Error("the user did not fill the span")
					}
				})
			}
		}
	}
}

// TestAttributeLimit: a span that the user filled after the message was accepted still says
// how many predecessors its token has, and how many of them are withheld. One that was full
// before says by the SDK's own count that something is missing, and has the events all the same.
func TestAttributeLimit(t *testing.T) {
	fill := func(span trace.Span) {
		for n := range 128 {
			span.SetAttributes(attribute.Int(fmt.Sprintf("user.%d", n), n))
		}
	}
	for _, c := range []struct {
		name   string
		show   otelbridge.Policy
		before bool
	}{
		{"after, and shown", otelbridge.ShowTasks(), false},
		{"after, and withheld", otelbridge.ShowNothing(), false},
		{"before", otelbridge.ShowTasks(), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := ecttest.NewDomain()
			w := newTraced(t, d, "a", setup{show: c.show})
			from, in := d.Agent(t, "from"), flow()
			ctx, span := w.start(t.Context(), "job")
			if c.before {
				fill(span)
			}
			ctx, task, err := w.take(ctx, inFlow(from, w.Identity, in).Sign(t))
			if err != nil {
				t.Fatal(err)
			}
			fill(span)
			w.fan(ctx, t, task, 2)
			issued := done(ctx, t, task)
			span.End()
			got := w.named(t, "job")
			if got.DroppedAttributes() == 0 {
				t.Fatal("the user did not fill the span")
			}
			count := len(issued.Claims().Pred)
			events := len(events(got, otelbridge.EventPredecessor))
			switch {
			case c.before:
				if n := attr(got.Attributes(), otelbridge.AttrPredecessorCount); n != "" || events != count {
					t.Errorf("a full span has a count of %q and %d events, want none and %d", n, events, count)
				}
			case c.show.Links == otelbridge.LinksNone:
				wantCounts(t, got, count, count)
			default:
				wantCounts(t, got, count, 0)
			}
		})
	}
}
