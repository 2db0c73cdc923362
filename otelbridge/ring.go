// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"hash/maphash"
	"math/bits"
	"sync"
)

// ring is a map of bounded size, from which the oldest key goes first. A key that is put again
// is as good as new. It is for keys that come and go with every request, for which a map of
// the language takes more than twice as long. Once it is full it allocates nothing.
type ring[K comparable, V any] struct {
	// seed keeps whoever chooses the keys from choosing those of one chain.
	seed maphash.Seed
	size int

	mu sync.Mutex
	// chains leads from a hash to the slot of the newest key that has it, and that to the next.
	// They count slots from 1: 0 is the end.
	chains []int32
	slots  []slot[K, V]
	next   int
}

type slot[K comparable, V any] struct {
	key   K
	val   V
	chain int32 // gone where the key is in another slot by now
	after int32
}

const gone = -1

func newRing[K comparable, V any](size int) ring[K, V] {
	return ring[K, V]{seed: maphash.MakeSeed(), size: size, chains: make([]int32, 1<<bits.Len(uint(size)))}
}

func (r *ring[K, V]) chain(k K) int32 {
	return int32(maphash.Comparable(r.seed, k) & uint64(len(r.chains)-1))
}

// find returns where a key of a chain is, or gone. The lock is held.
func (r *ring[K, V]) find(k K, chain int32) int {
	for n := r.chains[chain]; n > 0; n = r.slots[n-1].after {
		if r.slots[n-1].key == k {
			return int(n - 1)
		}
	}
	return gone
}

func (r *ring[K, V]) get(k K) (v V, ok bool) {
	chain := r.chain(k)
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.find(k, chain); n != gone {
		return r.slots[n].val, true
	}
	return v, false
}

// put calls change with the value of a key, the zero value and true where it is fresh, and
// returns what that does.
func (r *ring[K, V]) put(k K, change func(v *V, fresh bool) bool) bool {
	chain := r.chain(k)
	r.mu.Lock()
	defer r.mu.Unlock()
	var v V
	old := r.find(k, chain)
	if old != gone {
		// Only what is in the older half moves, so that a key that is put again and again
		// takes two slots at most.
		if later := (r.next - 1 - old + r.size) % r.size; later < r.size/2 {
			return change(&r.slots[old].val, false)
		}
		v = r.slots[old].val
		r.unlink(old)
	}
	n := r.take()
	r.slots[n] = slot[K, V]{key: k, val: v, chain: chain, after: r.chains[chain]}
	r.chains[chain] = int32(n + 1)
	return change(&r.slots[n].val, old == gone)
}

// take returns a new slot, or the oldest. The lock is held.
func (r *ring[K, V]) take() int {
	n := r.next
	r.next = (n + 1) % r.size
	switch {
	case n == len(r.slots):
		r.slots = append(r.slots, slot[K, V]{})
	case r.slots[n].chain != gone:
		r.unlink(n)
	}
	return n
}

// unlink takes a slot out of its chain. The lock is held.
func (r *ring[K, V]) unlink(n int) {
	s := &r.slots[n]
	at := &r.chains[s.chain]
	for *at != int32(n+1) {
		at = &r.slots[*at-1].after
	}
	*at, s.chain = s.after, gone
}
