// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
)

// refuse says on a span what it failed for.
func refuse(span trace.Span, c core.Code) {
	span.SetAttributes(AttrResult.String(c.String()), AttrErrorType.String(c.String()))
	span.SetStatus(codes.Error, c.Class().Sentence())
}

// rejected is [core.Observer.Rejected], and its like.
func (b *Bridge) rejected(ctx context.Context, err *core.Error, info core.VerifyInfo) {
	if b.meter != nil {
		b.meter.rejected(ctx, err, info)
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		if info.Answer || b.tracer == nil || isDropped(span.SpanContext()) {
			return
		}
		_, span = b.tracer.Start(ctx, SpanName, trace.WithSpanKind(kindOf(info.Transport)))
		defer span.End()
	}
	result := AttrResult.String(err.Code.String())
	switch {
	case info.Observed:
		span.SetAttributes(result)
	case goesOn(span.SpanContext(), info):
		span.AddEvent(EventRefused, trace.WithAttributes(result))
	default:
		refuse(span, err.Code)
	}
}

// goesOn tells whether what a span is of goes on after a message was refused: a caller whose
// call has a span of its own or none, and a task that took the message from a queue.
func goesOn(span trace.SpanContext, info core.VerifyInfo) bool {
	if info.Answer {
		return !claimedSpans.isCall(span)
	}
	return info.Transport == core.TransportOther && claimedSpans.has(span)
}

// unsent is [core.Observer.Unsent].
func (b *Bridge) unsent(ctx context.Context, i *core.Issued) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		// The span that the bridge began for the task is over by now.
		if sc := span.SpanContext(); b.tracer == nil || !sc.IsSampled() || sc.IsRemote() {
			return
		}
		_, span = b.tracer.Start(ctx, SpanName)
		defer span.End()
	}
	t := Token{TaskID: i.TaskID(), Workflow: i.Workflow(), IssuedAt: i.IssuedAt()}
	span.AddEvent(EventUnsent, trace.WithAttributes(b.describe(nil, t, i.Action(), i.Issuer())...))
}

// evidence is [core.Observer.Evidence]. Which tokens they are is for an audit log.
func (b *Bridge) evidence(ctx context.Context, _ core.Equivocation) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddEvent(EventEquivocation)
	}
}
