// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
)

// fanOut makes n calls side by side, each on a branch of its own that begins where ctx
// stands, and joins them. Some calls are answered, some not, some come with a step before
// or after: what each does depends on its number alone; when it does it, on chance.
func (p *taskPair) fanOut(ctx context.Context, t *testing.T, task *core.Task, r *rand.Rand, name string, n int) {
	t.Helper()
	fork := task.Fork(ctx)
	on := make([]context.Context, n)
	for k := range n {
		on[k] = fork.Branch(ctx) //nolint:fatcontext // each beside the others
	}
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for _, k := range r.Perm(n) {
		pauses := r.IntN(20)
		wg.Go(func() {
			<-begin
			for range pauses {
				runtime.Gosched()
			}
			ctx, action := on[k], fmt.Sprint(name, k)
			d, err := task.Dispatch(ctx, p.fromTo, core.DispatchInput{Action: action})
			if err != nil {
				t.Errorf("Dispatch(%q): %v", action, err)
				return
			}
			switch k % 10 {
			case 0, 1:
				p.answer(ctx, t, d)
			case 2:
				d.Done()
				p.answer(ctx, t, d)
			case 3:
				d.Done()
				taskStep(ctx, t, task, action+"-after")
			default:
				d.Done()
			}
		})
	}
	close(begin)
	wg.Wait()
	fork.Join()
}

// TestFanOutWhateverTheTiming has a handler make a thousand calls side by side, and
// then as many again: the graph is the same each time, join steps included.
func TestFanOutWhateverTheTiming(t *testing.T) {
	runs := 12
	if testing.Short() || raceEnabled {
		runs = 3
	}
	const calls = 1000
	var want map[string]string
	for run := range runs {
		r := rand.New(rand.NewPCG(uint64(run), 7))
		p := newTaskPair(t)
		ctx, task := p.accept(t, p.heads(t, "head")...)
		taskStep(ctx, t, task, "first")
		p.fanOut(ctx, t, task, r, "a", calls)
		p.fanOut(ctx, t, task, r, "b", calls)
		taskFinish(ctx, t, task, core.Completion{})
		if t.Failed() {
			return
		}
		shape := p.fromLog.shape()
		if want == nil {
			want = shape
			for k := range calls {
				if got := shape[fmt.Sprint("a", k)]; got != "first" {
					t.Errorf("a%d comes after %q, want the step before the fork", k, got)
				}
				if got := shape[fmt.Sprint("b", k)]; got != "join" {
					t.Errorf("b%d comes after %q, want the last join step", k, got)
				}
			}
		}
		if d := cmp.Diff(want, shape); d != "" {
			t.Fatalf("run %d has another graph (-first +this):\n%s", run, d)
		}
		taskCovered(t, p.fromLog, nil)
		wantThroughJoins(t, p.fromLog, "b", calls)
	}
}

// wantThroughJoins says that the task token comes after the end of every branch through
// join steps and nothing else.
func wantThroughJoins(t *testing.T, l *taskLog, name string, n int) {
	t.Helper()
	last := l.issued[len(l.issued)-1]
	queue := slices.Clone(l.preds[taskEdge{last.Claims().TaskID, last.Digest().Short()}])
	ends := map[string]int{}
	for len(queue) > 0 {
		e := queue[0]
		if queue = queue[1:]; l.names[e] == "join" {
			queue = append(queue, l.preds[e]...)
			continue
		}
		ends[l.names[e]]++
	}
	for k := range n {
		end := fmt.Sprint(name, k)
		switch k % 10 {
		case 0, 1, 2:
			end += "!"
		case 3:
			end += "-after"
		}
		if ends[end] != 1 {
			t.Errorf("%d ways lead from the task token through join steps to %q, want 1", ends[end], end)
		}
	}
}

// TestJoinSteps counts them: one for as many branches as a token may name, whoever asks
// first and however many ask at once.
func TestJoinSteps(t *testing.T) {
	const calls, askers = 1000, 300
	for _, how := range []string{"one frontier", "branches", "forks", "branches, and the task beside them"} {
		t.Run(how, func(t *testing.T) {
			p := newTaskPair(t)
			ctx, task := p.accept(t, p.heads(t, "head")...)
			var all []*core.Dispatch
			for range calls {
				all = append(all, p.dispatch(ctx, t, task, "d"))
			}
			for _, d := range all {
				d.Done()
			}
			var wg sync.WaitGroup
			for n := range askers {
				on := ctx
				switch {
				case how == "branches", how != "one frontier" && n%2 == 0:
					on, _ = task.Branch(ctx)
				case how == "forks":
					on = task.Fork(ctx).Branch(ctx)
				}
				wg.Go(func() {
					if _, err := task.Dispatch(on, p.fromTo, core.DispatchInput{Action: fmt.Sprint("after", n)}); err != nil {
						t.Errorf("Dispatch: %v", err)
					}
				})
			}
			wg.Wait()
			taskStep(ctx, t, task, "s1")
			taskStep(ctx, t, task, "s2")
			shape := p.fromLog.shape()
			if got, want := len(shape)-calls-askers-2, joinsOf(calls); got != want {
				t.Errorf("there are %d join steps, want %d", got, want)
			}
			for n := range askers {
				if got := shape[fmt.Sprint("after", n)]; got != "join" {
					t.Errorf("call %d comes after %q, want the last join step", n, got)
				}
			}
			if shape["s1"] != "join" || shape["s2"] != "s1" {
				t.Errorf("the steps after it come after %q and %q", shape["s1"], shape["s2"])
			}
			taskFinish(ctx, t, task, core.Completion{})
			taskCovered(t, p.fromLog, nil)
		})
	}
}

// TestBranchesAskedForByTheWork: branches that the work itself asks for begin at the
// fork as well, however much was done on others by then.
func TestBranchesAskedForByTheWork(t *testing.T) {
	const branches = 200
	p := newTaskPair(t)
	ctx, task := p.accept(t, p.heads(t, "head")...)
	fork := task.Fork(ctx)
	taskStep(ctx, t, task, "beside")
	var wg sync.WaitGroup
	for n := range branches {
		wg.Go(func() {
			on := fork.Branch(t.Context())
			for k := range 3 {
				taskStep(on, t, task, fmt.Sprint(n, "-", k))
			}
		})
	}
	wg.Wait()
	fork.Join()
	taskStep(ctx, t, task, "last")
	taskFinish(ctx, t, task, core.Completion{})
	shape := p.fromLog.shape()
	for n := range branches {
		for k, want := range []string{"head", fmt.Sprint(n, "-0"), fmt.Sprint(n, "-1")} {
			if got := shape[fmt.Sprint(n, "-", k)]; got != want {
				t.Errorf("step %d of branch %d comes after %q, want %q", k, n, got, want)
			}
		}
	}
	if shape["beside"] != "head" || shape["task"] != "head+last" {
		t.Errorf("the step beside comes after %q, the task after %q", shape["beside"], shape["task"])
	}
	taskCovered(t, p.fromLog, nil)
}

// TestNestedForksInAnyOrder runs branches of several steps each, with forks and branches
// on them, and joins them in random order: the graph is the same.
func TestNestedForksInAnyOrder(t *testing.T) {
	runs := 40
	if testing.Short() || raceEnabled {
		runs = 10
	}
	var want map[string]string
	for run := range runs {
		r := rand.New(rand.NewPCG(uint64(run), 3))
		p := newTaskPair(t)
		ctx, task := p.accept(t, p.heads(t, "h1", "h2")...)
		outer := task.Fork(ctx)
		var wg sync.WaitGroup
		for n := range 3 {
			on, seed := outer.Branch(ctx), r.Uint64()
			wg.Go(func() { p.nested(on, t, task, rand.New(rand.NewPCG(seed, 1)), fmt.Sprint(n)) })
		}
		wg.Wait()
		outer.Join()
		taskStep(ctx, t, task, "last")
		taskFinish(ctx, t, task, core.Completion{})
		shape := p.fromLog.shape()
		if want == nil {
			want = shape
		}
		if d := cmp.Diff(want, shape); d != "" {
			t.Fatalf("run %d has another graph (-first +this):\n%s", run, d)
		}
		taskCovered(t, p.fromLog, nil)
	}
	for token, preds := range map[string]string{
		"0": "h1+h2", "0.0": "0", "0.0.0": "0.0", "0.0.1": "0.0.0!", "0.1.1": "0.1.0", "1.end": "1.0.1+1.1.1+1.2.1!+1.3.1",
		"last": "0.end+1.end+2.end", "task": "h1+h2+last",
	} {
		if want[token] != preds {
			t.Errorf("%q comes after %q, want %q", token, want[token], preds)
		}
	}
}

// nested is a step, branches of two steps or calls each that are joined in any order,
// and a step.
func (p *taskPair) nested(ctx context.Context, t *testing.T, task *core.Task, r *rand.Rand, name string) {
	t.Helper()
	taskStep(ctx, t, task, name)
	var on [4]context.Context
	var all [4]*core.Branch
	for n := range on {
		on[n], all[n] = task.Branch(ctx) //nolint:fatcontext // each beside the others
	}
	var wg sync.WaitGroup
	for _, n := range r.Perm(len(on)) {
		wg.Go(func() {
			at := fmt.Sprint(name, ".", n)
			taskStep(on[n], t, task, at)
			inner := task.Fork(on[n])
			ctx := inner.Branch(on[n])
			if n%2 == 0 {
				p.call(ctx, t, task, at+".0")
			} else {
				taskStep(ctx, t, task, at+".0")
			}
			inner.Join()
			if n == 2 {
				p.call(on[n], t, task, at+".1")
			} else {
				taskStep(on[n], t, task, at+".1")
			}
		})
	}
	wg.Wait()
	for _, n := range r.Perm(len(all)) {
		all[n].Join()
	}
	taskStep(ctx, t, task, name+".end")
}
