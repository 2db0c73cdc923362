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

// steady is a clock that shows one second more every perSecond claims.
type steady struct{ n atomic.Uint64 }

func (s *steady) Now() time.Time { return time.Unix(start+int64(s.n.Load()/perSecond), 0) }

func (s *steady) next() replay.Claim {
	n := s.n.Add(1)
	return replay.Claim{
		Key: number(n), Digest: replay.Digest{byte(n)}, Signed: true, Domain: "example.org",
		NotAfter: start + int64(n/perSecond) + lifetime,
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// filled is a store with a million live claims, with the bytes it takes and the time
// it took to fill it from empty.
func filled(tb testing.TB, s *steady) (*replay.Memory, uint64, time.Duration) {
	before := heap()
	m, err := replay.NewMemory(replay.Config{MaxSigned: 2 * million, MaxPerDomain: 2 * million, Now: s.Now})
	if err != nil {
		tb.Fatal(err)
	}
	begin := time.Now()
	var batch [1]replay.Claim
	for range million {
		batch[0] = s.next()
		if got, err := m.Claim(tb.Context(), batch[:], true); err != nil || got[0] != fresh {
			tb.Fatalf("Claim = %v, %v", got, err)
		}
	}
	took := time.Since(begin)
	return m, heap() - before, took
}

func BenchmarkClaim(b *testing.B) {
	// The floor: what one would write first, a map under a mutex. A ring of keys takes
	// the place of expiry, so that both hold a million.
	b.Run("floor", func(b *testing.B) {
		type value struct {
			digest   replay.Digest
			notAfter int64
		}
		ring := make([]replay.Key, million)
		before := heap()
		var mu sync.Mutex
		held := make(map[replay.Key]value, million)
		s := new(steady)
		at := 0
		claim := func(c replay.Claim) []replay.Outcome {
			mu.Lock()
			defer mu.Unlock()
			got := make([]replay.Outcome, 1)
			if v, ok := held[c.Key]; ok && v.notAfter >= s.Now().Unix() {
				got[0] = same
				return got
			}
			delete(held, ring[at])
			held[c.Key] = value{c.Digest, c.NotAfter}
			ring[at] = c.Key
			at = (at + 1) % million
			got[0] = fresh
			return got
		}
		begin := time.Now()
		for range million {
			if claim(s.next())[0] != fresh {
				b.Fatal("a new claim is not fresh")
			}
		}
		filling := time.Since(begin)
		each := float64(heap()-before) / million
		b.ReportAllocs()
		for b.Loop() {
			if claim(s.next())[0] != fresh {
				b.Fatal("a new claim is not fresh")
			}
		}
		b.ReportMetric(each, "bytes/entry")
		b.ReportMetric(float64(filling.Nanoseconds())/million, "ns/filling")
		runtime.KeepAlive(held)
	})
	b.Run("fresh", func(b *testing.B) {
		s := new(steady)
		m, bytes, took := filled(b, s)
		ctx := b.Context()
		var batch [1]replay.Claim
		b.ReportAllocs()
		for b.Loop() {
			batch[0] = s.next()
			if got, err := m.Claim(ctx, batch[:], true); err != nil || got[0] != fresh {
				b.Fatalf("Claim = %v, %v", got, err)
			}
		}
		b.ReportMetric(float64(bytes)/million, "bytes/entry")
		b.ReportMetric(float64(took.Nanoseconds())/million, "ns/filling")
	})
	b.Run("fresh-parallel", func(b *testing.B) {
		s := new(steady)
		m, _, _ := filled(b, s)
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			ctx := b.Context()
			var batch [1]replay.Claim
			for pb.Next() {
				batch[0] = s.next()
				if got, err := m.Claim(ctx, batch[:], true); err != nil || got[0] != fresh {
					b.Errorf("Claim = %v, %v", got, err)
					return
				}
			}
		})
	})
	b.Run("same", func(b *testing.B) {
		s := new(steady)
		m, _, _ := filled(b, s)
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
			m, _, _ := filled(b, s)
			ctx := b.Context()
			batch := make([]replay.Claim, size)
			b.ReportAllocs()
			for b.Loop() {
				for i := range batch {
					batch[i] = s.next()
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
		batch := []replay.Claim{s.next()}
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
