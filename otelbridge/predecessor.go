// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
)

// head shows a head that the unit's task comes after, with a link unless that is there.
func (u *unit) head(v *core.Verified, k known, link bool) {
	shown := u.b.show.admits(u.workflow, k.token.Workflow, k.home)
	u.heads = append(u.heads, mark{nameOf(v), shown})
	if !shown {
		return
	}
	if link {
		point(u.span, k.at)
	}
	attrs := u.b.verified(make([]attribute.KeyValue, 0, 6), v, k.token)
	u.span.AddEvent(EventPredecessor, trace.WithAttributes(attrs...))
}

// point draws a link from a span to where a token was, unless that is not known or is here.
func point(span trace.Span, to trace.SpanContext) {
	if to.IsValid() && to.SpanID() != span.SpanContext().SpanID() {
		span.AddLink(trace.Link{SpanContext: to})
	}
}

// predecessors shows what a token comes after, as far as the policy lets it, and says how
// many those are and how many are not shown. On the span of the unit each is shown once, as
// long as that is remembered.
func (u *unit) predecessors(span trace.Span, i *core.Issued, own bool) (count, withheld int) {
	if own {
		u.mu.Lock()
		defer u.mu.Unlock()
	}
	for task, digest := range i.Predecessors() {
		count++
		n := tokenName{task, digest}
		shown, seen := false, false
		if own {
			shown, seen = u.marked(n)
		}
		if !seen {
			shown = u.predecessor(span, i.Workflow(), n)
		}
		if own && !seen {
			u.mark(n, shown)
		}
		if !shown {
			withheld++
		}
	}
	return count, withheld
}

// marked tells whether a predecessor is on the unit's span, and whether that was looked at.
// The lock is held.
func (u *unit) marked(n tokenName) (shown, seen bool) {
	for _, h := range u.heads {
		if h.tokenName == n {
			return h.shown, true
		}
	}
	if shown, seen = u.later[n]; !seen {
		shown, seen = u.earlier[n]
	}
	return shown, seen
}

// mark remembers of a predecessor whether it is on the unit's span. The lock is held.
func (u *unit) mark(n tokenName, shown bool) {
	if len(u.later) == maxLater {
		u.earlier, u.later = u.later, nil
	}
	if u.later == nil {
		u.later = map[tokenName]bool{}
	}
	u.later[n] = shown
}

// predecessor shows one that a token of the workflow names, and tells whether it did.
func (u *unit) predecessor(span trace.Span, of core.Workflow, n tokenName) bool {
	k, ok := u.b.tokens.get(n)
	if !ok || !u.b.show.admits(of, k.token.Workflow, k.home) {
		return false
	}
	point(span, k.at)
	attrs := u.b.describe(make([]attribute.KeyValue, 0, 2), k.token, "", "")
	span.AddEvent(EventPredecessor, trace.WithAttributes(attrs...))
	return true
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
