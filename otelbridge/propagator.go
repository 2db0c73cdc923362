// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
)

// EdgePropagator returns a propagator for a listener at the edge of the trust domain, to be
// given to otelhttp or otelgrpc by their WithPropagators. It decides before anything is
// verified, so it never looks at who sent the message: what becomes of a trace that comes is
// Policy.Edge. Baggage is taken only under [EdgeContinue]. What goes out is as inner makes it.
func (b *Bridge) EdgePropagator(inner propagation.TextMapPropagator) propagation.TextMapPropagator {
	return &edge{inner, b}
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
		return e.remember(ctx, c)
	case EdgeRestart:
	}
	return ctx
}

type arrivedKey struct{}

// remember keeps the span context that came beside those that count.
func (e *edge) remember(ctx context.Context, c propagation.TextMapCarrier) context.Context {
	sc := trace.SpanContextFromContext(e.TextMapPropagator.Extract(context.Background(), c)) //nolint:contextcheck // what is found must not depend on ctx
	if !sc.IsValid() {
		return ctx
	}
	return context.WithValue(ctx, arrivedKey{}, bare(sc))
}

// arrived is the span context that was remembered, not valid if none was.
func arrived(ctx context.Context) trace.SpanContext {
	sc, _ := ctx.Value(arrivedKey{}).(trace.SpanContext)
	return sc
}

// SenderPropagator returns a propagator for a listener where it depends on who sent the
// message. Traces of verified senders of this service's own trust domain go on; those of
// others are treated as at the edge. For that the message must be verified before: give it to
// otelhttp inside of httpect.Middleware.
//
// Where the message was not verified yet, what came is only remembered, for the span that
// [WithTaskSpans] begins once it was. Where there is a span already, nothing is taken: it is
// the parent.
func (b *Bridge) SenderPropagator(inner propagation.TextMapPropagator) propagation.TextMapPropagator {
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
	case !ok:
		return s.remember(ctx, c)
	case s.b.fromHome(r):
		return s.TextMapPropagator.Extract(ctx, c)
	}
	return s.edge.Extract(ctx, c)
}

// fromHome tells whether a message is of this service's own trust domain: its sender, or
// every head where it is not known who of them sent it.
func (b *Bridge) fromHome(r *core.Received) bool {
	if v, ok := r.Sender(); ok {
		return b.show.home(v.Issuer())
	}
	for _, v := range r.Heads() {
		if !b.show.home(v.Issuer()) {
			return false
		}
	}
	return true
}
