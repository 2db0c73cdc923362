// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
)

// EdgePropagator returns a propagator for a listener at the edge of the trust domain, to be
// given to otelhttp or otelgrpc by their WithPropagators. It decides before anything is
// verified, so it never looks at who sent the message: what becomes of a trace that comes is
// Policy.Edge. Baggage is taken only under [EdgeContinue]. What goes out is as inner makes it.
// It panics if inner is nil.
func (b *Bridge) EdgePropagator(inner propagation.TextMapPropagator) propagation.TextMapPropagator {
	given("EdgePropagator", inner)
	if b.show.policy.Edge == EdgeLink {
		b.remembers.Store(true)
	}
	return &edge{inner, b}
}

// given panics where there is no propagator to ask.
func given(name string, inner propagation.TextMapPropagator) {
	if inner == nil {
		panic("otelbridge." + name + ": the propagator is nil") //nolint:forbidigo // wiring time: the program has not begun to serve
	}
}

type edge struct {
	propagation.TextMapPropagator
	b *Bridge
}

// Extract implements propagation.TextMapPropagator.
func (e *edge) Extract(ctx context.Context, c propagation.TextMapCarrier) context.Context {
	switch e.b.show.policy.Edge {
	case EdgeContinue:
		return e.TextMapPropagator.Extract(ctx, c)
	case EdgeLink:
		return e.remember(ctx, c, false)
	case EdgeRestart:
	}
	return ctx
}

type arrivalKey struct{}

// arrival is a trace that came with a message, until it is known whose that is.
type arrival struct {
	b *Bridge
	// bySender tells that it depends on who sent the message what becomes of it.
	bySender bool
	// from has what the propagator found, and nothing else.
	from context.Context //nolint:containedctx // it is how the API has baggage
	// taken tells that a unit of work began: what else begins below it came of other messages.
	taken atomic.Bool
}

func (a *arrival) span() trace.SpanContext { return trace.SpanContextFromContext(a.from) }

// goOn returns a context in which the trace goes on.
func (a *arrival) goOn(ctx context.Context) context.Context {
	if m := baggage.FromContext(a.from); m.Len() > 0 {
		ctx = baggage.ContextWithBaggage(ctx, m)
	}
	return trace.ContextWithRemoteSpanContext(ctx, a.span())
}

// remember keeps what came beside that which counts.
func (e *edge) remember(ctx context.Context, c propagation.TextMapCarrier, bySender bool) context.Context {
	// What is found must not depend on ctx.
	from := e.TextMapPropagator.Extract(context.Background(), c)
	if !trace.SpanContextFromContext(from).IsValid() {
		return ctx
	}
	return context.WithValue(ctx, arrivalKey{}, &arrival{b: e.b, bySender: bySender, from: from})
}

// arrived returns what was remembered of the message that a unit of work begins with, once.
func (b *Bridge) arrived(ctx context.Context) (*arrival, bool) {
	if !b.remembers.Load() {
		return nil, false
	}
	a, ok := ctx.Value(arrivalKey{}).(*arrival)
	return a, ok && a.b == b && !a.taken.Swap(true)
}

// SenderPropagator returns a propagator for a listener where it depends on who sent the
// message. Traces of verified senders of this service's own trust domain go on; those of
// others are treated as at the edge. Where the transport authenticates nobody, whoever presents
// an accepted token is taken for its issuer. For that the message must be verified before: give it to
// otelhttp inside of httpect.Middleware.
//
// Where the message was not verified yet, what came is only remembered. Once it was, the span
// that [WithTaskSpans] begins goes on with it; a span that was begun in between is the parent
// of all that follows, and gets a link to it. For [WithTaskSpans] with httpect outermost, call
// Extract in a handler around it. It is the first unit of work below that takes what came, so
// do not give the propagator to what takes messages of others out of its own, such as pushes
// of a queue. Where there is a span already, nothing is taken. Without
// [WithTaskSpans] and with httpect outermost, no unit of work begins in the span that otelhttp
// begins, so that [EdgeLink] is [EdgeRestart] there. It panics if inner is nil.
func (b *Bridge) SenderPropagator(inner propagation.TextMapPropagator) propagation.TextMapPropagator {
	given("SenderPropagator", inner)
	b.remembers.Store(true)
	return &bySender{edge{inner, b}}
}

type bySender struct{ edge }

// Extract implements propagation.TextMapPropagator.
func (s *bySender) Extract(ctx context.Context, c propagation.TextMapCarrier) context.Context {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() && !sc.IsRemote() {
		return ctx
	}
	r, ok := core.ReceivedFromContext(ctx)
	switch {
	case ok && s.b.fromHome(r), s.b.show.policy.Edge == EdgeContinue:
		return s.TextMapPropagator.Extract(ctx, c)
	case ok:
		return s.edge.Extract(ctx, c)
	}
	return s.remember(ctx, c, true)
}

// fromHome tells whether a message is of this service's own trust domain: its sender, or
// every head where it is not known who of them sent it. A peer of another domain that the
// transport authenticated is not, whatever heads it presents.
func (b *Bridge) fromHome(r *core.Received) bool {
	if v, ok := r.Sender(); ok {
		return b.show.home(v.Issuer())
	}
	if peer := r.Peer(); peer != "" && !b.show.home(peer) {
		return false
	}
	for _, v := range r.Heads() {
		if !b.show.home(v.Issuer()) {
			return false
		}
	}
	return true
}
