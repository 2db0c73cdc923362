// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package otelbridge_test

import (
	"context"
	"errors"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
)

// TestMetricsAllocateNothing, with the SDK behind the bridge, whatever there is to count: also
// where a span is sampled, which the SDK keeps as an exemplar.
func TestMetricsAllocateNothing(t *testing.T) {
	_, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "request")
	defer span.End()
	// The context alone, without a span that a refusal would be written on.
	sampled := trace.ContextWithSpanContext(t.Context(), span.SpanContext())
	for name, c := range counting(t) {
		for where, ctx := range map[string]context.Context{"no span": t.Context(), "a sampled span": sampled} {
			if got := testing.AllocsPerRun(200, func() { c(ctx) }); got != 0 {
				t.Errorf("%s, %s: %v allocations", name, where, got)
			}
		}
	}
}

// counting has what a bridge can count, by the function that does.
func counting(tb testing.TB) map[string]func(context.Context) {
	tb.Helper()
	m := newMeters()
	b := m.bridge(tb, identity)
	s := told(tb)
	o, refreshed := b.Observer(), b.KeysRefreshed(core.BindingJWKSet)
	failed := errors.New("disk full")
	return map[string]func(context.Context){
		"verified":        func(ctx context.Context) { o.Verified(ctx, s.received, s.info) },
		"rejected":        func(ctx context.Context) { o.Rejected(ctx, s.refused, s.info) },
		"issued":          func(ctx context.Context) { o.Issued(ctx, s.issued) },
		"keys refreshed":  func(ctx context.Context) { refreshed(ctx, nil) },
		"keys not":        func(ctx context.Context) { refreshed(ctx, failed) },
		"ledger recorded": func(ctx context.Context) { b.LedgerRecorded(ctx, time.Millisecond) },
		"ledger failed":   func(ctx context.Context) { b.LedgerFailed(ctx, failed) },
	}
}
