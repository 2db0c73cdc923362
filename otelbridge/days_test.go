// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"slices"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/otelbridge"
)

// TestUnitForDays: what a unit remembers of its predecessors has a bound, however many calls
// it makes, and each of them is shown once all the same.
func TestUnitForDays(t *testing.T) {
	for _, calls := range []int{otelbridge.MaxLater, otelbridge.MaxLater + 1, 2 * otelbridge.MaxLater, 2*otelbridge.MaxLater + 1, 3*otelbridge.MaxLater + 1} {
		limits := sdktrace.NewSpanLimits()
		limits.EventCountLimit, limits.LinkCountLimit = -1, -1
		d := ecttest.NewDomain()
		b := d.Agent(t, "b")
		var unit core.TaskObserver
		w := newTraced(t, d, "a", setup{
			show: otelbridge.ShowTasks(), to: []core.Audience{{ID: b.Identity, Tokens: true}},
			sdk: []sdktrace.TracerProviderOption{sdktrace.WithRawSpanLimits(limits)},
		})
		o := w.bridge.Observer()
		v, err := core.NewVerifier(d, w.Policy(), core.WithObserver(core.Observer{
			Entered: func(ctx context.Context, r *core.Received) (context.Context, core.TaskObserver) {
				ctx, unit = o.Entered(ctx, r)
				return ctx, unit
			},
		}))
		if err != nil {
			t.Fatal(err)
		}
		if w.service, err = core.NewService(v, w.Issuer(t), w.service.Audiences()); err != nil {
			t.Fatal(err)
		}
		ctx, span := w.start(t.Context(), "job")
		ctx, task, err := w.service.StartTask(ctx, "job")
		if err != nil {
			t.Fatal(err)
		}
		most := 0
		for range calls {
			if _, err := core.Inject(ctx, core.MapCarrier{}, b.Identity, core.DispatchInput{}); err != nil {
				t.Fatal(err)
			}
			most = max(most, otelbridge.Marked(unit))
		}
		done(ctx, t, task)
		span.End()
		if want := min(calls-1, 2*otelbridge.MaxLater); most != want { // the first has none
			t.Errorf("%d calls: the unit remembers up to %d, want %d", calls, most, want)
		}
		shown := events(w.one(t), otelbridge.EventPredecessor)
		if n := len(shown); n != calls {
			t.Errorf("%d calls: %d predecessors are shown", calls, n)
		}
		slices.Sort(shown)
		if n := len(slices.Compact(shown)); n != calls {
			t.Errorf("%d calls: %d of the predecessors shown differ", calls, n)
		}
	}
}
