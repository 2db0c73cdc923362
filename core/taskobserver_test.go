// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

type unitKey struct{}

// units is an observer that writes down what it is told of units of work.
type units struct {
	mu    sync.Mutex
	told  []string
	count int
}

func (u *units) note(format string, a ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.told = append(u.told, fmt.Sprintf(format, a...))
}

func (u *units) observer() core.Observer {
	return core.Observer{Entered: func(ctx context.Context, r *core.Received) (context.Context, core.TaskObserver) {
		u.mu.Lock()
		u.count++
		n := u.count
		u.mu.Unlock()
		heads := 0
		if r != nil {
			heads = len(r.Heads())
		}
		u.note("%d entered by %d heads", n, heads)
		return context.WithValue(ctx, unitKey{}, n), &unitWatch{u, n}
	}}
}

type unitWatch struct {
	*units
	n int
}

func (w *unitWatch) on(ctx context.Context) string {
	if ctx.Value(unitKey{}) == w.n {
		return "its context"
	}
	return "another context"
}

func (w *unitWatch) Issued(ctx context.Context, i *core.Issued) {
	w.note("%d issued %v on %s", w.n, i.Kind(), w.on(ctx))
}

func (w *unitWatch) Sent(ctx context.Context, i *core.Issued) {
	w.note("%d sent %v on %s", w.n, i.Kind(), w.on(ctx))
}

func (w *unitWatch) Answered(ctx context.Context, d *core.Issued, r *core.Received) {
	w.note("%d answered %v by %v on %s", w.n, d.Kind(), r.Heads()[0].Issuer(), w.on(ctx))
}

func (w *unitWatch) Ended(err error) { w.note("%d ended, %v", w.n, err) }

// TestUnits pins what an observer is told of a unit of work, whatever begins it and however
// it ends.
func TestUnits(t *testing.T) {
	const action = "work"
	for _, c := range []struct {
		name string
		run  func(t *testing.T, d *ecttest.Domain, a, b *ecttest.Agent, s *core.Service)
		want []string
	}{
		{"a root", func(t *testing.T, _ *ecttest.Domain, _, _ *ecttest.Agent, s *core.Service) {
			ctx, task, err := s.StartTask(t.Context(), action)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := task.Step(ctx, "step", core.StepInput{}); err != nil {
				t.Fatal(err)
			}
			taskFinish(ctx, t, task, core.Completion{})
			task.Discard() // too late to say anything
		}, []string{
			"1 entered by 0 heads", "1 issued step on its context", "1 issued task on its context", "1 ended, <nil>",
		}},
		{"a dispatch that nobody says goes", func(t *testing.T, _ *ecttest.Domain, _, b *ecttest.Agent, s *core.Service) {
			ctx, task, err := s.StartTask(t.Context(), action)
			if err != nil {
				t.Fatal(err)
			}
			to, _ := s.Audiences().ByID(b.Identity)
			d, err := task.Dispatch(ctx, to, core.DispatchInput{})
			if err != nil {
				t.Fatal(err)
			}
			d.Done()
			d.Done()
			taskFinish(ctx, t, task, core.Completion{})
		}, []string{
			"1 entered by 0 heads", "1 issued dispatch on its context", "1 sent dispatch on its context",
			"1 issued task on its context", "1 ended, <nil>",
		}},
		{"a dispatch, attempted twice and answered", func(t *testing.T, _ *ecttest.Domain, a, b *ecttest.Agent, s *core.Service) {
			ctx, task, err := s.StartTask(t.Context(), action)
			if err != nil {
				t.Fatal(err)
			}
			to, _ := s.Audiences().ByID(b.Identity)
			d, err := task.Dispatch(ctx, to, core.DispatchInput{})
			if err != nil {
				t.Fatal(err)
			}
			d.Sent(ctx)
			d.Sent(context.WithValue(ctx, unitKey{}, 0))
			d.Done()
			answer := b.Token(a.Identity).After(t, true, d.Issued().Text()).Sign(t)
			if _, err := d.Verify(ctx, presented(answer)); err != nil {
				t.Fatal(err)
			}
			taskFinish(ctx, t, task, core.Completion{})
		}, []string{
			"1 entered by 0 heads", "1 issued dispatch on its context", "1 sent dispatch on its context",
			"1 sent dispatch on another context", "1 answered dispatch by %b on its context",
			"1 issued task on its context", "1 ended, <nil>",
		}},
		{"a dispatch that is answered before anybody says that it goes", func(t *testing.T, _ *ecttest.Domain, a, b *ecttest.Agent, s *core.Service) {
			ctx, task, err := s.StartTask(t.Context(), action)
			if err != nil {
				t.Fatal(err)
			}
			to, _ := s.Audiences().ByID(b.Identity)
			d, err := task.Dispatch(ctx, to, core.DispatchInput{})
			if err != nil {
				t.Fatal(err)
			}
			answer := b.Token(a.Identity).After(t, true, d.Issued().Text()).Sign(t)
			if _, err := d.Verify(ctx, presented(answer)); err != nil {
				t.Fatal(err)
			}
			d.Done()
			taskFinish(ctx, t, task, core.Completion{})
		}, []string{
			"1 entered by 0 heads", "1 issued dispatch on its context", "1 sent dispatch on its context",
			"1 answered dispatch by %b on its context", "1 issued task on its context", "1 ended, <nil>",
		}},
		{"a message", func(t *testing.T, _ *ecttest.Domain, a, b *ecttest.Agent, s *core.Service) {
			var e core.Entry
			if bad := e.Verify(t.Context(), s, core.Enforce, presented(b.Token(a.Identity).Sign(t))); bad != nil {
				t.Fatal(bad)
			}
			ctx, bad := e.Begin(t.Context(), s, core.Enforce, action)
			if bad != nil {
				t.Fatal(bad)
			}
			taskFinish(ctx, t, e.End(), core.Completion{})
		}, []string{"1 entered by 1 heads", "1 issued task on its context", "1 ended, <nil>"}},
		{"a message that no handler saw", func(t *testing.T, _ *ecttest.Domain, a, b *ecttest.Agent, s *core.Service) {
			var e core.Entry
			if bad := e.Verify(t.Context(), s, core.Enforce, presented(b.Token(a.Identity).Sign(t))); bad != nil {
				t.Fatal(bad)
			}
			if _, bad := e.Begin(t.Context(), s, core.Enforce, action); bad != nil {
				t.Fatal(bad)
			}
			e.End().Discard()
			e.End().Discard()
		}, []string{"1 entered by 1 heads", "1 ended, <nil>"}},
		{"a task that was only prepared", func(t *testing.T, _ *ecttest.Domain, _, _ *ecttest.Agent, s *core.Service) {
			_, p, err := s.PrepareTask(t.Context(), action)
			if err != nil {
				t.Fatal(err)
			}
			p.End()
			p.End()
		}, []string{"1 entered by 0 heads", "1 ended, <nil>"}},
		{"a prepared task that began", func(t *testing.T, _ *ecttest.Domain, _, _ *ecttest.Agent, s *core.Service) {
			ctx, p, err := s.PrepareTask(t.Context(), action)
			if err != nil {
				t.Fatal(err)
			}
			task, _ := core.TaskFromContext(ctx)
			p.End()
			taskFinish(ctx, t, task, core.Completion{})
		}, []string{"1 entered by 0 heads", "1 issued task on its context", "1 ended, <nil>"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen units
			d := ecttest.NewDomain()
			a, b := d.Agent(t, "a"), d.Agent(t, "b")
			s := d.ServiceWithPolicy(t, a, a.Policy(), []core.Audience{{ID: b.Identity, Tokens: true}}, core.WithObserver(core.Observer{}), core.WithObserver(seen.observer()))
			c.run(t, d, a, b, s)
			for i, w := range c.want {
				c.want[i] = strings.ReplaceAll(w, "%b", b.Identity)
			}
			if diff := cmp.Diff(c.want, seen.told); diff != "" {
				t.Errorf("the observer was told (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUnitsOfVerifiers: a service that records nothing has units of work as well.
func TestUnitsOfVerifiers(t *testing.T) {
	var seen units
	d := ecttest.NewDomain()
	a, b := d.Agent(t, "a"), d.Agent(t, "b")
	s, err := core.NewService(verifier(t, d, a.Policy(), core.WithObserver(seen.observer())), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var e core.Entry
	if bad := e.Verify(t.Context(), s, core.Enforce, presented(b.Token(a.Identity).Sign(t))); bad != nil {
		t.Fatal(bad)
	}
	ctx, bad := e.Begin(t.Context(), s, core.Enforce, "work")
	if bad != nil || ctx.Value(unitKey{}) != 1 {
		t.Fatalf("Begin = %v, with the unit %v, want nil and 1", bad, ctx.Value(unitKey{}))
	}
	e.End()
	e.End()
	if want := []string{"1 entered by 1 heads", "1 ended, <nil>"}; !slices.Equal(seen.told, want) {
		t.Errorf("the observer was told %q, want %q", seen.told, want)
	}
}

// TestManyWatch: several observers watch one unit of work, in the context of the last.
func TestManyWatch(t *testing.T) {
	var first, second, third units
	d := ecttest.NewDomain()
	a := d.Agent(t, "a")
	s := d.ServiceWithPolicy(t, a, a.Policy(), nil,
		core.WithObserver(first.observer()), core.WithObserver(second.observer()), core.WithObserver(third.observer()))
	ctx, task, err := s.StartTask(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	taskFinish(ctx, t, task, core.Completion{})
	want := []string{"1 entered by 0 heads", "1 issued task on its context", "1 ended, <nil>"}
	for n, u := range []*units{&first, &second, &third} {
		if !slices.Equal(u.told, want) {
			t.Errorf("observer %d was told %q, want %q", n+1, u.told, want)
		}
	}
}

// TestEndsInside: observers that watch one unit are told of its end in the reverse of the
// order in which they entered, as what one of them began is inside of what another did.
func TestEndsInside(t *testing.T) {
	var order []int
	d := ecttest.NewDomain()
	a := d.Agent(t, "a")
	var opts []core.VerifierOption
	for n := range 3 {
		opts = append(opts, core.WithObserver(core.Observer{
			Entered: func(ctx context.Context, _ *core.Received) (context.Context, core.TaskObserver) {
				order = append(order, n)
				return ctx, endWatch(func() { order = append(order, n) })
			},
		}))
	}
	s := d.ServiceWithPolicy(t, a, a.Policy(), nil, opts...)
	ctx, task, err := s.StartTask(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	taskFinish(ctx, t, task, core.Completion{})
	if want := []int{0, 1, 2, 2, 1, 0}; !slices.Equal(order, want) {
		t.Errorf("they entered and ended in the order %v, want %v", order, want)
	}
}

// TestEndsThoughOnePanics: each observer of a unit is told of its end, also where another panics.
func TestEndsThoughOnePanics(t *testing.T) {
	var first, last units
	d := ecttest.NewDomain()
	a := d.Agent(t, "a")
	s := d.ServiceWithPolicy(t, a, a.Policy(), nil, core.WithObserver(first.observer()), core.WithObserver(core.Observer{
		Entered: func(ctx context.Context, _ *core.Received) (context.Context, core.TaskObserver) {
			return ctx, endWatch(func() { panic("the observer is broken") })
		},
	}), core.WithObserver(last.observer()))
	ctx, task, err := s.StartTask(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() != "the observer is broken" {
				t.Error("the panic of the observer did not reach who called Finish")
			}
		}()
		task.Finish(ctx, core.Completion{}) //nolint:errcheck // it panics
	}()
	for n, u := range []*units{&first, &last} {
		if !slices.Contains(u.told, "1 ended, <nil>") {
			t.Errorf("observer %d was told %q, want the end", n, u.told)
		}
	}
}

// TestEndedAsksForTheTask: who watches a task that nobody asked for may ask for it at its end.
func TestEndedAsksForTheTask(t *testing.T) {
	var ctx context.Context
	asked := false
	d := ecttest.NewDomain()
	a := d.Agent(t, "a")
	s := d.ServiceWithPolicy(t, a, a.Policy(), nil, core.WithObserver(core.Observer{
		Entered: func(on context.Context, _ *core.Received) (context.Context, core.TaskObserver) {
			return on, endWatch(func() {
				task, ok := core.TaskFromContext(ctx)
				if _, err := task.Step(ctx, "late", core.StepInput{}); !ok || !errors.Is(err, core.ErrTaskFinished) {
					t.Errorf("a step of the task that never began: %v", err)
				}
				asked = true
			})
		},
	}))
	ctx, p, err := s.PrepareTask(t.Context(), "work") // which the observer asks with
	if err != nil {
		t.Fatal(err)
	}
	if task, begun := p.End(); begun {
		t.Errorf("the task %v began", task)
	}
	p.End()
	if !asked {
		t.Error("the observer was not told of the end")
	}
}

type endWatch func()

func (endWatch) Issued(context.Context, *core.Issued)                   {}
func (endWatch) Sent(context.Context, *core.Issued)                     {}
func (endWatch) Answered(context.Context, *core.Issued, *core.Received) {}
func (w endWatch) Ended(error)                                          { w() }

// TestEndedByPanic: a unit of work ends for who watches it also where its signer panics, and
// it was not recorded.
func TestEndedByPanic(t *testing.T) {
	var seen units
	d := ecttest.NewDomain()
	a := d.Agent(t, "a")
	i, err := core.NewIssuer(a.Identity, brokenSigner{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := core.NewService(verifier(t, d, a.Policy(), core.WithObserver(seen.observer())), i, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, task, err := s.StartTask(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() != "broken" {
				t.Error("the panic of the signer did not reach who called Finish")
			}
		}()
		task.Finish(ctx, core.Completion{}) //nolint:errcheck // it panics
	}()
	want := []string{"1 entered by 0 heads", "1 ended, ect: issuing the task token panicked"}
	if !slices.Equal(seen.told, want) {
		t.Errorf("the observer was told %q, want %q", seen.told, want)
	}
}

type brokenSigner struct{}

func (brokenSigner) Algorithm() core.Algorithm                    { return core.ES256 }
func (brokenSigner) KeyID() string                                { return "broken" }
func (brokenSigner) Sign(context.Context, []byte) ([]byte, error) { panic("broken") }
