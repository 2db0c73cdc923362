// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"context"
	"slices"
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
	// workflow is that of the message, absent for a root, whose preds are all its own.
	workflow core.Workflow

	mu sync.Mutex
	// shown has the predecessors that are on the span.
	shown    []tokenName
	withheld int
	first    [1]tokenName
}

// entered is [core.Observer.Entered].
func (b *Bridge) entered(ctx context.Context, r *core.Received) (context.Context, core.TaskObserver) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		switch sc := span.SpanContext(); {
		case sc.IsValid() && !sc.IsRemote():
			return ctx, nil // a trace that is not sampled
		case b.tracer == nil:
			return ctx, b.idle
		}
		return b.begin(ctx, r)
	}
	u := &unit{b: b, span: span, guest: !claimedSpans.claim(span.SpanContext())}
	u.shown = u.first[:0]
	if r == nil {
		return ctx, u
	}
	if sc := arrived(ctx); sc.IsValid() && (b.show.policy.Edge == EdgeLink || b.fromHome(r)) {
		span.AddLink(trace.Link{SpanContext: sc})
	}
	u.workflow = r.Workflow()
	for _, v := range r.Heads() {
		u.head(v, true)
	}
	u.accepted(len(r.Heads()))
	return ctx, u
}

// begin begins a unit of work with a span of its own.
func (b *Bridge) begin(ctx context.Context, r *core.Received) (context.Context, core.TaskObserver) {
	if r == nil {
		ctx, span := b.tracer.Start(ctx, SpanName)
		u := &unit{b: b, span: span, own: true, guest: !claimedSpans.claim(span.SpanContext())}
		u.shown = u.first[:0]
		return ctx, u
	}
	var links []trace.Link
	if sc := arrived(ctx); sc.IsValid() {
		switch {
		case b.fromHome(r) || b.show.policy.Edge == EdgeContinue:
			ctx = trace.ContextWithRemoteSpanContext(ctx, sc)
		case b.show.policy.Edge == EdgeLink:
			links = append(links, trace.Link{SpanContext: sc})
		}
	}
	for _, v := range r.Heads() {
		k := b.know(v)
		if k.at.IsValid() && b.show.admits(r.Workflow(), k.token.Workflow, k.home) {
			links = append(links, trace.Link{SpanContext: k.at})
		}
	}
	ctx, span := b.tracer.Start(ctx, SpanName, trace.WithSpanKind(trace.SpanKindServer), trace.WithLinks(links...),
		trace.WithAttributes(AttrResult.String(ResultAccepted), AttrPredecessorCount.Int(len(r.Heads()))))
	u := &unit{b: b, span: span, own: true, guest: !claimedSpans.claim(span.SpanContext()), workflow: r.Workflow()}
	u.shown = u.first[:0]
	for _, v := range r.Heads() {
		u.head(v, false)
	}
	u.accepted(len(r.Heads()))
	return ctx, u
}

// accepted says on the span that the message was.
func (u *unit) accepted(heads int) {
	if u.guest {
		return
	}
	attrs := [3]attribute.KeyValue{AttrResult.String(ResultAccepted), AttrPredecessorCount.Int(heads)}
	n := 2
	if u.withheld > 0 {
		attrs[n] = AttrPredecessorWithheld.Int(u.withheld)
		n++
	}
	u.span.SetAttributes(attrs[:n]...)
}

// head shows a head that the unit's task comes after, with a link unless that is there.
func (u *unit) head(v *core.Verified, link bool) {
	k := u.b.know(v)
	u.shown = append(u.shown, nameOf(v))
	if !u.b.show.admits(u.workflow, k.token.Workflow, k.home) {
		u.withheld++
		return
	}
	if link && k.at.IsValid() {
		u.span.AddLink(trace.Link{SpanContext: k.at})
	}
	attrs := u.b.verified(make([]attribute.KeyValue, 0, 6), v, k.token)
	u.span.AddEvent(EventPredecessor, trace.WithAttributes(attrs...))
}

// verified says of a token of somebody else what the policy lets it.
func (b *Bridge) verified(attrs []attribute.KeyValue, v *core.Verified, t Token) []attribute.KeyValue {
	attrs = b.describe(attrs, t, v.Action(), v.Issuer())
	return append(attrs, AttrLevel.String(v.Level().String()), AttrBinding.String(v.Binding().String()))
}

// describe says of a token what the policy lets it.
func (b *Bridge) describe(attrs []attribute.KeyValue, t Token, action, issuer string) []attribute.KeyValue {
	if s, ok := b.show.task(t); ok {
		attrs = append(attrs, AttrTaskID.String(s))
	}
	if s, ok := b.show.workflow(t); ok {
		attrs = append(attrs, AttrWorkflowID.String(s))
	}
	if s, ok := b.show.text(ClaimAction, t, action); ok {
		attrs = append(attrs, AttrAction.String(s))
	}
	if s, ok := b.show.text(ClaimIssuer, t, issuer); ok {
		attrs = append(attrs, AttrIssuer.String(s))
	}
	return attrs
}

func nameOf(v *core.Verified) tokenName { return tokenName{v.TaskID(), v.Digest().Short()} }

func nameOfIssued(i *core.Issued) tokenName { return tokenName{i.TaskID(), i.Digest().Short()} }

// know remembers a token that was verified, and returns what is known of it: where it was
// before, if it was here, or where it says it was.
func (b *Bridge) know(v *core.Verified) known {
	k := known{
		token: Token{TaskID: v.TaskID(), Workflow: v.Workflow(), IssuedAt: v.IssuedAt()},
		home:  b.show.home(v.Issuer()),
	}
	if b.show.policy.CarryTrace && v.Level() > core.L1 {
		k.at = parseTraceParent(v.TraceParent())
	}
	b.tokens.put(nameOf(v), func(have *known, fresh bool) bool {
		if !fresh && have.at.IsValid() {
			k.at = have.at
		}
		*have = k
		return fresh
	})
	return k
}

// keep remembers a token of this service, and the span that carried it.
func (b *Bridge) keep(i *core.Issued, at trace.SpanContext) {
	k := known{
		token: Token{TaskID: i.TaskID(), Workflow: i.Workflow(), IssuedAt: i.IssuedAt()},
		home:  true, at: bare(at),
	}
	b.tokens.put(nameOfIssued(i), func(have *known, fresh bool) bool { *have = k; return fresh })
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
	span := u.active(ctx)
	switch {
	case span == nil:
	case i.Kind() == core.KindDispatch: // Sent says where it went
		u.b.keep(i, span.SpanContext())
	case i.Kind() != core.KindTask:
		u.write(span, i, EventStep)
	case u.span != nil:
		u.write(u.span, i, EventTask)
	default:
		u.write(span, i, EventTask)
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
	stands := own && !u.guest && i.Kind() == core.KindTask || !own && claimedSpans.claim(span.SpanContext())
	count, withheld := u.predecessors(span, i, own)
	attrs := u.b.issued(make([]attribute.KeyValue, 0, 8), i)
	if stands || !own || u.guest {
		attrs = append(attrs, AttrPredecessorCount.Int(count))
		if withheld > 0 {
			attrs = append(attrs, AttrPredecessorWithheld.Int(withheld))
		}
	}
	if !stands {
		span.AddEvent(event, trace.WithAttributes(attrs...))
		return
	}
	span.SetAttributes(attrs...)
	if u.own && own && i.Outcome() == core.OutcomeError {
		span.SetStatus(codes.Error, "")
	}
}

// issued says of a token of this service what the policy lets it.
func (b *Bridge) issued(attrs []attribute.KeyValue, i *core.Issued) []attribute.KeyValue {
	t := Token{TaskID: i.TaskID(), Workflow: i.Workflow(), IssuedAt: i.IssuedAt()}
	attrs = b.describe(attrs, t, i.Action(), i.Issuer())
	if i.Kind() == core.KindDispatch && b.show.shown[ClaimAudience] != Omit {
		if s, ok := b.show.text(ClaimAudience, t, i.Claims().Audience[0]); ok {
			attrs = append(attrs, AttrAudience.String(s))
		}
	}
	if s, ok := b.show.hash(ClaimInputHash, t, i.InpHash()); ok {
		attrs = append(attrs, AttrInputHash.String(s))
	}
	if s, ok := b.show.hash(ClaimOutputHash, t, i.OutHash()); ok {
		attrs = append(attrs, AttrOutputHash.String(s))
	}
	if p, ok := i.Checkpoint(); ok {
		if s, ok := b.show.text(ClaimCheckpoint, t, p.Policy); ok {
			attrs = append(attrs, AttrPolicy.String(s), AttrPolicyDecision.String(string(p.Decision)))
		}
	}
	attrs = append(attrs, AttrLevel.String(i.Level().String()), AttrKind.String(i.Kind().String()))
	if i.Kind() == core.KindTask {
		attrs = append(attrs, AttrOutcome.String(i.Outcome().String()))
	}
	return attrs
}

// predecessors shows what a token comes after, as far as the policy lets it, and says how
// many those are and how many are not shown. On the span of the unit each is shown once.
func (u *unit) predecessors(span trace.Span, i *core.Issued, own bool) (count, withheld int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for task, digest := range i.Predecessors() {
		count++
		n := tokenName{task, digest}
		if own {
			if slices.Contains(u.shown, n) {
				continue
			}
			u.shown = append(u.shown, n)
		}
		k, ok := u.b.tokens.get(n)
		if !ok || !u.b.show.admits(i.Workflow(), k.token.Workflow, k.home) {
			withheld++
			continue
		}
		if k.at.IsValid() && k.at.SpanID() != span.SpanContext().SpanID() {
			span.AddLink(trace.Link{SpanContext: k.at})
		}
		attrs := u.b.describe(make([]attribute.KeyValue, 0, 4), k.token, "", "")
		span.AddEvent(EventPredecessor, trace.WithAttributes(attrs...))
	}
	if own {
		u.withheld += withheld
		withheld = u.withheld
	}
	return count, withheld
}

// Answered implements core.TaskObserver.
func (u *unit) Answered(ctx context.Context, _ *core.Issued, r *core.Received) {
	span := u.active(ctx)
	if span == nil {
		return
	}
	for _, v := range r.Heads() {
		k := u.b.know(v)
		if !k.at.IsValid() { // the span of the call leads to it
			u.b.tokens.put(nameOf(v), func(have *known, fresh bool) bool {
				have.at = bare(span.SpanContext())
				return fresh
			})
		}
		attrs := make([]attribute.KeyValue, 0, 6)
		if u.b.show.admits(r.Workflow(), k.token.Workflow, k.home) {
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
	if err != nil {
		refuse(u.span, core.CodeUnrecorded)
	}
	if u.own {
		u.span.End()
	}
}

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
		if sc := span.SpanContext(); b.tracer == nil || info.Answer || sc.IsValid() && !sc.IsRemote() {
			return
		}
		_, span = b.tracer.Start(ctx, SpanName, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
	}
	result := AttrResult.String(err.Code.String())
	switch {
	case info.Observed:
		span.SetAttributes(result)
	case info.Answer && !claimedSpans.has(span.SpanContext()): // the caller's own, which may go on
		span.AddEvent(EventRefused, trace.WithAttributes(result))
	default:
		refuse(span, err.Code)
	}
}

// unsent is [core.Observer.Unsent].
func (b *Bridge) unsent(ctx context.Context, i *core.Issued) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
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
