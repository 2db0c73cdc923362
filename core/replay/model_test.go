// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core/replay"
)

// model is the store as one would write it down: a map, and a look at all of it.
type model struct {
	config        replay.Config
	start, latest int64
	claims        map[replay.Key]replay.Claim
}

func (m *model) now(clock int64) {
	m.latest = max(m.latest, clock)
	for k, c := range m.claims {
		if c.NotAfter < m.latest {
			delete(m.claims, k)
		}
	}
}

func (m *model) len() (signed, unsigned int) {
	for _, c := range m.claims {
		if c.Signed {
			signed++
		} else {
			unsigned++
		}
	}
	return signed, unsigned
}

func (m *model) full() bool {
	domains := make(map[string]int)
	for _, c := range m.claims {
		if c.Signed {
			domains[c.Domain]++
			if domains[c.Domain] > m.config.MaxPerDomain {
				return true
			}
		}
	}
	signed, unsigned := m.len()
	return signed > m.config.MaxSigned || unsigned > m.config.MaxUnsigned
}

func (m *model) claim(batch []replay.Claim, once bool) ([]replay.Outcome, error) {
	for _, c := range batch {
		if c.NotAfter < m.latest {
			return nil, replay.ErrExpired
		}
		if c.NotAfter > m.start+1<<32-2 {
			return nil, replay.ErrTooFar
		}
	}
	var got []replay.Outcome
	first := make(map[replay.Key]int)
	refused := false
	for i, c := range batch {
		held, ok := m.claims[c.Key]
		j, again := first[c.Key]
		o := fresh
		switch {
		case again && batch[j].Digest != c.Digest:
			o = conflict
		case again:
			o = got[j]
		case ok && held.Digest == c.Digest:
			o = same
		case ok:
			o = conflict
		}
		if !again {
			first[c.Key] = i
		}
		got = append(got, o)
		refused = refused || o == conflict || o == same && once
	}
	if refused {
		return got, nil
	}
	before := maps.Clone(m.claims)
	for _, c := range batch {
		held, ok := m.claims[c.Key]
		if !ok {
			held = c
		}
		held.NotAfter = max(held.NotAfter, c.NotAfter)
		m.claims[c.Key] = held
	}
	if m.full() {
		m.claims = before
		return nil, replay.ErrFull
	}
	return got, nil
}

func (m *model) release(batch []replay.Claim) {
	for _, c := range batch {
		if held, ok := m.claims[c.Key]; ok && held.Digest == c.Digest {
			delete(m.claims, c.Key)
		}
	}
}

// pair is a store and its model, on one clock.
type pair struct {
	store *replay.Memory
	model *model
	clock *clock
}

func newPair(t testing.TB, config replay.Config) *pair {
	t.Helper()
	c := newClock()
	config.Now = c.Now
	return &pair{
		store: newMemory(t, config),
		model: &model{config: config, start: start, latest: start, claims: make(map[replay.Key]replay.Claim)},
		clock: c,
	}
}

// source gives the decisions of a run: at random, or from the bytes of a fuzzer.
type source interface{ intn(n int) int }

type random struct{ *rand.Rand }

func (r random) intn(n int) int { return r.IntN(n) }

type bytes struct{ rest []byte }

func (b *bytes) intn(n int) int {
	if len(b.rest) == 0 {
		return 0
	}
	v := int(b.rest[0]) % n
	b.rest = b.rest[1:]
	return v
}

// step does one operation on both and compares. keys says from how many keys to draw.
func (p *pair) step(s source, keys int) error {
	switch op := s.intn(16); {
	case op < 10:
		batch, once := p.batch(s, keys), s.intn(2) == 0
		p.model.now(p.clock.unix.Load())
		got, err := p.store.Claim(context.Background(), batch, once)
		want, wantErr := p.model.claim(batch, once)
		if !errors.Is(err, wantErr) {
			return fmt.Errorf("Claim: error %w, want %w", err, wantErr)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("Claim(%v, %t) (-want +got):\n%s", batch, once, diff)
		}
	case op < 12:
		batch := p.batch(s, keys)
		p.model.now(p.clock.unix.Load())
		if err := p.store.Release(context.Background(), batch); err != nil {
			return fmt.Errorf("Release: %w", err)
		}
		p.model.release(batch)
	case op < 15:
		p.clock.add([...]int64{0, 1, 1, 1, 2, 5, 60, 64, 900, 4096, -1, -3, -70}[s.intn(13)])
	default:
		if s.intn(8) == 0 {
			p.clock.add([...]int64{86_400, 1 << 19, 1 << 25, -1 << 20}[s.intn(4)])
		}
	}
	// Len clears what has ended, and most of the time that has to be left to the others.
	if s.intn(8) != 0 {
		return nil
	}
	p.model.now(p.clock.unix.Load())
	signed, unsigned := p.store.Len()
	if s, u := p.model.len(); s != signed || u != unsigned {
		return fmt.Errorf("Len() = %d, %d, want %d, %d", signed, unsigned, s, u)
	}
	return nil
}

func (p *pair) batch(s source, keys int) []replay.Claim {
	lives := [...]int64{0, 1, 1, 3, 10, 30, 63, 64, 65, 900, 4096, 5000, 86_400, 1 << 26, -1, 1 << 33}
	n := 1
	if s.intn(3) == 0 {
		n += s.intn(5)
	}
	var batch []replay.Claim
	for range n {
		k := s.intn(keys)
		c := signed(uint64(k))
		if k%3 == 0 {
			c = unsigned(uint64(k))
		}
		// Few claims that are out of range, so that most batches get further.
		kinds := len(lives)
		if s.intn(8) != 0 {
			kinds -= 2
		}
		c.NotAfter = max(p.model.latest, p.clock.unix.Load()) + lives[s.intn(kinds)]
		if s.intn(4) == 0 {
			c.Digest = replay.Digest{byte(s.intn(3))}
		}
		c.Domain = []string{"example.org", "example.com", ""}[s.intn(3)]
		batch = append(batch, c)
	}
	return batch
}

func TestMemoryLikeModel(t *testing.T) {
	for _, tt := range []struct {
		name        string
		config      replay.Config
		keys, steps int
	}{
		{"tight", replay.Config{MaxSigned: 5, MaxUnsigned: 2, MaxPerDomain: 3}, 12, 20_000},
		{"middle", replay.Config{MaxSigned: 40, MaxUnsigned: 20, MaxPerDomain: 18}, 100, 10_000},
		{"wide", replay.Config{MaxSigned: 1000, MaxUnsigned: 500, MaxPerDomain: 400}, 3000, 10_000},
	} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%s/seed=%d", tt.name, seed), func(t *testing.T) {
				t.Parallel()
				p := newPair(t, tt.config)
				r := random{rand.New(rand.NewPCG(seed, 7))}
				for n := range tt.steps {
					if err := p.step(r, tt.keys); err != nil {
						t.Fatalf("step %d: %v", n, err)
					}
					if n%500 == 0 {
						if err := p.store.Check(); err != nil {
							t.Fatalf("step %d: %v", n, err)
						}
					}
				}
			})
		}
	}
}

func FuzzMemory(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte{0, 0, 0, 1, 0, 1, 0, 12, 1, 0, 0, 1, 0, 1, 0})
	r := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		seed := make([]byte, 400)
		for i := range seed {
			seed[i] = byte(r.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newPair(t, replay.Config{MaxSigned: 5, MaxUnsigned: 2, MaxPerDomain: 3})
		b := &bytes{data[:min(len(data), 4096)]}
		for n := 0; len(b.rest) > 0; n++ {
			if err := p.step(b, 12); err != nil {
				t.Fatalf("step %d: %v", n, err)
			}
		}
	})
}
