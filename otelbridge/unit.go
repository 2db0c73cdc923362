// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
)

// unit is one unit of work: a request, or work that none started. It is a
// [core.TaskObserver], safe for concurrent use.
type unit struct {
	b *Bridge
	// span is what the unit writes on; nil where none was active when it began.
	span trace.Span
	own  bool // the bridge began the span, and ends it
	// guest tells that the span stood for something else when the unit began, so that what is
	// said of the unit is said in events.
	guest bool
	// adapter tells that an adapter ends the task, in the context that it began in: where no span
	// was then, there is none.
	adapter bool
	// workflow is that of the message, absent for a root, whose preds are all its own.
	workflow core.Workflow

	mu sync.Mutex
	// heads has those of the message, and later what else tokens on the unit's span came after,
	// as far as it is not in earlier yet.
	heads          []mark
	later, earlier map[tokenName]bool

	// Room for the one head that most messages have, and for what is said of them, so that it
	// costs no allocation of its own.
	first [1]mark
	said  [3]attribute.KeyValue
}

// maxLater is how many predecessors later holds before it takes the place of earlier, as a unit
// may go on for days. One that is forgotten and comes again is shown again.
const maxLater = 1 << 10

// mark says of a predecessor whether it is on the unit's span, or withheld.
type mark struct {
	tokenName
	shown bool
}

// idleUnits watch all units of work that began without a span: one may begin in them.
type idleUnits struct{ message, other *unit }

func (u *idleUnits) of(r *core.Received) *unit {
	if r != nil && r.Transport() != core.TransportOther {
		return u.message
	}
	return u.other
}

// kindOf is the kind of a span that the bridge begins for a message.
func kindOf(t core.Transport) trace.SpanKind {
	if t == core.TransportOther {
		return trace.SpanKindConsumer
	}
	return trace.SpanKindServer
}

// entered is [core.Observer.Entered].
func (b *Bridge) entered(ctx context.Context, r *core.Received) (context.Context, core.TaskObserver) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		switch {
		case isDropped(span.SpanContext()):
			return ctx, nil
		case b.tracer == nil:
			return ctx, b.idle.of(r)
		}
		return b.begin(ctx, r)
	}
	u := &unit{b: b, span: span, guest: !claimedSpans.unit(span.SpanContext())}
	came, ok := b.arrived(ctx)
	if r == nil {
		return ctx, u
	}
	if ok && (b.show.policy.Edge == EdgeLink || b.fromHome(r)) {
		span.AddLink(trace.Link{SpanContext: bare(came.span())})
	}
	u.workflow, u.heads = r.Workflow(), u.first[:0]
	for _, v := range r.Heads() {
		u.head(v, b.know(v, trace.SpanContext{}), true)
	}
	u.accepted()
	return ctx, u
}

// isDropped tells that a span is of a trace which is not sampled here.
func isDropped(sc trace.SpanContext) bool { return sc.IsValid() && !sc.IsRemote() && !sc.IsSampled() }

// begin begins a unit of work with a span of its own.
func (b *Bridge) begin(ctx context.Context, r *core.Received) (context.Context, core.TaskObserver) {
	came, ok := b.arrived(ctx)
	u := &unit{b: b, own: true}
	if r == nil {
		ctx, u.span = b.tracer.Start(ctx, SpanName)
		if !u.span.IsRecording() {
			return ctx, nil
		}
		claimedSpans.unit(u.span.SpanContext())
		return ctx, u
	}
	var links []trace.Link
	if ok {
		switch {
		case came.bySender && b.fromHome(r):
			ctx = came.goOn(ctx)
		case b.show.policy.Edge == EdgeLink:
			links = append(links, trace.Link{SpanContext: bare(came.span())})
		}
	}
	heads := r.Heads()
	all := make([]known, len(heads))
	for n, v := range heads {
		all[n] = b.know(v, trace.SpanContext{})
		if k := all[n]; k.at.IsValid() && b.show.admits(r.Workflow(), k.token.Workflow, k.home) {
			links = append(links, trace.Link{SpanContext: k.at})
		}
	}
	ctx, u.span = b.tracer.Start(ctx, SpanName, trace.WithSpanKind(kindOf(r.Transport())), trace.WithLinks(links...),
		trace.WithAttributes(AttrResult.String(ResultAccepted), AttrPredecessorCount.Int(len(heads))))
	if !u.span.IsRecording() {
		return ctx, nil
	}
	claimedSpans.unit(u.span.SpanContext())
	u.workflow, u.heads = r.Workflow(), u.first[:0]
	for n, v := range heads {
		u.head(v, all[n], false)
	}
	u.accepted()
	return ctx, u
}

// accepted says on the span that the message was. The counts are there from the start, so
// that what others write on the span leaves them their room.
func (u *unit) accepted() {
	if u.guest {
		return
	}
	withheld := 0
	for _, h := range u.heads {
		if !h.shown {
			withheld++
		}
	}
	u.said = [...]attribute.KeyValue{
		AttrResult.String(ResultAccepted), AttrPredecessorCount.Int(len(u.heads)), AttrPredecessorWithheld.Int(withheld),
	}
	u.span.SetAttributes(u.said[:]...)
}

// active returns the span that code runs in, or that of the unit where there is none that
// records; nil if there is none at all.
func (u *unit) active(ctx context.Context) trace.Span {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		return span
	}
	return u.span
}

// isOwn tells whether a span is the one that the unit writes on.
func (u *unit) isOwn(span trace.Span) bool {
	return u.span != nil && span.SpanContext().SpanID() == u.span.SpanContext().SpanID()
}

// Issued implements core.TaskObserver.
func (u *unit) Issued(ctx context.Context, i *core.Issued) {
	if u.adapter && i.Kind() == core.KindTask {
		return
	}
	span := u.span
	if span == nil || i.Kind() != core.KindTask || !span.IsRecording() {
		span = u.active(ctx)
	}
	switch {
	case span == nil:
	case i.Kind() == core.KindDispatch: // Sent says where it went
		u.b.keep(i, span.SpanContext())
	case i.Kind() == core.KindTask:
		u.write(span, i, EventTask)
	default:
		u.write(span, i, EventStep)
	}
}

// Sent implements core.TaskObserver.
func (u *unit) Sent(ctx context.Context, dispatch *core.Issued) {
	if span := u.active(ctx); span != nil {
		u.write(span, dispatch, EventDispatch)
	}
}

// write says of a token of this service what it is and comes after. A span stands for one
// token: the unit's for its task, another for the first that is issued or sent in it. What
// else it carries is told in events.
func (u *unit) write(span trace.Span, i *core.Issued, event string) {
	own := u.isOwn(span)
	u.b.keep(i, span.SpanContext())
	stands := own && !u.guest && i.Kind() == core.KindTask || !own && claimedSpans.token(span.SpanContext(), i)
	count, withheld := u.predecessors(span, i, own)
	// The counts are first, as a span that is full takes no more.
	attrs := append(make([]attribute.KeyValue, 0, 10), AttrPredecessorCount.Int(count), AttrPredecessorWithheld.Int(withheld))
	attrs = u.b.issued(attrs, i)
	if !stands {
		span.AddEvent(event, trace.WithAttributes(attrs...))
		return
	}
	span.SetAttributes(attrs...)
	if u.own && own && i.Outcome() == core.OutcomeError {
		span.SetStatus(codes.Error, "")
	}
}

// Answered implements core.TaskObserver.
func (u *unit) Answered(ctx context.Context, dispatch *core.Issued, r *core.Received) {
	span := u.active(ctx)
	if span == nil {
		return
	}
	call := span.SpanContext() // leads to the answer, unless another is known to be the call's
	if d, ok := u.b.tokens.get(nameOfIssued(dispatch)); ok && d.at.IsValid() {
		call = d.at
	}
	for _, v := range r.Heads() {
		k := u.b.know(v, call) //nolint:contextcheck // it is no context
		attrs := make([]attribute.KeyValue, 0, 6)
		if u.b.show.admits(dispatch.Workflow(), k.token.Workflow, k.home) { // it may have left the workflow
			attrs = u.b.verified(attrs, v, k.token)
		}
		span.AddEvent(EventAnswer, trace.WithAttributes(attrs...))
	}
}

// Ended implements core.TaskObserver.
func (u *unit) Ended(err error) {
	if u.span == nil {
		return
	}
	switch {
	case err == nil:
	case u.guest: // what the span stands for may be recorded yet
		u.span.AddEvent(EventTask, trace.WithAttributes(AttrResult.String(core.CodeUnrecorded.String())))
	default:
		refuse(u.span, core.CodeUnrecorded)
	}
	if u.own {
		u.span.End()
	}
}
