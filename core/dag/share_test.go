// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/go-ect/ect/core/dag"
)

// from says which trust domain a token's issuer is of.
func from(domain string) mod { return func(e *dag.Entry) { e.Domain = domain } }

func TestNewMemoryShares(t *testing.T) {
	for field, c := range map[string]dag.MemoryConfig{
		"MaxPerDomain": {MaxPerDomain: -1}, "MaxBytes": {MaxBytes: -1},
	} {
		if m, err := dag.NewMemory(c); err == nil || m != nil || !strings.Contains(err.Error(), "dag.MemoryConfig."+field) {
			t.Errorf("NewMemory(%+v) = %v, %v, want an error that names %s", c, m, err, field)
		}
	}
	newMemory(t, dag.MemoryConfig{MaxPerDomain: 1, MaxBytes: 1})
	if math.MaxInt == math.MaxInt32 {
		return
	}
	const most = int64(1 << 38)
	newMemory(t, dag.MemoryConfig{MaxBytes: int(most - 1)})
	newMemory(t, dag.MemoryConfig{MaxBytes: int(most)})
	if m, err := dag.NewMemory(dag.MemoryConfig{MaxBytes: int(most + 1)}); err == nil || m != nil || !strings.Contains(err.Error(), "dag.MemoryConfig.MaxBytes") {
		t.Errorf("NewMemory with too many bytes = %v, %v, want an error that names MaxBytes", m, err)
	}
}

// dropAll lets time pass until nothing is kept.
func dropAll(t *testing.T, m *dag.Memory, c *clock) {
	t.Helper()
	c.add(2 * time.Hour)
	for n, _ := m.Len(); n > 0; n, _ = m.Len() {
		admit(t, m, rules())
		if left, _ := m.Len(); left >= n {
			t.Fatalf("%d tokens are kept, however quiet", left)
		}
	}
	if n := m.Bytes(); n != 0 {
		t.Errorf("an empty store counts %d bytes", n)
	}
}

// TestDomainShare: a trust domain that fills its share takes no room of another, and
// neither this process's own tokens nor unsigned ones count for it (profile 5.10, 7.4).
func TestDomainShare(t *testing.T) {
	for _, tt := range []struct {
		name         string
		config       dag.MemoryConfig
		share, total uint64
	}{
		{"set", dag.MemoryConfig{MaxTasks: 10, MaxPerDomain: 3}, 3, 10},
		{"one", dag.MemoryConfig{MaxTasks: 10, MaxPerDomain: 1}, 1, 10},
		{"half unless set", dag.MemoryConfig{MaxTasks: 10}, 5, 10},
		{"never nothing", dag.MemoryConfig{MaxTasks: 1}, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			tt.config.Quiet, tt.config.Now = time.Hour, c.Now
			m := newMemory(t, tt.config)
			for round := range 2 {
				for n := range tt.share {
					admit(t, m, rules(), tok(n+1, from("one")))
				}
				if n := m.Domain("one"); n != int(tt.share) {
					t.Fatalf("%d tokens are counted, want %d", n, tt.share)
				}
				wantFull(t, m, tok(50, from("one")))
				admit(t, m, rules(), tok(1, from("one"))) // known
				if tt.total > tt.share+2 {
					wantFull(t, m, tok(50, from("two")), tok(51, from("one"))) // all or nothing
					wantHas(t, m, false, tok(50, from("two")))
					admit(t, m, rules(), tok(60, from("one"), own))
					admit(t, m, rules(), tok(61, from("one"), unsigned))
					for n := tt.share + 2; n < tt.total; n++ {
						admit(t, m, rules(), tok(n+100, from(fmt.Sprint("other ", n))))
					}
					if n := m.Domain("one"); n != int(tt.share) {
						t.Errorf("%d tokens are counted for a domain that got none, want %d", n, tt.share)
					}
				}
				wantLen(t, m, int(tt.total), min(1, int(tt.total-1)))
				dropAll(t, m, c)
				if n := m.Domain("one"); n != 0 {
					t.Errorf("round %d: an empty store counts %d of a domain", round, n)
				}
			}
		})
	}
}

// TestDomainShareInBatch holds the tokens of one batch against the share together.
func TestDomainShareInBatch(t *testing.T) {
	m := newMemory(t, dag.MemoryConfig{MaxTasks: 10, MaxPerDomain: 2})
	wantFull(t, m, tok(1, from("one")), tok(2, from("one")), tok(3, from("one")))
	wantLen(t, m, 0, 0)
	admit(t, m, rules(), tok(1, from("one")), tok(2, from("one")), tok(3, from("two")), tok(4, from("two")))
	// A batch of which one is known asks for room for the others alone.
	wantFull(t, m, tok(1, from("one")), tok(5, from("two")))
	admit(t, m, rules(), tok(1, from("one")), tok(6, from("three")))
	wantLen(t, m, 5, 0)
}

// TestQuietDomainMakesRoom drops what is quiet for a domain that is at its share, though
// the store has room.
func TestQuietDomainMakesRoom(t *testing.T) {
	c := newClock()
	m := newMemory(t, dag.MemoryConfig{MaxTasks: 100, MaxPerDomain: 5, Quiet: time.Hour, Now: c.Now})
	for n := range uint64(5) {
		admit(t, m, rules(), tok(n+1, from("one"), in(flow(n))))
	}
	wantFull(t, m, tok(50, from("one"), in(flow(9))))
	c.add(2 * time.Hour)
	admit(t, m, rules(), tok(51, from("one"), in(flow(10))), tok(52, from("one"), in(flow(10))), tok(53, from("one"), in(flow(10))), tok(54, from("one"), in(flow(10))))
	if n := m.Domain("one"); n > 5 {
		t.Errorf("%d tokens of a domain are kept, want no more than 5", n)
	}
	wantHas(t, m, true, tok(51), tok(54))
}

// bytesOf returns what a token is counted to take.
func bytesOf(t *testing.T, e dag.Entry) int {
	t.Helper()
	m := newMemory(t, dag.MemoryConfig{})
	admit(t, m, rules(), e)
	return m.Bytes()
}

// TestBytes holds the store to its bytes: at, one under, one over. This process's own
// tokens have a reserve there too.
func TestBytes(t *testing.T) {
	size := bytesOf(t, tok(1))
	for _, tt := range []struct {
		max, fit, own int
	}{
		{size - 1, 0, 1}, // with its reserve of an eighth
		{size, 1, 0},
		{size + 1, 1, 0},
		{8*size - 1, 7, 1},
		{8 * size, 8, 1},
		{8*size + 1, 8, 1},
		{9*size - 1, 8, 2},
	} {
		t.Run(fmt.Sprintf("%+d", tt.max-8*size), func(t *testing.T) {
			c := newClock()
			m := newMemory(t, dag.MemoryConfig{MaxBytes: tt.max, Quiet: time.Hour, Now: c.Now})
			for range 2 {
				for n := range uint64(tt.fit) {
					admit(t, m, rules(), tok(n+1))
				}
				wantFull(t, m, tok(50))
				for n := range uint64(tt.own) {
					admit(t, m, rules(), tok(n+60, own))
				}
				wantFull(t, m, tok(70, own))
				wantLen(t, m, tt.fit+tt.own, 0)
				if got := m.Bytes(); got != size*(tt.fit+tt.own) {
					t.Errorf("%d bytes are counted, want %d", got, size*(tt.fit+tt.own))
				}
				dropAll(t, m, c)
			}
		})
	}
}

// TestBytesOf: what a token says takes room: its text, its issuer, its edges.
func TestBytesOf(t *testing.T) {
	var edges []dag.Edge
	for n := range uint64(100) {
		edges = append(edges, name(n+2))
	}
	plain := bytesOf(t, tok(1, allowed))
	if got := bytesOf(t, tok(1, allowed, by(strings.Repeat("a", 1001)))); got != plain+1000 {
		t.Errorf("an issuer of 1001 bytes takes %d more than one of 1", got-plain)
	}
	long := tok(1, allowed)
	long.Token += strings.Repeat("x", 1000)
	if got := bytesOf(t, long); got != plain+1000 {
		t.Errorf("a text longer by 1000 bytes takes %d more", got-plain)
	}
	if got := bytesOf(t, tok(1, allowed, after(edges...))); got < plain+100*40 {
		t.Errorf("100 edges take %d bytes, and hold 40 each at least", got-plain)
	}
	m := newMemory(t, dag.MemoryConfig{MaxBytes: 2*plain + 1})
	wantFull(t, m, tok(1, allowed, after(edges...)))
	admit(t, m, rules(), tok(1), tok(2))
	if got := m.Bytes(); got != 2*plain {
		t.Errorf("%d bytes are counted, want %d", got, 2*plain)
	}
}
