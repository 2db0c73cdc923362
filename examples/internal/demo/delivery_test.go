// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// slow is an exporter that takes its time.
type slow struct{ takes time.Duration }

func (s slow) ExportSpans(ctx context.Context, _ []sdktrace.ReadOnlySpan) error {
	select {
	case <-time.After(s.takes):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (slow) Shutdown(context.Context) error { return nil }

// TestFlushing waits for a collector that is slow for as long as it says, and no longer.
func TestFlushing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		takes time.Duration
		ok    bool
	}{
		{"in time", flushing - time.Second, true},
		{"at the last moment", flushing - 1, true},
		{"too late", flushing + 1, false},
		{"never", time.Hour, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := &Telemetry{log: slog.New(slog.DiscardHandler)}
				_, span := to.deliver("service", slow{tt.takes}).Tracer("test").Start(t.Context(), "span")
				span.End()
				start := time.Now()
				err := to.Close(t.Context())
				if (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "1 of 1 spans of service were not delivered: ") {
					t.Errorf("Close = %v, want success: %t", err, tt.ok)
				}
				if took := time.Since(start); took > flushing {
					t.Errorf("it took %v, more than %v", took, flushing)
				}
				time.Sleep(time.Hour) // until nothing of it runs any more
			})
		})
	}
}

// TestTooMany ends more spans at once than the queue has room for, while nothing is exported.
func TestTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &Telemetry{log: slog.New(slog.DiscardHandler)}
		tracer := to.deliver("service", slow{time.Second}).Tracer("test")
		const n = 4 * sdktrace.DefaultMaxQueueSize
		for range n {
			_, span := tracer.Start(t.Context(), "span")
			span.End()
		}
		err := to.Close(t.Context())
		if err == nil || !strings.Contains(err.Error(), "of 8192 spans of service were not delivered: there were too many at once") {
			t.Errorf("Close = %v", err)
		}
	})
}
