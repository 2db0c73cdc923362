// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/id"
)

// checkAdmit admits a batch that was checked before.
func checkAdmit(t *testing.T, m *dag.Memory, e []dag.Entry, r dag.Rules) ([]dag.Judgement, error) {
	p := propose(e, r)
	if _, err := m.Check(t.Context(), p); err != nil {
		return nil, err
	}
	return m.Admit(t.Context(), p)
}

// TestEquivocationConcurrentSafe lets several tokens of one id race: one is kept.
func TestEquivocationConcurrentSafe(t *testing.T) {
	m := newMemory(t, dag.MemoryConfig{})
	const rounds, rivals = 200, 8
	wins := make([]atomic.Int32, rounds)
	var wg sync.WaitGroup
	for g := range rivals {
		wg.Go(func() {
			for n := range uint64(rounds) {
				e := tok(n, saying(string(rune('a'+g))))
				_, err := checkAdmit(t, m, batch(e), rules())
				switch r, refused := errors.AsType[*dag.Refusal](err); {
				case err == nil:
					wins[n].Add(1)
				case !refused || r.Reason != dag.Equivocation:
					t.Errorf("Admit: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for n := range wins {
		if got := wins[n].Load(); got != 1 {
			t.Errorf("%d tokens of task %d were let in, want 1", got, n)
		}
	}
	wantLen(t, m, rounds, 0)
}

// TestCycleConcurrentSafe lets the tokens of a loop race: never all of them are kept.
func TestCycleConcurrentSafe(t *testing.T) {
	m := newMemory(t, dag.MemoryConfig{})
	const rounds, length = 200, 4
	var wg sync.WaitGroup
	admitted := make([]atomic.Int32, rounds)
	for k := range uint64(length) {
		wg.Go(func() {
			for n := range uint64(rounds) {
				first := 1 + n*length
				e := tok(first+k, after(name(first+(k+1)%length)), allowed)
				_, err := checkAdmit(t, m, batch(e), rules())
				switch r, refused := errors.AsType[*dag.Refusal](err); {
				case err == nil:
					admitted[n].Add(1)
				case !refused || r.Reason != dag.Cycle:
					t.Errorf("Admit: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for n := range admitted {
		if got := admitted[n].Load(); got != length-1 {
			t.Errorf("%d tokens of loop %d were let in, want %d", got, n, length-1)
		}
	}
}

// TestMemoryConcurrentSafe does everything at once, on a store that is nearly full.
func TestMemoryConcurrentSafe(t *testing.T) {
	c := newClock()
	m := newMemory(t, dag.MemoryConfig{MaxTasks: 300, MaxUnsigned: 50, Quiet: time.Minute, Now: c.Now})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 5))
			var mine []dag.Entry
			for n := range 1500 {
				mods := []mod{in(flow(uint64(r.IntN(40)))), by(string(rune('a' + g))), allowed}
				if r.IntN(5) == 0 {
					mods = append(mods, unsigned)
				}
				if r.IntN(5) == 0 {
					mods = append(mods, alone)
				}
				for _, k := range []uint64{1, 2, 3} {
					if r.IntN(3) == 0 {
						mods = append(mods, after(name(k*1000+uint64(r.IntN(200)))))
					}
				}
				e := tok(uint64(r.IntN(800)), mods...)
				if len(mine) > 0 && r.IntN(3) == 0 {
					e = mine[r.IntN(len(mine))]
				}
				b := batch(e)
				if r.IntN(4) == 0 {
					next := tok(10_000+uint64(r.IntN(800)), in(e.Workflow), after(to(e)), by(string(rune('a'+g))))
					b = append(b, next)
				}
				var js []dag.Judgement
				var err error
				switch r.IntN(4) {
				case 0:
					js, err = m.Check(t.Context(), propose(b, cross()))
				case 1:
					js, err = m.Admit(t.Context(), propose(b, cross()))
				default:
					js, err = checkAdmit(t, m, b, cross())
				}
				if _, refused := errors.AsType[*dag.Refusal](err); err != nil && !refused && !errors.Is(err, dag.ErrFull) {
					t.Errorf("Admit: %v", err)
				}
				for n := range js {
					if len(js[n].Preds) != len(b[n].Preds) || js[n].Lowest > b[n].Level {
						t.Errorf("the judgement of %v is %+v", b[n], js[n])
					}
				}
				mine = append(mine, e)
				if n%20 == 0 {
					c.add(time.Duration(r.IntN(5)) * time.Second)
				}
				if tasks, l1 := m.Len(); tasks > 340 || l1 > 57 {
					t.Errorf("Len() = %d, %d", tasks, l1)
				}
			}
		})
	}
	wg.Wait()
}

// TestJudgementsAreSnapshotsConcurrentSafe reads judgements while their tokens are
// judged again.
func TestJudgementsAreSnapshotsConcurrentSafe(t *testing.T) {
	m := newMemory(t, dag.MemoryConfig{})
	child, pred := tok(2, after(name(1))), tok(1)
	j := admit(t, m, rules(), as(child, allowed))[0]
	before := slices.Clone(j.Preds)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if !slices.Equal(j.Preds, before) || j.Preds[0] != (id.Digest{}) {
					t.Error("a judgement changed")
					return
				}
			}
		})
		wg.Go(func() {
			for range 200 {
				admitted, err := checkAdmit(t, m, batch(as(pred, context), child), rules())
				if err != nil || admitted[1].Partial {
					t.Errorf("Admit = %+v, %v", admitted, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
