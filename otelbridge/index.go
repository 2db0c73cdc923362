// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"sync"

	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
)

// name is how a token names another: by its task id, and by the digest that tells it from
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
// before if it was here, or where it says it was, or else on the span that it came in.
func (b *Bridge) know(v *core.Verified, on trace.SpanContext) known {
	k := known{
		token: Token{TaskID: v.TaskID(), Workflow: v.Workflow(), IssuedAt: v.IssuedAt()},
		home:  b.show.home(v.Issuer()), at: place(on),
	}
	if b.show.policy.CarryTrace && v.Level() > core.L1 {
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

// ring is a map of bounded size, from which the oldest key goes first. A key that is put again
// is as good as new.
type ring[K comparable, V any] struct {
	mu    sync.Mutex
	place map[K]int
	keys  []K
	vals  []V
	next  int
	size  int
}

func newRing[K comparable, V any](size int) ring[K, V] {
	return ring[K, V]{place: map[K]int{}, size: size}
}

func (r *ring[K, V]) get(k K) (v V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, ok := r.place[k]
	if ok {
		v = r.vals[n]
	}
	return v, ok
}

// put calls change with the value of a key, the zero value and true where it is fresh, and
// returns what that does.
func (r *ring[K, V]) put(k K, change func(v *V, fresh bool) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var v V
	old, known := r.place[k]
	if known {
		// Only what is in the older half moves, so that a key that is put again and again
		// takes two places at most.
		if (r.next-old-1+r.size)%r.size < r.size/2 {
			return change(&r.vals[old], false)
		}
		v = r.vals[old]
	}
	n := r.next
	r.next = (n + 1) % r.size
	if n == len(r.keys) {
		r.keys, r.vals = append(r.keys, k), append(r.vals, v)
	} else {
		if r.place[r.keys[n]] == n { // or that key has moved
			delete(r.place, r.keys[n])
		}
		r.keys[n], r.vals[n] = k, v
	}
	r.place[k] = n
	return change(&r.vals[n], !known)
}
