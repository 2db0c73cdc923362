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

// claimed has the newest spans that stand for one token, or for one unit of work, already. It
// is safe for concurrent use.
type claimed struct{ ring[trace.SpanID, struct{}] }

// claimedSpans is of all bridges of the process: several services may work in one span.
var claimedSpans = claimed{newRing[trace.SpanID, struct{}](1 << 14)}

// claim tells whether the span stood for no token, and does from now on.
func (c *claimed) claim(span trace.SpanContext) bool {
	return c.put(span.SpanID(), func(_ *struct{}, fresh bool) bool { return fresh })
}

// has tells whether the span stands for a token.
func (c *claimed) has(span trace.SpanContext) bool {
	_, ok := c.get(span.SpanID())
	return ok
}

// ring is a map of bounded size, from which the oldest key goes first.
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
	if n, ok := r.place[k]; ok {
		return change(&r.vals[n], false)
	}
	n := r.next
	r.next = (n + 1) % r.size
	var zero V
	if n == len(r.keys) {
		r.keys, r.vals = append(r.keys, k), append(r.vals, zero)
	} else {
		delete(r.place, r.keys[n])
		r.keys[n], r.vals[n] = k, zero
	}
	r.place[k] = n
	return change(&r.vals[n], true)
}
