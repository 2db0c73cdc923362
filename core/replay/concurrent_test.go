// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-ect/ect/core/replay"
)

func TestClaimOneWinnerConcurrentSafe(t *testing.T) {
	m := newMemory(t, replay.Config{Now: newClock().Now})
	const goroutines, rounds = 16, 200
	wins := make([]atomic.Int32, rounds)
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for n := range uint64(rounds) {
				got, err := m.Claim(t.Context(), []replay.Claim{signed(n)}, true)
				if err != nil {
					t.Errorf("Claim: %v", err)
					return
				}
				if got[0] == fresh {
					wins[n].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for n := range wins {
		if got := wins[n].Load(); got != 1 {
			t.Errorf("key %d was fresh for %d, want 1", n, got)
		}
	}
	wantLen(t, m, rounds, 0)
}

func TestBatchesOverlapConcurrentSafe(t *testing.T) {
	// Each key is in many batches, in any order. No key is won twice, and a batch wins
	// all of its keys or none.
	m := newMemory(t, replay.Config{Now: newClock().Now})
	const goroutines, rounds, keys = 8, 300, 600
	wins := make([]atomic.Int32, keys)
	won := atomic.Int32{}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 3))
			for range rounds {
				var batch []replay.Claim
				for _, k := range r.Perm(keys)[:1+r.IntN(6)] {
					batch = append(batch, signed(uint64(k)))
				}
				got, err := m.Claim(t.Context(), batch, true)
				if err != nil {
					t.Errorf("Claim: %v", err)
					return
				}
				all := true
				for _, o := range got {
					all = all && o == fresh
				}
				if !all {
					continue
				}
				for _, c := range batch {
					for k := range uint64(keys) {
						if signed(k).Key == c.Key {
							wins[k].Add(1)
							won.Add(1)
						}
					}
				}
			}
		})
	}
	wg.Wait()
	for k := range wins {
		if got := wins[k].Load(); got > 1 {
			t.Errorf("key %d was won %d times", k, got)
		}
	}
	wantLen(t, m, int(won.Load()), 0)
}

func TestCapsAreExactConcurrentSafe(t *testing.T) {
	// More claims than room: exactly as many are kept as fit, none is refused before.
	for _, size := range []int{1, 4} {
		t.Run(fmt.Sprintf("batch=%d", size), func(t *testing.T) {
			m := newMemory(t, replay.Config{MaxSigned: 400, MaxPerDomain: 400, Now: newClock().Now})
			const goroutines = 8
			var kept atomic.Int32
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() {
					for n := range 200 / size {
						var batch []replay.Claim
						for i := range size {
							batch = append(batch, signed(uint64(g*1_000_000+n*10+i)))
						}
						_, err := m.Claim(t.Context(), batch, true)
						switch {
						case err == nil:
							kept.Add(int32(size))
						case !errors.Is(err, replay.ErrFull):
							t.Errorf("Claim: %v", err)
						case kept.Load() > 400:
							t.Errorf("%d kept", kept.Load())
						}
					}
				})
			}
			wg.Wait()
			if got := kept.Load(); got != 400 {
				t.Errorf("%d claims were kept, want 400", got)
			}
			wantLen(t, m, 400, 0)
		})
	}
}

func TestRoomIsNeverMissedConcurrentSafe(t *testing.T) {
	// As much room as there are goroutines, each of which holds one claim at most and
	// lets it go by release or by time: none is ever refused.
	c := newClock()
	const goroutines = 8
	m := newMemory(t, replay.Config{MaxSigned: goroutines, MaxPerDomain: goroutines, Now: c.Now})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 5))
			for n := range 500 {
				claim := until(signed(uint64(g*1_000_000+n)), c.unix.Load()+3)
				got, err := m.Claim(t.Context(), []replay.Claim{claim}, true)
				if errors.Is(err, replay.ErrExpired) {
					continue // the others moved the clock meanwhile
				}
				if err != nil || got[0] != fresh {
					t.Errorf("Claim = %v, %v, want fresh", got, err)
					return
				}
				if r.IntN(2) == 0 {
					if err := m.Release(t.Context(), []replay.Claim{claim}); err != nil {
						t.Errorf("Release: %v", err)
					}
					continue
				}
				for c.unix.Load() <= claim.NotAfter {
					c.add(1)
				}
			}
		})
	}
	wg.Wait()
	c.add(4)
	wantLen(t, m, 0, 0)
}

func TestEverythingAtOnceConcurrentSafe(t *testing.T) {
	c := newClock()
	m := newMemory(t, replay.Config{MaxSigned: 300, MaxUnsigned: 100, MaxPerDomain: 200, Now: c.Now})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 11))
			for range 2000 {
				var batch []replay.Claim
				for range 1 + r.IntN(8) {
					k := r.Uint64N(1000)
					claim := in(signed(k), fmt.Sprint(k%5))
					if k%4 == 0 {
						claim = unsigned(k)
					}
					batch = append(batch, until(claim, c.unix.Load()+r.Int64N(20)))
				}
				switch r.IntN(10) {
				case 0:
					c.add(r.Int64N(5) - 1)
				case 1:
					if s, u := m.Len(); s > 300 || u > 100 {
						t.Errorf("Len() = %d, %d: past a cap", s, u)
					}
				case 2, 3:
					if err := m.Release(t.Context(), batch); err != nil {
						t.Errorf("Release: %v", err)
					}
				default:
					_, err := m.Claim(t.Context(), batch, r.IntN(2) == 0)
					if err != nil && !errors.Is(err, replay.ErrFull) && !errors.Is(err, replay.ErrExpired) {
						t.Errorf("Claim: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := m.Check(); err != nil {
		t.Error(err)
	}
}
