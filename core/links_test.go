// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
)

// TestWideRoundsStaySmall makes many rounds of calls side by side that nobody answers,
// for a peer that gets as much context as there can be: what a call costs does not grow
// with the number of ways that lead to a token.
func TestWideRoundsStaySmall(t *testing.T) {
	const width, rounds = 12, 8
	p := newTaskPair(t, func(p *taskPair) { p.fromTo.Context = core.MaxContext })
	ctx, task := p.start(t)
	for round := range rounds {
		var all []*core.Dispatch
		for len(all) < width {
			allocs := testing.AllocsPerRun(1, func() { // which runs it twice
				all = append(all, p.dispatch(ctx, t, task, "d"))
			})
			// A token costs about 200, and 8 generations of 12 are 96.
			if allocs > 2500 {
				t.Fatalf("a dispatch of round %d makes %.0f allocations", round, allocs)
			}
		}
		for _, d := range all {
			d.Done()
		}
	}
}

// TestTrim cuts links of random graphs: what is left is the nearest generations, each
// token once a generation.
func TestTrim(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for range 300 {
		preds := make([][]int, 1+r.IntN(12))
		name := r.Perm(len(preds)) // so that predecessors come before and after
		name[slices.Index(name, 0)], name[0] = name[0], 0
		for n := range preds {
			for p := n + 1; p < len(preds); p++ {
				if r.IntN(3) == 0 {
					preds[name[n]] = append(preds[name[n]], name[p])
				}
			}
		}
		for generations := range core.MaxContext + 1 {
			var want [][]byte
			for level := []int{0}; len(level) > 0 && len(want) <= generations; {
				var here []byte
				var next []int
				for _, n := range level {
					here = append(here, byte(n))
					for _, p := range preds[n] {
						if !slices.Contains(next, p) {
							next = append(next, p)
						}
					}
				}
				slices.Sort(here)
				want, level = append(want, here), next
			}
			depth, got := core.Trimmed(preds, generations)
			if d := cmp.Diff(want, got); d != "" || depth != len(got)-1 {
				t.Fatalf("%v cut to %d generations has %d (-want +got):\n%s", preds, generations, depth, d)
			}
		}
	}
}

// TestFrontierDepth: a task keeps what came along, and of its own history as much as some
// audience may be given.
func TestFrontierDepth(t *testing.T) {
	for _, generations := range []int{0, 1, 3, core.MaxContext} {
		p := newTaskPair(t, func(p *taskPair) { p.fromTo.Context, p.toFrom.Context = generations, generations })
		root := p.b.Token(p.a.Identity).Sign(t)
		child := p.b.Token(p.a.Identity).After(t, true, root).Sign(t)
		head := p.b.Token(p.a.Identity).After(t, true, child).Sign(t)
		ctx, task := p.accept(t, root, head, child)
		if got := core.FrontierDepth(task); got != 2 {
			t.Errorf("with %d generations, %d are kept of what came, want 2", generations, got)
		}
		kept := max(generations, 1)
		for n := range 6 {
			taskStep(ctx, t, task, "s")
			if got := core.FrontierDepth(task); got != min(kept, 3+3*n) {
				t.Errorf("with %d generations, %d are kept after a step, want %d", generations, got, min(kept, 3+3*n))
			}
			p.call(ctx, t, task, "c")
			// The answer comes after the dispatch, which may be among what came along with it.
			if got := core.FrontierDepth(task); got > kept {
				t.Errorf("with %d generations, %d are kept after a call, want no more than %d", generations, got, kept)
			}
		}
	}
}
