// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/go-ect/ect/core"
)

// TestFanOutCostsTheSame: what a branch costs does not grow with how many there are,
// also where they begin on a frontier that is as wide, for a peer that gets context.
func TestFanOutCostsTheSame(t *testing.T) {
	bytesPerBranch := func(n, generations int) float64 {
		p := newTaskPair(t, func(p *taskPair) { p.fromTo.Context = generations })
		ctx, task := p.start(t)
		for range core.MaxContext {
			taskStep(ctx, t, task, "s")
		}
		wide(ctx, t, task, n)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		fork := task.Fork(ctx)
		for range n {
			p.dispatch(fork.Branch(ctx), t, task, "d").Done()
		}
		fork.Join()
		for range n {
			on, b := task.Branch(ctx)
			d := p.dispatch(on, t, task, "d")
			d.Done()
			b.Join()
		}
		taskFinish(ctx, t, task, core.Completion{})
		runtime.ReadMemStats(&after)
		return float64(after.TotalAlloc-before.TotalAlloc) / float64(n)
	}
	for _, generations := range []int{0, 3, core.MaxContext} {
		few, many := bytesPerBranch(250, generations), bytesPerBranch(2500, generations)
		if many > 1.5*few {
			t.Errorf("with %d generations a branch of 250 takes %.0f bytes, of 2500 %.0f", generations, few, many)
		}
	}
}

// BenchmarkFanOut makes two rounds of calls side by side, the second on the frontier
// that the first left. The time is of one call: it is to be the same whatever n is.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			calls := 0
			for b.Loop() {
				p := newTaskPair(b)
				ctx, task := p.start(b)
				for range 2 {
					fork := task.Fork(ctx)
					for range n {
						p.dispatch(fork.Branch(ctx), b, task, "d").Done()
					}
					fork.Join()
				}
				taskFinish(ctx, b, task, core.Completion{})
				calls += 2 * n
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(calls), "ns/call")
		})
	}
}
