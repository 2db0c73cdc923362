// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/id"
)

// TestWalkBudgetOfBatch: the walk is bounded for all tokens of one message together, or a
// message of many would cost as many walks (profile 5.4).
func TestWalkBudgetOfBatch(t *testing.T) {
	const first, tokens, ancestors = 1 << 30, 4, 10
	for _, tt := range []struct {
		limit int
		want  dag.Reason
	}{
		{tokens*ancestors - 1, dag.WalkLimit}, {tokens * ancestors, 0}, {tokens*ancestors + 1, 0}, {ancestors, dag.WalkLimit},
	} {
		t.Run(fmt.Sprint(tt.limit), func(t *testing.T) {
			s := newMemory(t, dag.MemoryConfig{})
			last := chain(t, s, ancestors)
			var all []dag.Entry
			for n := range uint64(tokens) {
				all = append(all, tok(first+n, after(to(last))))
				admit(t, s, rules(), tok(first+100+n, after(name(first+n)), allowed)) // so that it is walked
			}
			r := rules()
			r.MaxWalk = tt.limit
			for n := range all { // each alone is within the bound
				if _, err := s.Check(t.Context(), propose(all[n:n+1], r)); err != nil {
					t.Fatalf("Check of one: %v", err)
				}
			}
			_, err := s.Check(t.Context(), propose(all, r))
			wantReason(t, err, tt.want)
			_, err = s.Admit(t.Context(), propose(all, r))
			wantReason(t, err, tt.want)
			wantHas(t, s, tt.want == 0, all...)
		})
	}
}

// TestWalkBudgetOfEdges: few ancestors may have many edges, and looking at those is what
// takes the time.
func TestWalkBudgetOfEdges(t *testing.T) {
	const first = 1 << 30
	for _, tt := range []struct {
		edges uint64 // of the one ancestor, beside the one that leads there
		want  dag.Reason
	}{{98, 0}, {99, 0}, {100, dag.WalkLimit}, {1000, dag.WalkLimit}} {
		t.Run(fmt.Sprint(tt.edges), func(t *testing.T) {
			s := newMemory(t, dag.MemoryConfig{})
			var edges []dag.Edge
			for n := range tt.edges {
				edges = append(edges, name(n+100))
			}
			wide := tok(1, after(edges...), allowed)
			admit(t, s, rules(), wide, tok(first+1, after(name(first)), allowed))
			r := rules()
			r.MaxWalk = 10 // and ten edges for each
			_, err := s.Admit(t.Context(), propose(batch(tok(first, after(to(wide)))), r))
			wantReason(t, err, tt.want)
		})
	}
}

// TestUnsignedIsNotHeldAgainst: anybody can make an unsigned token that bears the id of
// a predecessor. A signed token that gives another digest for it is not refused for
// that: the predecessor is missing. This process's own tokens are refused for no token
// at all that came since (profile 3.6).
func TestUnsignedIsNotHeldAgainst(t *testing.T) {
	l1, signed := tok(1, unsigned), tok(1)
	child := after(elsewhere(1))
	low := dag.Judgement{Lowest: 1, Partial: true, Missing: []id.UUID{task(1)}, Preds: []id.Digest{{}}}
	runRules(t, []rule{
		{name: "known", known: batch(l1), batch: batch(tok(2, child)), want: dag.Missing},
		{name: "known, not required", known: batch(l1), batch: batch(tok(2, child, allowed)), judged: without(1)},
		{name: "known, of context", known: batch(l1), batch: batch(tok(8), tok(2, child, context)), judged: without(1)},
		{name: "in the batch", batch: batch(as(l1, context), tok(2, child)), want: dag.Missing, index: 1},
		{name: "in the batch, not required", batch: batch(as(l1, context), tok(2, child, allowed)), judged: without(1)},
		{name: "several", known: batch(l1, tok(1, unsigned, by("b"))), batch: batch(tok(2, child, allowed)), judged: without(1)},
		{name: "beside a signed one", known: batch(l1, signed), batch: batch(tok(2, child, allowed)), want: dag.Differs},
		{name: "an unsigned child, unsigned", known: batch(l1), batch: batch(tok(2, unsigned, child, allowed)), want: dag.Differs},
		{name: "an unsigned child, signed", known: batch(signed), batch: batch(tok(2, unsigned, child, allowed)), want: dag.Differs},
		{name: "an unsigned child, none", batch: batch(tok(2, unsigned, child, allowed)), judged: low},

		{name: "own, unsigned", known: batch(l1), batch: batch(tok(2, child, own)), judged: without(1)},
		{name: "own, signed", known: batch(signed), batch: batch(tok(2, child, own)), judged: without(1)},
		{name: "own, signed by others", known: batch(signed, tok(1, by("b"))), batch: batch(tok(2, child, own)), judged: without(1)},
		{name: "own, of context", known: batch(signed), batch: batch(tok(2, child, own, context)), judged: without(1)},
		{name: "own, in the batch", batch: batch(as(signed, context), tok(2, child, own)), judged: without(1)},
		{name: "own, unsigned itself", known: batch(l1), batch: batch(tok(2, unsigned, child, own)), judged: low},
	})
}

// TestLowestStaysLow: a token that came after an unsigned one is judged again once that
// was dropped. What was known of it once still counts (profile 5.6).
func TestLowestStaysLow(t *testing.T) {
	root := tok(1, unsigned, alone)
	child := tok(2, alone, allowed, after(to(root), name(9)))
	for name, e := range map[string]dag.Entry{"as a head": child, "as context": as(child, context)} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			m := newMemory(t, dag.MemoryConfig{Quiet: time.Minute, Now: c.Now})
			admit(t, m, rules(), root)
			c.add(50 * time.Second)
			if j := admit(t, m, rules(), child); j[0].Lowest != 1 {
				t.Fatalf("the lowest level is %d, want 1", j[0].Lowest)
			}
			c.add(20 * time.Second)
			admit(t, m, rules(), tok(5))
			wantHas(t, m, false, root)
			wantHas(t, m, true, child)
			for range 2 {
				j, err := m.Check(t.Context(), propose(batch(e), rules()))
				if err != nil || j[0].Lowest != 1 {
					t.Errorf("Check = %+v, %v, want the lowest level 1", j, err)
				}
				if j := admit(t, m, rules(), e); j[0].Lowest != 1 {
					t.Errorf("Admit = %+v, want the lowest level 1", j)
				}
			}
			// What comes after it, and a policy that asks for more, see it as well.
			if j := admit(t, m, rules(), tok(3, alone, after(to(child)))); j[0].Lowest != 1 {
				t.Errorf("the next one = %+v, want the lowest level 1", j)
			}
			r := rules()
			r.MinLevel = 2
			_, err := m.Check(t.Context(), propose(batch(e), r))
			wantReason(t, err, dag.ChainLevel)
		})
	}
}
