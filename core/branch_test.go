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
)

// TestForkShapes pins the graphs that come out of forks, and what branches do that a
// fork would not.
func TestForkShapes(t *testing.T) {
	type shape = map[string]string
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task)
		want shape
	}{
		{"branches", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			fork := task.Fork(ctx)
			x, y := fork.Branch(ctx), fork.Branch(ctx)
			taskStep(x, t, task, "x1")
			p.call(y, t, task, "y1")
			taskStep(x, t, task, "x2")
			fork.Join()
			taskStep(ctx, t, task, "s")
		}, shape{"x1": "head", "y1": "head", "x2": "x1", "s": "x2+y1!", "task": "head+s"}},
		{"a branch asked for late", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			fork := task.Fork(ctx)
			taskStep(fork.Branch(ctx), t, task, "x1")
			taskStep(ctx, t, task, "m1")
			taskStep(fork.Branch(ctx), t, task, "y1")
			fork.Join()
			taskStep(ctx, t, task, "s")
		}, shape{"x1": "head", "m1": "head", "y1": "head", "s": "m1+x1+y1", "task": "head+s"}},
		{"on the context of another branch", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			fork := task.Fork(ctx)
			x := fork.Branch(ctx)
			taskStep(x, t, task, "x1")
			taskStep(fork.Branch(x), t, task, "y1")
			taskStep(fork.Branch(t.Context()), t, task, "z1")
			fork.Join()
		}, shape{"x1": "head", "y1": "head", "z1": "head", "task": "head+x1+y1+z1"}},
		{"a fork on a branch", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			outer := task.Fork(ctx)
			x := outer.Branch(ctx)
			taskStep(x, t, task, "x1")
			inner := task.Fork(x)
			taskStep(inner.Branch(x), t, task, "x2")
			taskStep(inner.Branch(x), t, task, "x3")
			inner.Join()
			taskStep(x, t, task, "x4")
			outer.Join()
			taskStep(ctx, t, task, "s")
		}, shape{"x1": "head", "x2": "x1", "x3": "x1", "x4": "x2+x3", "s": "x4", "task": "head+s"}},
		{"the outer fork is joined first", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			outer := task.Fork(ctx)
			x := outer.Branch(ctx)
			inner := task.Fork(x)
			y := inner.Branch(x)
			taskStep(y, t, task, "y1")
			outer.Join()
			taskStep(ctx, t, task, "s1")
			taskStep(y, t, task, "y2")
			inner.Join()
			taskStep(ctx, t, task, "s2")
		}, shape{"y1": "head", "s1": "head", "y2": "y1", "s2": "s1+y2", "task": "head+s2"}},
		{"joined twice", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			fork := task.Fork(ctx)
			taskStep(fork.Branch(ctx), t, task, "x1")
			fork.Join()
			taskStep(ctx, t, task, "s1")
			fork.Join()
			taskStep(ctx, t, task, "s2")
		}, shape{"x1": "head", "s1": "x1", "s2": "s1", "task": "head+s2"}},
		{"never joined", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			fork := task.Fork(ctx)
			taskStep(fork.Branch(ctx), t, task, "x1")
			fork.Branch(ctx)
			taskStep(ctx, t, task, "s1")
		}, shape{"x1": "head", "s1": "head", "task": "head+s1+x1"}},
		{"no branch", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			fork := task.Fork(ctx)
			taskStep(ctx, t, task, "s1")
			fork.Join()
			taskStep(ctx, t, task, "s2")
		}, shape{"s1": "head", "s2": "s1", "task": "head+s2"}},
		{"late calls and answers", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) {
			fork := task.Fork(ctx)
			x := fork.Branch(ctx)
			a, b := p.dispatch(x, t, task, "a"), p.dispatch(x, t, task, "b")
			fork.Join()
			a.Done()
			taskStep(ctx, t, task, "s1")
			p.answer(ctx, t, b)
			taskStep(ctx, t, task, "s2")
		}, shape{"a": "head", "b": "head", "s1": "a", "s2": "b!+s1", "task": "head+s2"}},
		// What Task.Fork is for.
		{"a branch begun after another was joined", func(t *testing.T, _ *taskPair, ctx context.Context, task *core.Task) {
			x, bx := task.Branch(ctx)
			taskStep(x, t, task, "x1")
			bx.Join()
			y, by := task.Branch(ctx)
			taskStep(y, t, task, "y1")
			by.Join()
		}, shape{"x1": "head", "y1": "x1", "task": "head+y1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newTaskPair(t)
			ctx, task := p.accept(t, p.heads(t, "head")...)
			tt.do(t, p, ctx, task)
			taskFinish(ctx, t, task, core.Completion{})
			p.fromLog.wantShape(t, tt.want)
			taskCovered(t, p.fromLog, nil)
		})
	}
}

// TestJoinedForkRefuses: nothing is issued that would come before nothing.
func TestJoinedForkRefuses(t *testing.T) {
	p := newTaskPair(t)
	ctx, task := p.accept(t, p.heads(t, "head")...)
	fork := task.Fork(ctx)
	before := fork.Branch(ctx)
	fork.Join()
	for name, on := range map[string]context.Context{"before": before, "after": fork.Branch(ctx)} {
		if i, err := task.Step(on, "x", core.StepInput{}); err == nil || i != nil || errors.Is(err, core.ErrTaskFinished) {
			t.Errorf("Step on a branch asked for %s the join = %v, %v", name, i, err)
		}
		if d, err := task.Dispatch(on, p.fromTo, core.DispatchInput{}); err == nil || d != nil {
			t.Errorf("Dispatch on a branch asked for %s the join = %v, %v", name, d, err)
		}
	}
	taskFinish(ctx, t, task, core.Completion{})
	fork.Join()
	if _, err := task.Step(task.Fork(ctx).Branch(ctx), "x", core.StepInput{}); !errors.Is(err, core.ErrTaskFinished) {
		t.Errorf("Step on a branch of a finished task = %v", err)
	}
	p.fromLog.wantShape(t, map[string]string{"task": "head"})
}

// TestForkConcurrentSafe asks for branches, works on them, forks again and joins, all at
// once: what was issued without an error comes before the task token.
func TestForkConcurrentSafe(t *testing.T) {
	for seed := range uint64(10) {
		p := newTaskPair(t)
		ctx, task := p.accept(t, p.heads(t, "head")...)
		forks := []*core.Fork{task.Fork(ctx), task.Fork(ctx)}
		var mu sync.Mutex
		issued := map[core.UUID]string{}
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(seed, uint64(g)))
				on := ctx
				for n := range 10 {
					switch r.IntN(8) {
					case 0:
						on = forks[r.IntN(2)].Branch(on) //nolint:fatcontext // moved about on purpose
					case 1:
						inner := task.Fork(on)
						on = inner.Branch(on)
						defer inner.Join()
					case 2:
						if n > 7 {
							forks[r.IntN(2)].Join()
						}
					default:
						i, err := task.Step(on, fmt.Sprint("s", g, "-", n), core.StepInput{})
						if err != nil && !strings.Contains(err.Error(), "joined") {
							t.Errorf("Step: %v", err)
						}
						if err == nil {
							mu.Lock()
							issued[i.Claims().TaskID] = i.Claims().Action
							mu.Unlock()
						}
					}
				}
			})
		}
		wg.Wait()
		taskFinish(ctx, t, task, core.Completion{})
		covered := map[core.UUID]bool{}
		for e := range p.fromLog.ancestors(p.fromLog.issued[len(p.fromLog.issued)-1]) {
			covered[e.task] = true
		}
		for id, action := range issued {
			if !covered[id] {
				t.Errorf("seed %d: %q does not come before the task token", seed, action)
			}
		}
	}
}

// wide makes a frontier of so many steps side by side.
func wide(ctx context.Context, t *testing.T, task *core.Task, n int) {
	t.Helper()
	fork := task.Fork(ctx)
	for k := range n {
		taskStep(fork.Branch(ctx), t, task, fmt.Sprint("w", k))
	}
	fork.Join()
}

// TestFailedJoinSteps lets the signer fail at each join step in turn: those that were
// issued are not lost and not issued again.
func TestFailedJoinSteps(t *testing.T) {
	const width = 200
	for _, where := range []string{"task", "branch", "end"} {
		for fails := range joinsOf(width) + 1 { // at last the step itself
			t.Run(fmt.Sprint(where, fails), func(t *testing.T) {
				p, log := newTaskPair(t), newTaskLog()
				down := errors.New("the key service is down")
				left := -1
				s := taskServiceWithSigner(t, p.domain, p.a, func(context.Context) error {
					if left == 0 {
						return down
					}
					left--
					return nil
				}, log.observer())
				ctx, task, err := s.StartTask(t.Context(), "task")
				if err != nil {
					t.Fatal(err)
				}
				wide(ctx, t, task, width)
				on := ctx
				if where == "branch" {
					on, _ = task.Branch(ctx)
				}
				left = fails
				if where == "end" {
					if _, err := task.Finish(ctx, core.Completion{}); !errors.Is(err, down) {
						t.Errorf("Finish = %v, want the signer's error", err)
					}
					if got := log.count() - width; got != fails {
						t.Errorf("%d join steps were issued, want %d", got, fails)
					}
					return
				}
				if _, err := task.Step(on, "s", core.StepInput{}); !errors.Is(err, down) {
					t.Errorf("Step = %v, want the signer's error", err)
				}
				left = -1
				taskStep(on, t, task, "s")
				taskFinish(ctx, t, task, core.Completion{})
				want := joinsOf(width)
				if fails == want-1 {
					want-- // it left a frontier that is narrow enough
				}
				if got := log.count() - width - 2; got != want {
					t.Errorf("%d join steps were issued, want %d", got, want)
				}
				taskCovered(t, log, nil)
			})
		}
	}
}

// TestJoinStepsAreWaitedFor: one issues the join steps of a frontier, others wait no
// longer than their own context lets them.
func TestJoinStepsAreWaitedFor(t *testing.T) {
	p := newTaskPair(t)
	signing, goOn := make(chan struct{}), make(chan struct{})
	var slow bool
	s := taskServiceWithSigner(t, p.domain, p.a, func(context.Context) error {
		if slow {
			signing <- struct{}{}
			<-goOn
		}
		return nil
	})
	ctx, task, err := s.StartTask(t.Context(), "task")
	if err != nil {
		t.Fatal(err)
	}
	wide(ctx, t, task, core.MaxFrontier+1)
	slow = true
	first := make(chan error)
	go func() {
		_, err := task.Step(ctx, "first", core.StepInput{})
		first <- err
	}()
	<-signing
	given, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := task.Step(given, "second", core.StepInput{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Step while another issues the join step = %v, want its own context's error", err)
	}
	slow = false // the signer reads it after goOn, or has read it
	close(goOn)
	if err := <-first; err != nil {
		t.Errorf("the first Step = %v", err)
	}
}

// TestFanInOfTheMostHeads: a task of as many heads as a policy may allow, of as many
// issuers, makes calls side by side and answers them all.
func TestFanInOfTheMostHeads(t *testing.T) {
	for _, calls := range []int{0, 1, core.MaxFrontier, core.MaxFrontier + 1, 300} {
		t.Run(fmt.Sprint(calls), func(t *testing.T) {
			p, log := newTaskPair(t), newTaskLog()
			policy := p.policyA
			policy.Limits.Tokens = core.MaxTokens
			to := []core.Audience{p.fromTo}
			var heads, askers []string
			for n := range core.MaxTokens {
				asker := p.domain.Agent(t, fmt.Sprint("asker", n))
				to = append(to, core.Audience{ID: asker.Identity, Tokens: true, Hashes: true})
				askers = append(askers, asker.Identity)
				heads = append(heads, asker.Token(p.a.Identity).With("exec_act", fmt.Sprintf("h%02d", n)).Sign(t))
			}
			s := p.domain.ServiceWithPolicy(t, p.a, policy, to, log.observer())
			ctx, task := taskAccept(t.Context(), t, s, heads...)
			fork := task.Fork(ctx)
			for n := range calls {
				p.dispatch(fork.Branch(ctx), t, task, fmt.Sprint("d", n)).Done()
			}
			fork.Join()
			a := taskFinish(ctx, t, task, core.Completion{Outcome: core.OutcomeError, Status: 500})
			c := a.Issued.Claims()
			if !slices.Equal(c.Audience, askers) || len(c.Pred) < core.MaxTokens {
				t.Errorf("the task token is for %d and names %d", len(c.Audience), len(c.Pred))
			}
			for n := range calls {
				if got := log.shape()[fmt.Sprint("d", n)]; got != "join" {
					t.Errorf("call %d comes after %q, want the one join step of the heads", n, got)
				}
			}
			taskCovered(t, log, nil)
			for n, asker := range askers {
				policy := p.domain.Agent(t, fmt.Sprint("asker", n)).Policy()
				policy.Missing = core.AllowPartial // an asker knows its own head
				if _, err := verifier(t, p.domain, policy).Verify(t.Context(), presented(append(a.Tokens, heads[n])...)); err != nil {
					t.Errorf("%s: Verify of the answer: %v", asker, err)
				}
			}
		})
	}
}

// TestManyAskersOfLongNames: where a token that names all who asked would be too long, the
// task is recorded all the same, for nobody.
func TestManyAskersOfLongNames(t *testing.T) {
	for _, length := range []int{10, 1000} {
		p := newTaskPair(t)
		policy := p.policyA
		policy.Limits.TotalBytes = 1 << 20
		to := []core.Audience{p.fromTo}
		var heads []string
		for n := range 8 {
			asker := p.domain.Agent(t, strings.Repeat("a", length)+fmt.Sprint(n))
			to = append(to, core.Audience{ID: asker.Identity, Tokens: true, Hashes: true})
			heads = append(heads, asker.Token(p.a.Identity).Sign(t))
		}
		var unsent []*core.Issued
		s := p.domain.ServiceWithPolicy(t, p.a, policy, to, core.WithObserver(core.Observer{
			Unsent: func(_ context.Context, i *core.Issued) { unsent = append(unsent, i) },
		}))
		ctx, task := taskAccept(t.Context(), t, s, heads...)
		a := taskFinish(ctx, t, task, core.Completion{})
		c := a.Issued.Claims()
		if long := length > 100; long != (len(a.Tokens) == 0) || long != (len(unsent) == 1) ||
			long != slices.Equal(c.Audience, []string{p.a.Identity}) || len(c.Pred) != len(heads) {
			t.Errorf("askers of %d letters: %d tokens go back, aud names %d, %d unsent", length, len(a.Tokens), len(c.Audience), len(unsent))
		}
	}
}
