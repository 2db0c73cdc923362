// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/otelbridge"
)

// heard is what an observer was told: a message that was accepted, one that was refused
// because it came before, and a token that was issued.
type heard struct {
	received *core.Received
	refused  *core.Error
	issued   *core.Issued
	info     core.VerifyInfo
}

func told(tb testing.TB) *heard {
	tb.Helper()
	h := new(heard)
	d := ecttest.NewDomain()
	from, to := d.Agent(tb, "from"), d.Agent(tb, "to")
	s := d.ServiceWithPolicy(tb, to, to.Policy(), nil, core.WithObserver(core.Observer{
		Verified: func(_ context.Context, r *core.Received, info core.VerifyInfo) { h.received, h.info = r, info },
		Rejected: func(_ context.Context, err *core.Error, _ core.VerifyInfo) { h.refused = err },
		Issued:   func(_ context.Context, i *core.Issued) { h.issued = i },
	}))
	p := core.Presented{Values: []string{from.Token(to.Identity).Sign(tb)}, Transport: core.TransportHTTP}
	var first, second core.Entry
	if bad := first.Verify(tb.Context(), s, core.Enforce, p); bad != nil {
		tb.Fatal(bad)
	}
	if bad := second.Verify(tb.Context(), s, core.Enforce, p); bad == nil {
		tb.Fatal("a token is accepted twice")
	}
	ctx, task, err := s.StartTask(tb.Context(), "work")
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := task.Finish(ctx, core.Completion{}); err != nil {
		tb.Fatal(err)
	}
	return h
}

// BenchmarkMetrics gives what a message costs to count. The baselines are what the SDK takes
// for the same counter and histogram, with labels that are ready and with those that are made
// each time; and the reading of the clock that a duration needs.
func BenchmarkMetrics(b *testing.B) {
	h := told(b)
	m := newMeters()
	bridge := m.bridge(b, identity)
	o, ctx := bridge.Observer(), b.Context()
	meter := m.Meter("baseline")
	counter, err := meter.Int64Counter("counter")
	if err != nil {
		b.Fatal(err)
	}
	histogram, err := meter.Float64Histogram("histogram")
	if err != nil {
		b.Fatal(err)
	}
	attrs := []attribute.KeyValue{
		otelbridge.AttrTransport.String("http"), otelbridge.AttrLevel.String("L2"), otelbridge.AttrBinding.String("jwk_set"),
	}
	add := []metric.AddOption{metric.WithAttributes(attrs...)}
	record := []metric.RecordOption{metric.WithAttributes(attrs...)}
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"baseline/clock", func() { h.info.Duration() }},
		{"baseline/ready", func() {
			counter.Add(ctx, 1, add...)
			histogram.Record(ctx, 100e-6, record...)
		}},
		{"baseline/made", func() {
			counter.Add(ctx, 1, metric.WithAttributes(attrs...))
			histogram.Record(ctx, 100e-6, metric.WithAttributes(attrs...))
		}},
		{"verified", func() { o.Verified(ctx, h.received, h.info) }},
		{"rejected", func() { o.Rejected(ctx, h.refused, h.info) }},
		{"issued", func() { o.Issued(ctx, h.issued) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.do()
			}
		})
	}
}
