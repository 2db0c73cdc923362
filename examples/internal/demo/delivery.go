// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// delivery is an exporter that knows what was lost: a batch processor tells nobody when its
// queue is full, and only a global handler when an export fails. It is safe for concurrent
// use.
type delivery struct {
	sdktrace.SpanExporter
	service  string
	log      *slog.Logger
	provider *sdktrace.TracerProvider

	mu sync.Mutex
	// due and delivered are how many spans should have arrived, and did.
	due, delivered int
	// cause is why the first of them did not, nil where none was refused.
	cause error
}

// ExportSpans implements sdktrace.SpanExporter.
func (d *delivery) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := d.SpanExporter.ExportSpans(ctx, spans)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.delivered += len(spans)
		return nil
	}
	d.log.WarnContext(ctx, "spans not delivered", "service", d.service, "spans", len(spans), "cause", err)
	if d.cause == nil {
		d.cause = err
	}
	return nil // it is told here and by close, and nobody else needs to
}

// close delivers what is left, and says what was lost.
func (d *delivery) close(ctx context.Context) error {
	stopped := d.provider.Shutdown(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.delivered == d.due {
		return stopped
	}
	cause := errors.Join(d.cause, stopped)
	if cause == nil {
		cause = errors.New("there were too many at once")
	}
	return fmt.Errorf("%d of %d spans of %s were not delivered: %w", d.due-d.delivered, d.due, d.service, cause)
}

// ended counts the spans that should arrive.
type ended struct{ *delivery }

// OnStart implements sdktrace.SpanProcessor.
func (ended) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (e ended) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.due++
}

// Shutdown implements sdktrace.SpanProcessor.
func (ended) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (ended) ForceFlush(context.Context) error { return nil }
