// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
)

// tokenName is how a token names another: by its task id, and by the digest that tells it from
// every other of that id.
type tokenName struct {
	task   core.UUID
	digest core.ShortDigest
}

func nameOf(v *core.Verified) tokenName { return tokenName{v.TaskID(), v.Digest().Short()} }

func nameOfIssued(i *core.Issued) tokenName { return tokenName{i.TaskID(), i.Digest().Short()} }

// known is what is remembered of a token.
type known struct {
	token Token
	// home tells that its issuer is of this service's own trust domain.
	home bool
	// at is the span that carried it, not valid if none is known.
	at trace.SpanContext
}

// index remembers the newest tokens that passed here. It is safe for concurrent use.
type index struct{ ring[tokenName, known] }

func newIndex(size int) *index { return &index{newRing[tokenName, known](size)} }

// know remembers a token that was verified, and returns what is known of it: where it was
// before if it was here, or where it says it was if it may, or else on the span that it came in.
func (b *Bridge) know(v *core.Verified, on trace.SpanContext) known {
	k := known{
		token: Token{TaskID: v.TaskID(), Workflow: v.Workflow(), IssuedAt: v.IssuedAt()},
		home:  b.show.home(v.Issuer()), at: place(on),
	}
	if b.show.believes(k.home) && v.Level() > core.L1 {
		if said := place(parseTraceParent(v.TraceParent())); said.IsValid() {
			k.at = said
		}
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

// keep remembers a token of this service, and the span that carries it.
func (b *Bridge) keep(i *core.Issued, on trace.SpanContext) {
	k := known{
		token: Token{TaskID: i.TaskID(), Workflow: i.Workflow(), IssuedAt: i.IssuedAt()},
		home:  true, at: place(on),
	}
	b.tokens.put(nameOfIssued(i), func(have *known, fresh bool) bool { *have = k; return fresh })
}

// place is a span as something that links point to: without its trace state, in which others
// may have written anything, and not valid where the span is not sampled and so nowhere.
func place(sc trace.SpanContext) trace.SpanContext {
	if !sc.IsSampled() {
		return trace.SpanContext{}
	}
	return bare(sc)
}
