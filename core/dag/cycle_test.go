// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-ect/ect/core/dag"
)

// loop is tokens 1 to n, each of which names the next, and the last the first. Only the
// edge from 1 to 2 must be unbound: nobody can name a digest that is not there yet.
func loop(n uint64, bound bool, mods ...mod) []dag.Entry {
	last := tok(1, append(mods, after(name(2)))...)
	all := make([]dag.Entry, n)
	all[0] = last
	for k := n; k > 1; k-- {
		e := name(k%n + 1)
		if bound {
			e = to(last)
		}
		last = tok(k, append(mods, after(e))...)
		all[k-1] = last
	}
	return all
}

func TestCycleInBatch(t *testing.T) {
	for n := uint64(2); n <= 8; n++ {
		for _, bound := range []bool{false, true} {
			for _, m := range []struct {
				name string
				mods []mod
			}{
				{"heads", nil}, {"partial", []mod{allowed}}, {"context", []mod{context}},
				{"unsigned", []mod{unsigned}},
			} {
				t.Run(fmt.Sprintf("%d/bound=%t/%s", n, bound, m.name), func(t *testing.T) {
					s := newMemory(t, dag.MemoryConfig{})
					all := loop(n, bound, m.mods...)
					_, err := s.Check(t.Context(), propose(all, rules()))
					wantReason(t, err, dag.Cycle)
					_, err = s.Admit(t.Context(), propose(append(all, tok(50, after(to(all[0])))), rules()))
					wantReason(t, err, dag.Cycle)
					wantLen(t, s, 0, 0)
				})
			}
		}
	}
}

func TestCycleAcrossMessages(t *testing.T) {
	for n := uint64(2); n <= 8; n++ {
		for _, bound := range []bool{false, true} {
			for _, m := range []struct {
				name string
				mods []mod
			}{{"signed", nil}, {"unsigned", []mod{unsigned}}, {"no workflow", []mod{alone}}} {
				t.Run(fmt.Sprintf("%d/bound=%t/%s", n, bound, m.name), func(t *testing.T) {
					all := loop(n, bound, m.mods...)
					// 1 names 2, which is not known; then n names 1, and so on down to 2.
					s := newMemory(t, dag.MemoryConfig{})
					admit(t, s, rules(), as(all[0], allowed))
					for k := n - 1; k > 1; k-- {
						admit(t, s, rules(), all[k])
					}
					held, l1 := s.Len()
					for _, mod := range []mod{allowed, context, func(*dag.Entry) {}} {
						_, err := s.Check(t.Context(), propose(batch(as(all[1], mod)), rules()))
						wantReason(t, err, dag.Cycle)
						_, err = s.Admit(t.Context(), propose(batch(tok(50), as(all[1], mod)), rules()))
						if r := wantReason(t, err, dag.Cycle); r.Index != 1 {
							t.Errorf("entry %d is refused, want 1", r.Index)
						}
						wantLen(t, s, held, l1)
					}
					if j := admit(t, s, rules(), as(all[0], allowed))[0]; len(j.Missing) != 1 {
						t.Errorf("the first token again is %+v", j)
					}
				})
			}
		}
	}
}

// TestCycleInAnyOrder lets the tokens of a loop in one by one, none of them required to
// know its predecessor. Whatever the order, the last one closes the loop: a token
// already seen names it (profile 5.4).
func TestCycleInAnyOrder(t *testing.T) {
	var orders func(n int) [][]int
	orders = func(n int) [][]int {
		if n == 0 {
			return [][]int{nil}
		}
		var all [][]int
		for _, o := range orders(n - 1) {
			for at := range n {
				all = append(all, slices.Insert(slices.Clone(o), at, n-1))
			}
		}
		return all
	}
	for n := 2; n <= 5; n++ {
		tokens := loop(uint64(n), false, allowed)
		for _, order := range orders(n) {
			t.Run(fmt.Sprint(order), func(t *testing.T) {
				s := newMemory(t, dag.MemoryConfig{})
				for _, k := range order[:n-1] {
					admit(t, s, rules(), tokens[k])
				}
				_, err := s.Admit(t.Context(), propose(batch(tokens[order[n-1]]), rules()))
				wantReason(t, err, dag.Cycle)
			})
		}
	}
}

// TestCycleHalfInBatch closes a loop with several tokens of one message.
func TestCycleHalfInBatch(t *testing.T) {
	for n := uint64(3); n <= 6; n++ {
		for k := uint64(2); k <= n; k++ {
			t.Run(fmt.Sprintf("%d of %d", k-1, n), func(t *testing.T) {
				all := loop(n, true)
				s := newMemory(t, dag.MemoryConfig{})
				admit(t, s, rules(), as(all[0], allowed))
				for o := n - 1; o >= k; o-- {
					admit(t, s, rules(), all[o])
				}
				_, err := s.Admit(t.Context(), propose(all[1:k], rules()))
				wantReason(t, err, dag.Cycle)
				// The token that leads back as well, as context.
				_, err = s.Admit(t.Context(), propose(append(batch(as(all[0], context)), all[1:k]...), rules()))
				wantReason(t, err, dag.Cycle)
				wantLen(t, s, int(n-k+1), 0)
			})
		}
	}
}

func TestNoCycle(t *testing.T) {
	runRules(t, []rule{
		{name: "the edge is bound to another", known: batch(tok(1, after(elsewhere(2)))), batch: batch(tok(2, after(name(1)))), judged: dag.Judgement{
			Lowest: 2, Partial: true, Preds: found(tok(1, after(elsewhere(2)))),
		}},
		{name: "an unsigned token can't be meant", known: batch(tok(1, after(name(2)))), batch: batch(tok(2, unsigned, after(name(1)))), judged: dag.Judgement{
			Lowest: 1, Partial: true, Preds: found(tok(1, after(name(2)))),
		}},
		{name: "named by a stranger", known: batch(tok(1, after(name(2))), tok(3)), batch: batch(tok(2, after(name(3)))), judged: l2(tok(3))},
		{name: "a root", known: batch(tok(1, after(name(2)))), batch: batch(tok(2)), judged: l2()},
		{name: "a diamond", known: batch(tok(1), tok(2, after(name(1))), tok(3, after(name(1)))), batch: batch(tok(4, after(name(2), name(3)))), judged: l2(tok(2, after(name(1))), tok(3, after(name(1))))},
		{name: "unsigned, but a signed one leads back", known: batch(tok(1, unsigned, after(name(2)))), batch: batch(tok(2, after(to(tok(1, unsigned, after(name(2))))))), want: dag.Cycle},
		{name: "a twin of what is meant", known: batch(tok(1, after(name(2))), tok(2)), batch: batch(tok(2, by("b"), after(name(1)))), want: dag.Cycle},
	})
}

// TestKnownTokenAgain presents a token again whose predecessor came since.
func TestKnownTokenAgain(t *testing.T) {
	t.Run("no cycle", func(t *testing.T) {
		s := newMemory(t, dag.MemoryConfig{})
		a := tok(1, after(name(2), name(3)))
		c := tok(3)
		admit(t, s, rules(), c)
		admit(t, s, rules(), as(a, allowed))
		admit(t, s, rules(), tok(4, after(to(a))))
		b := tok(2, after(to(c)))
		admit(t, s, rules(), b)
		if d := diff(l2(b, c), admit(t, s, rules(), a)[0]); d != "" {
			t.Errorf("the judgement (-want +got):\n%s", d)
		}
	})
	t.Run("in a cycle with another that is known", func(t *testing.T) {
		s := newMemory(t, dag.MemoryConfig{})
		a, b := tok(1, after(name(2))), tok(2, after(name(1)))
		admit(t, s, rules(), as(a, allowed))
		_, err := s.Admit(t.Context(), propose(batch(as(b, allowed)), rules()))
		wantReason(t, err, dag.Cycle)
		_, err = s.Admit(t.Context(), propose(batch(a, as(b, context)), rules()))
		wantReason(t, err, dag.Cycle)
	})
	for n := uint64(2); n <= 5; n++ {
		// 1 names 2. What names 1 comes, and then 1 is dropped. When 2 comes, nothing
		// that is known waits for it. When 1 comes again, it closes the loop: a token
		// already seen names it (profile 5.4).
		t.Run(fmt.Sprintf("dropped in between, %d", n), func(t *testing.T) {
			c := newClock()
			s := newMemory(t, dag.MemoryConfig{Quiet: time.Minute, Now: c.Now})
			all := loop(n+1, true, alone)
			admit(t, s, rules(), as(all[0], allowed))
			c.add(40 * time.Second)
			for k := n; k > 1; k-- {
				admit(t, s, rules(), all[k])
			}
			c.add(40 * time.Second)
			admit(t, s, rules(), tok(50, alone))
			wantHas(t, s, false, all[0])
			wantHas(t, s, true, all[2:]...)
			admit(t, s, rules(), all[1])
			for _, mod := range []mod{context, allowed, func(*dag.Entry) {}} {
				_, err := s.Admit(t.Context(), propose(batch(as(all[0], mod)), rules()))
				wantReason(t, err, dag.Cycle)
			}
		})
	}
}

// chain admits tokens 1 to n in a line, the first of which names predecessors as given.
func chain(tb testing.TB, s *dag.Memory, n uint64, first ...dag.Edge) dag.Entry {
	tb.Helper()
	last := tok(1, after(first...), allowed)
	admit(tb, s, rules(), last)
	for k := uint64(2); k <= n; k++ {
		last = tok(k, after(to(last)))
		admit(tb, s, rules(), last)
	}
	return last
}

func TestWalkLimit(t *testing.T) {
	const id = 1 << 30
	for _, tt := range []struct {
		name  string
		limit int
		chain uint64
		want  dag.Reason
	}{
		{"one, at", 1, 1, 0},
		{"one, over", 1, 2, dag.WalkLimit},
		{"under", 10, 9, 0},
		{"at", 10, 10, 0},
		{"over", 10, 11, dag.WalkLimit},
		{"far over", 10, 100, dag.WalkLimit},
		{"default, at", 0, dag.DefaultMaxWalk, 0},
		{"default, over", 0, dag.DefaultMaxWalk + 1, dag.WalkLimit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newMemory(t, dag.MemoryConfig{})
			r := rules()
			r.MaxWalk = tt.limit
			last := chain(t, s, tt.chain)
			admit(t, s, r, tok(id+1, after(to(last)))) // nobody names it: no walk
			admit(t, s, r, tok(id+2, after(name(id)), allowed))
			for _, mod := range []mod{func(*dag.Entry) {}, context} {
				_, err := s.Check(t.Context(), propose(batch(as(tok(id, after(to(last))), mod)), r))
				wantReason(t, err, tt.want)
			}
			_, err := s.Admit(t.Context(), propose(batch(tok(id, after(to(last)))), r))
			wantReason(t, err, tt.want)
		})
	}
}

// TestWalkCountsOnce walks a ladder, whose paths are many and whose rungs are few.
func TestWalkCountsOnce(t *testing.T) {
	s := newMemory(t, dag.MemoryConfig{})
	const rungs = 100
	edges := []dag.Edge{}
	for n := range uint64(rungs) {
		l, r := tok(2*n+1, after(edges...)), tok(2*n+2, after(edges...))
		admit(t, s, rules(), l, r)
		edges = []dag.Edge{to(l), to(r)}
	}
	admit(t, s, rules(), tok(999, after(name(1000)), allowed))
	r := rules()
	r.MaxWalk = 2*rungs - 1
	_, err := s.Check(t.Context(), propose(batch(tok(1000, after(edges...))), r))
	wantReason(t, err, dag.WalkLimit)
	r.MaxWalk = 2 * rungs
	admit(t, s, r, tok(1000, after(edges...)))
}

// TestCycleFarAway finds the one ancestor that leads back at the far end of the walk.
func TestCycleFarAway(t *testing.T) {
	s := newMemory(t, dag.MemoryConfig{})
	const id = 1 << 30
	last := chain(t, s, 5000, name(id))
	_, err := s.Admit(t.Context(), propose(batch(tok(id, after(to(last)))), rules()))
	wantReason(t, err, dag.Cycle)
}
