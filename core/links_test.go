// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"testing"

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
