// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"strings"
	"sync"
)

// memory remembers tokens whose signature was verified, so that one that comes again, as
// predecessors do in a fan-out, costs a look-up: what was read of it, and the key that it
// verified under. Only the very same text is found again, and only a key that the binder
// gives again counts. It remembers JOSE headers too, which an issuer writes the same over
// and over. When a shard is full it forgets its older half.
type memory struct {
	tokens  [memoryShards]generations[remembered]
	headers generations[header]
}

// remembered is a token and the key that it verified under.
type remembered struct {
	token *token
	key   publicKey
}

const (
	memoryShards = 16
	// memoryBytes is how long the texts of an entry may be on average, so that long tokens
	// leave room for fewer.
	memoryBytes = 4 << 10
	// memoryHeaders is how many headers are remembered.
	memoryHeaders = 512
)

func newMemory(entries int) *memory {
	m := &memory{}
	for i := range m.tokens {
		m.tokens[i].entries = max(entries/(2*memoryShards), 1)
	}
	m.headers.entries = memoryHeaders / 2
	return m
}

// shard is chosen by the end of a text, which of a signature is random.
func (m *memory) shard(text string) *generations[remembered] {
	return &m.tokens[text[len(text)-2]%memoryShards]
}

// token returns what is remembered of a text of at least two bytes.
func (m *memory) token(text string) (remembered, bool) { return m.shard(text).get(text) }

// add remembers a token that was verified under a key.
func (m *memory) add(t *token, key publicKey) {
	m.shard(t.text).put(t.text, remembered{t, key}, len(t.text)+len(t.payload))
	if !t.headerKnown {
		// A copy, as the text is a piece of a longer one.
		head := strings.Clone(t.input[:strings.IndexByte(t.input, '.')])
		m.headers.put(head, t.header, len(head))
	}
}

// generations is a bounded map: what was neither put nor found while as much as its younger
// half holds was put is forgotten.
type generations[V any] struct {
	mu          sync.Mutex
	now, before map[string]V
	// entries bounds each half; size counts the bytes of the younger one.
	entries, size int
}

func (g *generations[V]) get(k string) (v V, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v, ok = g.now[k]; ok {
		return v, true
	}
	if v, ok = g.before[k]; ok {
		g.keep(k, v, len(k))
	}
	return v, ok
}

func (g *generations[V]) put(k string, v V, size int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keep(k, v, size)
}

// keep adds an entry. The lock is held.
func (g *generations[V]) keep(k string, v V, size int) {
	if g.now == nil || len(g.now) >= g.entries || g.size+size > g.entries*memoryBytes {
		g.before, g.now, g.size = g.now, make(map[string]V, min(g.entries, 64)), 0
	}
	g.now[k] = v
	g.size += size
}
