// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"sync/atomic"
)

// memory remembers tokens whose signature was verified, so that one that comes again, as
// predecessors do in a fan-out, costs a look-up: what was read of it, and the key that it
// verified under. Only the very same text is found again, and only a key that the binder
// gives again counts. It remembers JOSE headers too, which an issuer writes the same over
// and over. It is safe for concurrent use.
type memory struct {
	tokens  *recent[remembered]
	headers *recent[header]
}

// remembered is a token and the key that it verified under.
type remembered struct {
	token *token
	key   publicKey
}

const (
	// memoryBytes is the longest token that is remembered, which bounds what all take.
	memoryBytes = 4 << 10
	// memoryHeaders is how many headers are remembered.
	memoryHeaders = 256
)

func newMemory(entries int) *memory {
	return &memory{tokens: newRecent[remembered](entries), headers: newRecent[header](memoryHeaders)}
}

// add remembers a token that was verified under a key.
func (m *memory) add(t *token, key publicKey) {
	if len(t.text) > memoryBytes {
		return
	}
	m.tokens.put(t.text, remembered{t, key})
	if !t.headerKnown {
		// A copy, as the text is a piece of a longer one.
		m.headers.put(strings.Clone(t.input[:strings.IndexByte(t.input, '.')]), t.header)
	}
}

// recent holds values by text, in a table that never grows: each text has a pair of places,
// and a new one takes the place of the older of the two that are there. Nobody waits for
// anybody. It is safe for concurrent use.
type recent[V any] struct {
	seed maphash.Seed
	// tags tell most texts that are not there from those that are, at one look.
	tags    []atomic.Uint32
	entries []atomic.Pointer[recentEntry[V]]
}

type recentEntry[V any] struct {
	text  string
	value V
}

// newRecent returns a table for about that many values, at least two.
func newRecent[V any](entries int) *recent[V] {
	n := 1 << bits.Len(uint(max(entries, 2)-1))
	return &recent[V]{
		seed: maphash.MakeSeed(), tags: make([]atomic.Uint32, n), entries: make([]atomic.Pointer[recentEntry[V]], n),
	}
}

// hashedTail is how much of the end of a text is hashed: the end of a signature is as good
// as random, and texts are compared whole.
const hashedTail = 64

// at returns the newer of the two places of a text, and its tag. The other is beside it.
func (r *recent[V]) at(text string) (place int, tag uint32) {
	h := maphash.String(r.seed, text[max(0, len(text)-hashedTail):])
	return int(h&uint64(len(r.tags)-1)) &^ 1, uint32(h>>32) | 1
}

func (r *recent[V]) get(text string) (v V, ok bool) {
	place, tag := r.at(text)
	for n := place; n <= place+1; n++ {
		if r.tags[n].Load() != tag {
			continue
		}
		if e := r.entries[n].Load(); e != nil && e.text == text {
			return e.value, true
		}
	}
	return v, false
}

func (r *recent[V]) put(text string, v V) {
	place, tag := r.at(text)
	r.entries[place+1].Store(r.entries[place].Load())
	r.tags[place+1].Store(r.tags[place].Load())
	r.entries[place].Store(&recentEntry[V]{text, v})
	r.tags[place].Store(tag)
}
