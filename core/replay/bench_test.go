// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ect/ect/core/replay"
)

const (
	million = 1_000_000
	// With this many claims a second that live this long, a million are live.
	perSecond, lifetime = 1000, 1000
)

// number is a key that looks like a hash and costs next to nothing to make.
func number(n uint64) (k replay.Key) {
	for i := range 4 {
		n += 0x9e3779b97f4a7c15
		z := (n ^ n>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		binary.LittleEndian.PutUint64(k[8*i:], z^z>>31)
	}
	return k
}

// steady is a clock that shows one second more every perSecond claims. It reads the
// real clock too, so that what that costs is part of every claim.
type steady struct{ n atomic.Uint64 }

func (s *steady) Now() time.Time {
	return time.Unix(start+int64(s.n.Load()/perSecond), int64(time.Now().Nanosecond()))
}

// stream is one goroutine's share of the claims. It takes numbers many at a time, so
// that goroutines don't meet at the counter.
type stream struct {
	steady  *steady
	n, last uint64
}

func (s *stream) next() replay.Claim {
	const many = 64
	if s.n == s.last {
		s.last = s.steady.n.Add(many)
		s.n = s.last - many
	}
	s.n++
	return replay.Claim{
		Key: number(s.n), Digest: replay.Digest{byte(s.n)}, Signed: true, Domain: "example.org",
		NotAfter: start + int64(s.n/perSecond) + lifetime,
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// filled is a store with a million live claims, and the bytes it takes.
func filled(tb testing.TB, s *steady) (m *replay.Memory, bytes uint64) {
	before := heap()
	m, err := replay.NewMemory(replay.Config{MaxSigned: 2 * million, MaxPerDomain: 2 * million, Now: s.Now})
	if err != nil {
		tb.Fatal(err)
	}
	fill(tb, s, claimer(tb, m))
	return m, heap() - before
}

// claimer claims one fresh token.
func claimer(tb testing.TB, m *replay.Memory) func(batch []replay.Claim) {
	ctx := tb.Context()
	return func(batch []replay.Claim) {
		if got, err := m.Claim(ctx, batch, true); err != nil || got[0] != fresh {
			tb.Errorf("Claim = %v, %v, want fresh", got, err)
		}
	}
}

func fill(tb testing.TB, s *steady, claim func([]replay.Claim)) {
	from := stream{steady: s}
	batch := make([]replay.Claim, 1)
	for range million {
		if tb.Failed() {
			tb.FailNow()
		}
		batch[0] = from.next()
		claim(batch)
	}
}

// floor is what one would write first: a map under a mutex. A ring of keys takes the
// place of expiry, so that it holds a million too.
type floor struct {
	mu   sync.Mutex
	now  func() time.Time
	held map[replay.Key]held
	ring []replay.Key
	at   int
}

type held struct {
	digest   replay.Digest
	notAfter int64
}

func (f *floor) claim(c *replay.Claim) []replay.Outcome {
	got := make([]replay.Outcome, 1)
	now := f.now().Unix()
	f.mu.Lock()
	defer f.mu.Unlock()
	if h, ok := f.held[c.Key]; ok && h.notAfter >= now {
		got[0] = conflict
		if h.digest == c.Digest {
			got[0] = same
		}
		return got
	}
	delete(f.held, f.ring[f.at])
	f.held[c.Key] = held{c.Digest, c.NotAfter}
	f.ring[f.at] = c.Key
	f.at = (f.at + 1) % million
	got[0] = fresh
	return got
}

// steadily claims b.N fresh tokens, spread over goroutines; ns/op is the time from one
// claim to the next, whichever goroutine makes it.
func steadily(b *testing.B, goroutines int, s *steady, claim func([]replay.Claim)) {
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			from := stream{steady: s}
			batch := make([]replay.Claim, 1)
			for range (b.N + g) / goroutines {
				batch[0] = from.next()
				claim(batch)
			}
		})
	}
	wg.Wait()
}

func BenchmarkClaim(b *testing.B) {
	// A million live claims in all of them. For each that comes, one expires.
	b.Run("floor", func(b *testing.B) {
		ring := make([]replay.Key, million)
		before := heap()
		s := new(steady)
		f := &floor{now: s.Now, held: make(map[replay.Key]held, million), ring: ring}
		claim := func(batch []replay.Claim) {
			if got := f.claim(&batch[0]); got[0] != fresh {
				b.Errorf("claim = %v, want fresh", got)
			}
		}
		fill(b, s, claim)
		bytes := heap() - before
		for _, n := range []int{1, 2} {
			b.Run(fmt.Sprintf("goroutines=%d", n), func(b *testing.B) {
				steadily(b, n, s, claim)
				b.ReportMetric(float64(bytes)/million, "bytes/entry")
			})
		}
	})
	b.Run("fresh", func(b *testing.B) {
		s := new(steady)
		m, bytes := filled(b, s)
		for _, n := range []int{1, 2} {
			b.Run(fmt.Sprintf("goroutines=%d", n), func(b *testing.B) {
				steadily(b, n, s, claimer(b, m))
				b.ReportMetric(float64(bytes)/million, "bytes/entry")
			})
		}
		if live, _ := m.Len(); live < million-1000 || live > million+2*perSecond {
			b.Errorf("%d claims are live, want a million", live)
		}
	})
	b.Run("same", func(b *testing.B) {
		s := new(steady)
		m, _ := filled(b, s)
		ctx := b.Context()
		var batch [1]replay.Claim
		n := uint64(0)
		b.ReportAllocs()
		for b.Loop() {
			n = n*6364136223846793005 + 1442695040888963407
			k := 1 + (n>>33)%million
			batch[0] = replay.Claim{Key: number(k), Digest: replay.Digest{byte(k)}, Signed: true, NotAfter: start + 2*lifetime}
			if got, err := m.Claim(ctx, batch[:], true); err != nil || got[0] != same {
				b.Fatalf("Claim = %v, %v", got, err)
			}
		}
	})
	for _, size := range []int{4, 16} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			s := new(steady)
			m, _ := filled(b, s)
			ctx := b.Context()
			from := stream{steady: s}
			batch := make([]replay.Claim, size)
			b.ReportAllocs()
			for b.Loop() {
				for i := range batch {
					batch[i] = from.next()
				}
				if got, err := m.Claim(ctx, batch, true); err != nil || got[0] != fresh {
					b.Fatalf("Claim = %v, %v", got, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/claim")
		})
	}
	b.Run("full", func(b *testing.B) {
		// A flood against a full store, all of which is alive.
		s := new(steady)
		m, err := replay.NewMemory(replay.Config{MaxSigned: 1, Now: s.Now})
		if err != nil {
			b.Fatal(err)
		}
		ctx := b.Context()
		from := stream{steady: s}
		batch := []replay.Claim{from.next()}
		if _, err := m.Claim(ctx, batch, true); err != nil {
			b.Fatal(err)
		}
		batch[0].Key[0]++
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.Claim(ctx, batch, true); err == nil {
				b.Fatal("Claim: no error, want ErrFull")
			}
		}
	})
}

func BenchmarkNewKey(b *testing.B) {
	id := taskID(1)
	b.ReportAllocs()
	for b.Loop() {
		replay.NewKey(true, "spiffe://example.org/ns/production/sa/billing", id)
	}
}
