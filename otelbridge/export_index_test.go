// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
)

// Ring is what the index and the claimed spans are made of.
type Ring struct{ ring[int, string] }

func NewRing(size int) *Ring { return &Ring{newRing[int, string](size)} }

// Put sets the value of a key, and tells whether it is fresh.
func (r *Ring) Put(k int, v string) bool {
	return r.put(k, func(have *string, fresh bool) bool { *have = v; return fresh })
}

func (r *Ring) Get(k int) (string, bool) { return r.get(k) }

// Len returns how many keys there are, and how much room they take.
func (r *Ring) Len() (keys, places int) { return len(r.values()), len(r.slots) }

// values returns what a ring has. Its lock is held, or nobody else uses it.
func (r *ring[K, V]) values() (all []V) {
	for _, n := range r.chains {
		for ; n > 0; n = r.slots[n-1].after {
			all = append(all, r.slots[n-1].val)
		}
	}
	return all
}

// Where returns where a token was that was verified here, as far as that is remembered.
func (b *Bridge) Where(v *core.Verified) (trace.SpanContext, bool) {
	k, ok := b.tokens.get(nameOf(v))
	return k.at, ok
}

// Remembered returns every place that the bridge remembers of tokens.
func (b *Bridge) Remembered() (tokens int, places []trace.SpanContext) {
	b.tokens.mu.Lock()
	defer b.tokens.mu.Unlock()
	all := b.tokens.values()
	for _, k := range all {
		if k.at.IsValid() {
			places = append(places, k.at)
		}
	}
	return len(all), places
}

// MaxLater is how many predecessors a unit remembers, twice at most.
const MaxLater = maxLater

// Marked returns how many predecessors a unit remembers, beside heads.
func Marked(o core.TaskObserver) int {
	u, _ := o.(*unit)
	return len(u.later) + len(u.earlier)
}
