// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
)

// TestShapes pins the graphs that come out of what a handler does: of each token, by
// action, what it came after. A dispatch "x" is answered by "x!".
func TestShapes(t *testing.T) {
	type shape = map[string]string
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task)
		want shape
	}{
		{"nothing", func(*testing.T, *taskPair, context.Context, *core.Task) {}, shape{"task": "head"}},
		{"calls in a row", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			for _, a := range []string{"a", "b", "c"} {
				p.call(ctx, t, task, a)
			}
		}, shape{"a": "head", "b": "a!", "c": "b!", "task": "c!+head"}},
		{"steps in a row", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			for _, a := range []string{"a", "b", "c"} {
				taskStep(ctx, t, task, a)
			}
		}, shape{"a": "head", "b": "a", "c": "b", "task": "c+head"}},
		{"calls side by side", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			a, b := p.dispatch(ctx, t, task, "a"), p.dispatch(ctx, t, task, "b")
			p.answer(ctx, t, b)
			p.answer(ctx, t, a)
			p.call(ctx, t, task, "c")
		}, shape{"a": "head", "b": "head", "c": "a!+b!", "task": "c!+head"}},
		{"side by side twice", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			for n := range 2 {
				a, b := p.dispatch(ctx, t, task, fmt.Sprint("a", n)), p.dispatch(ctx, t, task, fmt.Sprint("b", n))
				p.answer(ctx, t, a)
				p.answer(ctx, t, b)
			}
		}, shape{"a0": "head", "b0": "head", "a1": "a0!+b0!", "b1": "a0!+b0!", "task": "a1!+b1!+head"}},
		{"a call beside steps", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			a := p.dispatch(ctx, t, task, "a")
			taskStep(ctx, t, task, "s1")
			taskStep(ctx, t, task, "s2")
			p.answer(ctx, t, a)
			taskStep(ctx, t, task, "s3")
		}, shape{"a": "head", "s1": "head", "s2": "s1", "s3": "a!+s2", "task": "head+s3"}},
		{"no answer", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			p.dispatch(ctx, t, task, "a").Done()
			p.call(ctx, t, task, "b")
		}, shape{"a": "head", "b": "a", "task": "b!+head"}},
		{"no answer beside an answer", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			a, b := p.dispatch(ctx, t, task, "a"), p.dispatch(ctx, t, task, "b")
			p.answer(ctx, t, b)
			a.Done()
			a.Done()
			taskStep(ctx, t, task, "s")
		}, shape{"a": "head", "b": "head", "s": "a+b!", "task": "head+s"}},
		{"done, then the answer", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			a := p.dispatch(ctx, t, task, "a")
			a.Done()
			p.answer(ctx, t, a)
			a.Done()
			taskStep(ctx, t, task, "s")
		}, shape{"a": "head", "s": "a!", "task": "head+s"}},
		{"done, a step, then the answer", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			a := p.dispatch(ctx, t, task, "a")
			a.Done()
			taskStep(ctx, t, task, "s")
			p.answer(ctx, t, a)
			taskStep(ctx, t, task, "s2")
		}, shape{"a": "head", "s": "a", "s2": "a!+s", "task": "head+s2"}},
		{"open at the end", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			p.dispatch(ctx, t, task, "a")
			taskStep(ctx, t, task, "s")
			p.dispatch(ctx, t, task, "b")
		}, shape{"a": "head", "s": "head", "b": "s", "task": "a+b+head"}},
		{"abandoned", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			a := p.dispatch(ctx, t, task, "a")
			a.Abandon()
			a.Done()
			taskStep(ctx, t, task, "s")
		}, shape{"a": "head", "s": "head", "task": "head+s"}},
		{"abandoned too late", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			a := p.dispatch(ctx, t, task, "a")
			a.Done()
			a.Abandon()
		}, shape{"a": "head", "task": "a+head"}},
		{"abandoned, and answered all the same", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			a := p.dispatch(ctx, t, task, "a")
			a.Abandon()
			p.answer(ctx, t, a)
		}, shape{"a": "head", "task": "a!+head"}},
		{"branches of several steps", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			x, bx := task.Branch(ctx)
			y, by := task.Branch(ctx)
			taskStep(x, t, task, "x1")
			taskStep(y, t, task, "y1")
			p.call(x, t, task, "x2")
			taskStep(y, t, task, "y2")
			bx.Join()
			by.Join()
			taskStep(ctx, t, task, "s")
		}, shape{"x1": "head", "y1": "head", "x2": "x1", "y2": "y1", "s": "x2!+y2", "task": "head+s"}},
		{"a branch and the task beside it", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			x, bx := task.Branch(ctx)
			taskStep(ctx, t, task, "m1")
			taskStep(x, t, task, "x1")
			taskStep(ctx, t, task, "m2")
			bx.Join()
			bx.Join()
			taskStep(ctx, t, task, "s")
		}, shape{"m1": "head", "x1": "head", "m2": "m1", "s": "m2+x1", "task": "head+s"}},
		{"a branch with nothing on it", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			_, b := task.Branch(ctx)
			taskStep(ctx, t, task, "s")
			b.Join()
			taskStep(ctx, t, task, "s2")
		}, shape{"s": "head", "s2": "s", "task": "head+s2"}},
		{"branches never joined", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			x, _ := task.Branch(ctx)
			y, _ := task.Branch(ctx)
			task.Branch(ctx)
			taskStep(x, t, task, "x1")
			taskStep(y, t, task, "y1")
			taskStep(ctx, t, task, "m1")
		}, shape{"x1": "head", "y1": "head", "m1": "head", "task": "head+m1+x1+y1"}},
		{"nested branches", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			x, bx := task.Branch(ctx)
			taskStep(x, t, task, "x1")
			y, by := task.Branch(x)
			z, bz := task.Branch(x)
			taskStep(y, t, task, "y1")
			taskStep(z, t, task, "z1")
			by.Join()
			bz.Join()
			taskStep(x, t, task, "x2")
			bx.Join()
			taskStep(ctx, t, task, "s")
		}, shape{"x1": "head", "y1": "x1", "z1": "x1", "x2": "y1+z1", "s": "x2", "task": "head+s"}},
		{"the outer branch is joined first", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			x, bx := task.Branch(ctx)
			taskStep(x, t, task, "x1")
			y, by := task.Branch(x)
			taskStep(y, t, task, "y1")
			bx.Join()
			taskStep(ctx, t, task, "s1")
			taskStep(y, t, task, "y2")
			by.Join()
			taskStep(ctx, t, task, "s2")
		}, shape{"x1": "head", "y1": "x1", "s1": "x1", "y2": "y1", "s2": "s1+y2", "task": "head+s2"}},
		{"the outer branch is joined, the inner never", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			x, bx := task.Branch(ctx)
			taskStep(x, t, task, "x1")
			y, _ := task.Branch(x)
			taskStep(y, t, task, "y1")
			bx.Join()
		}, shape{"x1": "head", "y1": "x1", "task": "head+y1"}},
		{"a late answer after the join", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			x, bx := task.Branch(ctx)
			a := p.dispatch(x, t, task, "a")
			bx.Join()
			taskStep(ctx, t, task, "s1")
			p.answer(ctx, t, a)
			taskStep(ctx, t, task, "s2")
		}, shape{"a": "head", "s1": "head", "s2": "a!+s1", "task": "head+s2"}},
		{"late, two branches up", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			x, bx := task.Branch(ctx)
			y, by := task.Branch(x)
			a, b := p.dispatch(y, t, task, "a"), p.dispatch(y, t, task, "b")
			bx.Join()
			by.Join()
			a.Done()
			taskStep(ctx, t, task, "s1")
			p.answer(ctx, t, b)
		}, shape{"a": "head", "b": "head", "s1": "a", "task": "b!+head+s1"}},
		{"another context is the task's own frontier", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			x, bx := task.Branch(ctx)
			taskStep(x, t, task, "x1")
			other, _ := p.start(t)
			taskStep(other, t, task, "m1")
			taskStep(t.Context(), t, task, "m2")
			bx.Join()
		}, shape{"x1": "head", "m1": "head", "m2": "m1", "task": "head+m2+x1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newTaskPair(t)
			ctx, task := p.accept(t, p.heads(t, "head")...)
			tt.do(t, p, ctx, task)
			taskFinish(ctx, t, task, core.Completion{})
			p.fromLog.wantShape(t, tt.want)
			if n := p.fromLog.unknown; len(n) > 0 {
				t.Errorf("tokens name %v, which was never seen", n)
			}
		})
	}
}

func TestJoinedBranchRefuses(t *testing.T) {
	p := newTaskPair(t)
	ctx, task := p.accept(t, p.heads(t, "head")...)
	x, bx := task.Branch(ctx)
	taskStep(x, t, task, "x1")
	bx.Join()
	if _, err := task.Step(x, "x2", core.StepInput{}); err == nil || errors.Is(err, core.ErrTaskFinished) {
		t.Errorf("Step on a joined branch = %v", err)
	}
	if d, err := task.Dispatch(x, p.fromTo, core.DispatchInput{}); err == nil || d != nil {
		t.Errorf("Dispatch on a joined branch = %v, %v", d, err)
	}
	taskFinish(ctx, t, task, core.Completion{})
	p.fromLog.wantShape(t, map[string]string{"x1": "head", "task": "head+x1"})
}

// TestBranchesInAnyOrder runs the steps of three branches in every order, and joins them
// in every order: the graph is the same.
func TestBranchesInAnyOrder(t *testing.T) {
	var want map[string]string
	r := rand.New(rand.NewPCG(1, 1))
	for range 60 {
		p := newTaskPair(t)
		ctx, task := p.accept(t, p.heads(t, "h1", "h2")...)
		taskStep(ctx, t, task, "first")
		var on [3]context.Context
		var branches [3]*core.Branch
		for n := range on {
			on[n], branches[n] = task.Branch(ctx) //nolint:fatcontext // each beside the others
		}
		var next [3]int
		for range 9 {
			n := r.IntN(3)
			for next[n] == 3 {
				n = (n + 1) % 3
			}
			action := fmt.Sprint(n, "-", next[n])
			if n == next[n] {
				p.call(on[n], t, task, action)
			} else {
				taskStep(on[n], t, task, action)
			}
			next[n]++
		}
		for _, n := range r.Perm(3) {
			branches[n].Join()
		}
		taskStep(ctx, t, task, "last")
		taskFinish(ctx, t, task, core.Completion{})
		if want == nil {
			want = p.fromLog.shape()
		}
		p.fromLog.wantShape(t, want)
	}
	if want["last"] != "0-2+1-2+2-2!" || want["0-0"] != "first" || want["0-1"] != "0-0!" || want["task"] != "h1+h2+last" {
		t.Errorf("the shape is %v", want)
	}
}

func TestWideFrontier(t *testing.T) {
	for _, n := range []int{core.MaxFrontier - 1, core.MaxFrontier, core.MaxFrontier + 1, core.MaxIssuedPred, core.MaxIssuedPred + 1, 200} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			p := newTaskPair(t)
			ctx, task := p.start(t)
			var all []*core.Dispatch
			for k := range n {
				all = append(all, p.dispatch(ctx, t, task, fmt.Sprint("d", k)))
			}
			for _, d := range all {
				d.Done()
			}
			taskStep(ctx, t, task, "s")
			taskFinish(ctx, t, task, core.Completion{})
			joins := joinsOf(n)
			shape := p.fromLog.shape()
			if got := len(shape) - n - 2; got != joins {
				t.Errorf("there are %d join steps, want %d", got, joins)
			}
			if shape["task"] != "s" || joins == 0 && len(strings.Split(shape["s"], "+")) != n || joins > 0 && shape["s"] != "join" {
				t.Errorf("s comes after %q, the task after %q", shape["s"], shape["task"])
			}
			taskCovered(t, p.fromLog, nil)
		})
	}
}

// joinsOf returns how many join steps a frontier of that width needs.
func joinsOf(width int) (joins int) {
	for left := width; width > core.MaxFrontier && left > 1; left -= min(left, core.MaxIssuedPred) - 1 {
		joins++
	}
	return joins
}

// taskCovered holds a log of one finished task against what every graph must be: each
// token of the task is an ancestor of the last one, the exceptions aside, and none is
// larger than it may be.
func taskCovered(t *testing.T, l *taskLog, except map[taskEdge]bool) {
	t.Helper()
	last := l.issued[len(l.issued)-1]
	covered := l.ancestors(last)
	for _, i := range l.issued {
		e := taskEdge{i.Claims().TaskID, i.Digest().Short()}
		if covered[e] == except[e] {
			t.Errorf("%q comes before the task token: %t, want %t", i.Claims().Action, covered[e], !except[e])
		}
		if n := len(i.Claims().Pred); n > core.MaxIssuedPred || len(i.Text()) > core.DefaultTokenBytes {
			t.Errorf("%q names %d and has %d bytes", i.Claims().Action, n, len(i.Text()))
		} else if i.Claims().Action != "join" && i != last && n > core.MaxFrontier {
			t.Errorf("%q names %d, want no more than %d", i.Claims().Action, n, core.MaxFrontier)
		}
	}
	if len(l.unknown) > 0 {
		t.Errorf("tokens name %v, which was never seen", l.unknown)
	}
}

func TestThousandDispatches(t *testing.T) {
	for _, how := range []string{"done", "open", "branches"} {
		t.Run(how, func(t *testing.T) {
			p := newTaskPair(t)
			ctx, task := p.accept(t, p.heads(t, "h1", "h2", "h3")...)
			var all []*core.Dispatch
			for n := range 1000 {
				on := ctx
				if how == "branches" {
					on, _ = task.Branch(ctx)
				}
				all = append(all, p.dispatch(on, t, task, fmt.Sprint("d", n)))
			}
			for n, d := range all {
				if how == "done" || how == "branches" && n%2 == 0 {
					d.Done()
				}
			}
			a := taskFinish(ctx, t, task, core.Completion{})
			if n := len(a.Issued.Claims().Pred); n > core.MaxFrontier+3 {
				t.Errorf("the task token names %d", n)
			}
			taskCovered(t, p.fromLog, nil)
			if _, err := p.to.Verifier().Verify(t.Context(), presented(a.Tokens...)); err != nil {
				t.Errorf("Verify of the task token: %v", err)
			}
		})
	}
}

func TestManyHeads(t *testing.T) {
	p := newTaskPair(t)
	var names []string
	for n := range core.DefaultTokens {
		names = append(names, fmt.Sprintf("h%02d", n))
	}
	ctx, task := p.accept(t, p.heads(t, names...)...)
	taskStep(ctx, t, task, "s")
	taskFinish(ctx, t, task, core.Completion{})
	all := strings.Join(names, "+")
	p.fromLog.wantShape(t, map[string]string{"join": all, "s": "join", "task": all + "+s"})
	taskCovered(t, p.fromLog, nil)
}

// TestManyHeadsAlone: heads are named in any case, so a task that did nothing needs no
// join step for them, however many they are.
func TestManyHeadsAlone(t *testing.T) {
	p := newTaskPair(t)
	var names []string
	for n := range core.DefaultTokens {
		names = append(names, fmt.Sprintf("h%02d", n))
	}
	ctx, task := p.accept(t, p.heads(t, names...)...)
	taskFinish(ctx, t, task, core.Completion{})
	p.fromLog.wantShape(t, map[string]string{"task": strings.Join(names, "+")})
}

// TestFrontierStaysSmall is about what is kept for context: as many generations as some
// audience may have, each token once, however many ways lead to it.
func TestFrontierStaysSmall(t *testing.T) {
	const width, rounds = core.MaxFrontier, 6
	p := newTaskPair(t, func(p *taskPair) { p.fromTo.Context = 4 })
	ctx, task := p.start(t)
	for round := range rounds {
		var all []*core.Dispatch
		allocs := testing.AllocsPerRun(1, func() { // which runs it twice
			all = append(all, p.dispatch(ctx, t, task, "d"))
		})
		// A token costs about 200, and 4 generations of 12 are 48.
		if allocs > 2000 {
			t.Fatalf("a dispatch of round %d makes %.0f allocations", round, allocs)
		}
		for len(all) < width {
			all = append(all, p.dispatch(ctx, t, task, "d"))
		}
		for _, d := range all {
			d.Done()
		}
	}
}

// taskProgram runs operations in a random order, as handlers with branches might.
type taskProgram struct {
	*taskPair
	t    *testing.T
	r    *rand.Rand
	task *core.Task
	// live are the contexts in use; index 0 is the task's own.
	live     []context.Context
	branches []*core.Branch
	open     []*core.Dispatch
	done     []*core.Dispatch
	given    map[*core.Dispatch]bool // abandoned
	n        int
	notes    []string
}

func (q *taskProgram) name(kind string) string { q.n++; return fmt.Sprint(kind, q.n) }

func (q *taskProgram) note(format string, a ...any) {
	q.notes = append(q.notes, fmt.Sprintf(format, a...))
}

func (q *taskProgram) step() {
	at := q.r.IntN(len(q.live))
	switch op := q.r.IntN(20); {
	case op < 6:
		d := q.dispatch(q.live[at], q.t, q.task, q.name("d"))
		q.open = append(q.open, d)
		q.note("%s on %d", d.Issued().Claims().Action, at)
	case op < 9 && len(q.open) > 0:
		k := q.r.IntN(len(q.open))
		d := q.open[k]
		q.open = slices.Delete(q.open, k, k+1)
		q.done = append(q.done, d)
		q.note("%s done", d.Issued().Claims().Action)
		d.Done()
	case op == 9 && len(q.open) > 0:
		k := q.r.IntN(len(q.open))
		d := q.open[k]
		q.open = slices.Delete(q.open, k, k+1)
		q.given[d] = true
		q.note("%s abandoned", d.Issued().Claims().Action)
		d.Abandon()
	case op < 13 && len(q.open)+len(q.done) > 0:
		from := &q.open
		if len(q.open) == 0 || len(q.done) > 0 && q.r.IntN(3) == 0 {
			from = &q.done
		}
		k := q.r.IntN(len(*from))
		d := (*from)[k]
		*from = slices.Delete(*from, k, k+1)
		q.note("%s answered", d.Issued().Claims().Action)
		q.answer(q.live[0], q.t, d)
	case op < 16:
		q.note("step %d on %d", q.n+1, at)
		taskStep(q.live[at], q.t, q.task, q.name("s"))
	case op < 18:
		ctx, b := q.task.Branch(q.live[at])
		q.live, q.branches = append(q.live, ctx), append(q.branches, b)
		q.note("branch %d of %d", len(q.live)-1, at)
	case len(q.branches) > 0:
		k := q.r.IntN(len(q.branches))
		q.note("join %d", k+1)
		q.branches[k].Join()
		q.branches = slices.Delete(q.branches, k, k+1)
		q.live = slices.Delete(q.live, k+1, k+2)
	}
}

func TestRandomPrograms(t *testing.T) {
	runs := uint64(150)
	if testing.Short() || raceEnabled {
		runs = 30
	}
	for seed := range runs {
		r := rand.New(rand.NewPCG(seed, 21))
		p := newTaskPair(t, func(p *taskPair) { p.fromTo.Context = r.IntN(3) })
		q := &taskProgram{taskPair: p, t: t, r: r, given: map[*core.Dispatch]bool{}}
		var names []string
		for n := range 1 + r.IntN(3) {
			names = append(names, fmt.Sprint("h", n))
		}
		var ctx context.Context
		if ctx, q.task = p.start(t); r.IntN(3) > 0 {
			ctx, q.task = p.accept(t, p.heads(t, names...)...)
		}
		q.live = []context.Context{ctx}
		for range 5 + r.IntN(80) {
			q.step()
		}
		heads := map[taskEdge]bool{}
		for _, h := range q.task.Heads() {
			heads[taskEdge{h.Claims().TaskID, h.Digest().Short()}] = true
		}
		taskFinish(ctx, t, q.task, core.Completion{})
		except := map[taskEdge]bool{}
		for d := range q.given {
			except[taskEdge{d.Issued().Claims().TaskID, d.Issued().Digest().Short()}] = true
		}
		taskCovered(t, p.fromLog, except)
		last := p.fromLog.issued[len(p.fromLog.issued)-1]
		for h := range heads {
			if !slices.Contains(p.fromLog.preds[taskEdge{last.Claims().TaskID, last.Digest().Short()}], h) {
				t.Errorf("the task token does not name the head %q", p.fromLog.names[h])
			}
		}
		taskNewestOnly(t, p.fromLog, heads)
		if t.Failed() {
			t.Fatalf("seed %d:\n%s\n%v", seed, strings.Join(q.notes, "\n"), p.fromLog.shape())
		}
	}
}

// taskNewestOnly says that no token names one that comes before another that it names,
// heads in the task token aside.
func taskNewestOnly(t *testing.T, l *taskLog, heads map[taskEdge]bool) {
	t.Helper()
	for _, i := range l.issued {
		preds := l.preds[taskEdge{i.Claims().TaskID, i.Digest().Short()}]
		for _, p := range preds {
			older := map[taskEdge]bool{}
			queue := slices.Clone(l.preds[p])
			for len(queue) > 0 {
				e := queue[0]
				queue = queue[1:]
				if !older[e] {
					older[e] = true
					queue = append(queue, l.preds[e]...)
				}
			}
			for _, o := range preds {
				if older[o] && !heads[o] {
					t.Errorf("%q names %q, and %q, which comes before it", i.Claims().Action, l.names[p], l.names[o])
				}
			}
		}
	}
}

// TestFanOutConcurrentSafe has a thousand calls end while steps are taken beside them.
func TestFanOutConcurrentSafe(t *testing.T) {
	const calls, steps = 1000, 40
	for range 3 {
		p := newTaskPair(t)
		ctx, task := p.accept(t, p.heads(t, "head")...)
		all := make([]*core.Dispatch, calls)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for n := g; n < calls; n += 8 {
					d, err := task.Dispatch(ctx, p.fromTo, core.DispatchInput{Action: fmt.Sprint("d", n)})
					if err != nil {
						t.Errorf("Dispatch: %v", err)
						return
					}
					all[n] = d
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		for n := range steps {
			wg.Go(func() {
				if _, err := task.Step(ctx, fmt.Sprint("s", n), core.StepInput{}); err != nil {
					t.Errorf("Step: %v", err)
				}
			})
			for k := n; k < calls; k += steps {
				wg.Go(all[k].Done)
			}
		}
		wg.Wait()
		taskFinish(ctx, t, task, core.Completion{})
		taskCoveredWidely(t, p.fromLog)
	}
}

// taskCoveredWidely is taskCovered, but for how many tokens are named: calls that end
// while a token is made may be named as well.
func taskCoveredWidely(t *testing.T, l *taskLog) {
	t.Helper()
	covered := l.ancestors(l.issued[len(l.issued)-1])
	for _, i := range l.issued {
		if !covered[taskEdge{i.Claims().TaskID, i.Digest().Short()}] {
			t.Errorf("%q does not come before the task token", i.Claims().Action)
		}
	}
	if len(l.unknown) > 0 {
		t.Errorf("tokens name %v, which was never seen", l.unknown)
	}
}

// TestBranchesConcurrentSafe runs branches side by side; the graph does not depend on
// timing.
func TestBranchesConcurrentSafe(t *testing.T) {
	const branches = 10
	var want map[string]string
	for range 10 {
		p := newTaskPair(t)
		ctx, task := p.accept(t, p.heads(t, "head")...)
		var on [branches]context.Context
		var all [branches]*core.Branch
		for n := range branches {
			on[n], all[n] = task.Branch(ctx) //nolint:fatcontext // each beside the others
		}
		var wg sync.WaitGroup
		for n := range branches {
			wg.Go(func() {
				b, on := all[n], on[n]
				for k := range 3 {

					if _, err := task.Step(on, fmt.Sprint(n, "-", k), core.StepInput{}); err != nil {
						t.Errorf("Step: %v", err)
					}
				}

				d, err := task.Dispatch(on, p.fromTo, core.DispatchInput{Action: fmt.Sprint(n, "-d")})
				if err != nil {
					t.Errorf("Dispatch: %v", err)
					return
				}
				if n%2 == 0 {
					p.answer(ctx, t, d)
				} else {
					d.Done()
				}
				b.Join()
			})
		}
		wg.Wait()
		taskStep(ctx, t, task, "last")
		taskFinish(ctx, t, task, core.Completion{})
		if want == nil {
			want = p.fromLog.shape()
		}
		p.fromLog.wantShape(t, want)
		taskCovered(t, p.fromLog, nil)
	}
}

// TestTaskConcurrentSafe does everything at once, the end included.
func TestTaskConcurrentSafe(t *testing.T) {
	for seed := range uint64(20) {
		p := newTaskPair(t)
		ctx, task := p.accept(t, p.heads(t, "head")...)
		var wg sync.WaitGroup
		var ended sync.WaitGroup
		ended.Add(3)
		ok := func(err error) bool {
			if err != nil && !errors.Is(err, core.ErrTaskFinished) && !strings.Contains(err.Error(), "joined") {
				t.Errorf("seed %d: %v", seed, err)
			}
			return err == nil
		}
		for g := range 6 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(seed, uint64(g)))
				if g < 3 {
					defer ended.Done()
				}
				on, b := ctx, (*core.Branch)(nil)
				for n := range 12 {
					switch r.IntN(6) {
					case 0:
						_, err := task.Step(on, fmt.Sprint("s", g, n), core.StepInput{})
						ok(err)
					case 1:
						on, b = task.Branch(on) //nolint:fatcontext // nested on purpose
					case 2:
						if b != nil {
							b.Join()
							on, b = ctx, nil
						}
					case 3:
						ok(task.Annotate("com.example.a", []byte(fmt.Sprint(n))))
						ok(task.SetAction("task"))
						task.Answerable()
					default:
						d, err := task.Dispatch(on, p.fromTo, core.DispatchInput{})
						if !ok(err) {
							continue
						}
						if d.Tokens(); r.IntN(2) == 0 {
							d.Done()
						}
						if r.IntN(2) == 0 {
							p.answer(ctx, t, d)
						}
					}
				}
			})
		}
		wg.Go(func() {
			if ended.Wait(); seed%2 == 0 {
				_, err := task.Finish(ctx, core.Completion{})
				ok(err)
			}
		})
		wg.Wait()
		if _, err := task.Finish(ctx, core.Completion{}); (err == nil) != (seed%2 == 1) {
			t.Errorf("Finish: %v", err)
		}
		if seed%2 == 1 {
			taskCoveredWidely(t, p.fromLog)
		}
	}
}

func TestStoreFull(t *testing.T) {
	d := newTaskPair(t)
	store, err := dag.NewMemory(dag.MemoryConfig{MaxTasks: 8})
	if err != nil {
		t.Fatal(err)
	}
	log := newTaskLog()
	s := d.domain.ServiceWithPolicy(t, d.a, d.policyA, nil, core.WithTaskStore(store), log.observer())
	ctx, task, err := s.StartTask(t.Context(), "task")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 9 {
		taskStep(ctx, t, task, fmt.Sprint("s", n))
	}
	if _, err := task.Step(ctx, "over", core.StepInput{}); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("Step with a full store = %v, want code %v", err, core.CodeUnavailable)
	}
	if _, err := task.Finish(ctx, core.Completion{}); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("Finish with a full store = %v, want code %v", err, core.CodeUnavailable)
	}
	if shape := log.shape(); len(shape) != 9 {
		t.Errorf("the shape is %v", shape)
	}
}
