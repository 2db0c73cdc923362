// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package otelbridge_test

import (
	"context"
	"math"
	"net/http"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/go-ect/ect/otelbridge"
)

// maxAllocations is how many allocations a request that is sampled may have for the bridge,
// with what the SDK makes of what the bridge writes. One without a recording span has none.
const maxAllocations = 15

// dropped is a processor that drops every span once the SDK made a snapshot of it.
type dropped struct{}

func (dropped) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (dropped) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (dropped) Shutdown(context.Context) error                  { return nil }
func (dropped) ForceFlush(context.Context) error                { return nil }

// TestRequestAllocations holds requests with the bridge against the same without. A fraction
// of an allocation belongs to pools that the garbage collector empties, and to tables of
// others that grow.
func TestRequestAllocations(t *testing.T) {
	l := newToll(t)
	measure := func(p trace.TracerProvider, use func(http.Handler) http.Handler) float64 {
		d := newRoad(t, p, l.tokens, use)
		return testing.AllocsPerRun(1, func() {
			for range presented {
				if status := d.request(t.Context()); status != http.StatusOK {
					t.Errorf("status = %d", status)
				}
			}
		}) / presented
	}
	for _, tt := range []struct {
		name    string
		tracers trace.TracerProvider
		records bool
		most    float64
	}{
		{"sampled", sdk(t, sdktrace.WithSpanProcessor(dropped{})), false, maxAllocations},
		{"not sampled", sdk(t, sdktrace.WithSpanProcessor(dropped{}), sdktrace.WithSampler(sdktrace.NeverSample())), false, 0},
		{"no provider", tracenoop.NewTracerProvider(), false, 0},
		{"not sampled, recorded", sdk(t, sdktrace.WithSpanProcessor(dropped{}), sdktrace.WithSampler(sdktrace.NeverSample())), true, 0},
		{"no provider, recorded", tracenoop.NewTracerProvider(), true, 0},
	} {
		floor, got := measure(tt.tracers, l.middleware(t, tt.records)), measure(tt.tracers, l.observed(t, tt.records, otelbridge.ShowTasks()))
		if math.Round(got-floor) > tt.most {
			t.Errorf("%s: %.2f allocations, %.2f beyond the %.2f without the bridge, want at most %v", tt.name, got, got-floor, floor, tt.most)
		}
		t.Logf("%s: %.2f allocations, %.2f without the bridge", tt.name, got, floor)
	}
}
