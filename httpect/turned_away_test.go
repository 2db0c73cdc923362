// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestPartlyTurnedAway: a batch asks handlers further in, some or all of which refuse, and
// answers itself. So the request is served: it is recorded, and its token is spent.
func TestPartlyTurnedAway(t *testing.T) {
	for name, c := range map[string]struct {
		ask    func(open, closed func())
		worked int32
	}{
		"none refuses":           {func(open, _ func()) { open(); open() }, 2},
		"the second refuses":     {func(open, closed func()) { open(); closed() }, 1},
		"the first refuses":      {func(open, closed func()) { closed(); open() }, 1},
		"all but one refuse":     {func(open, closed func()) { closed(); open(); closed() }, 1},
		"the one refuses":        {func(_, closed func()) { closed() }, 0},
		"both refuse":            {func(_, closed func()) { closed(); closed() }, 0},
		"several refuse at once": {func(_, closed func()) { atOnce(closed, closed, closed, closed) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				for who, edit := range map[string]func(*setup){"recording": func(*setup) {}, "verify only": verifyOnly} {
					w := newWorld(t, acceptL1, edit)
					var worked atomic.Int32
					open := httpect.Middleware(w.service)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { worked.Add(1) }))
					closed := httpect.Middleware(w.service, httpect.WithMinLevel(core.L2))(untouched(t))
					batch := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						ask := func(h http.Handler, want int) func() {
							return func() {
								rec := httptest.NewRecorder()
								if h.ServeHTTP(rec, r); rec.Code != want {
									t.Errorf("%s: one of the batch has status %d, want %d", who, rec.Code, want)
								}
							}
						}
						c.ask(ask(open, 200), ask(closed, 403))
						writes(10)(rw, r)
					})
					s := serve(t, proto, httpect.Middleware(w.service)(batch))
					low := w.l1(t)
					r := s.send(t, "POST", "/", strings.NewReader("x"), low)
					if r.StatusCode != 200 || r.err != nil || len(r.body) != 10 || worked.Load() != c.worked {
						t.Errorf("%s: %v, the work was done %d times, want %d", who, r, worked.Load(), c.worked)
					}
					if who == "recording" {
						w.answer(t, r)
						w.seen.next(t)
					} else if r.place() != "none" {
						t.Errorf("%s: %v, want no answer", who, r)
					}
					w.seen.none(t)
					s.send(t, "POST", "/", strings.NewReader("x"), low).refused(t, core.CodeReplayed)
				}
			})
		})
	}
}

func atOnce(each ...func()) {
	var all sync.WaitGroup
	for _, f := range each {
		all.Go(f)
	}
	all.Wait()
}

// TestActedThenTurnedAway: something on the way in acted in the task before a middleware
// further in refuses. What was issued has a task that was recorded, and the token is spent.
func TestActedThenTurnedAway(t *testing.T) {
	acts := map[string]func(ctx context.Context, t *testing.T, p *pair){
		"a call": func(ctx context.Context, t *testing.T, p *pair) {
			t.Helper()
			if err := call(ctx, p.client, p.site.URL, strings.NewReader("may they?")); err != nil {
				t.Errorf("the call: %v", err)
			}
		},
		"a step": func(ctx context.Context, t *testing.T, _ *pair) {
			t.Helper()
			task, ok := core.TaskFromContext(ctx)
			if !ok {
				t.Fatal("there is no task")
			}
			if _, err := task.Step(ctx, "ask", core.StepInput{}); err != nil {
				t.Errorf("Step: %v", err)
			}
		},
	}
	for act, does := range acts {
		for name, m := range map[string][2][]httpect.Option{
			"without a token": {mode(httpect.Optional), mode(httpect.Enforce)},
			"below the level": {mode(httpect.Enforce), mode(httpect.Enforce, httpect.WithMinLevel(core.L2))},
		} {
			t.Run(act+", "+name, func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					p := newPair(t, http.HandlerFunc(empty), func(c *calls) { c.policy.MinLevel = core.L1 }, inWorld(func(s *setup) { acceptL1(s); allowPartial(s) }))
					inner := httpect.Middleware(p.caller, m[1]...)(untouched(t))
					front := serve(t, proto, httpect.Middleware(p.caller, m[0]...)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						does(r.Context(), t, p)
						inner.ServeHTTP(rw, r)
					})))
					var tokens []string
					if name == "below the level" {
						tokens = []string{p.to.Token(p.from.Identity).Unsigned(t)}
					}
					r := front.send(t, "GET", "/", nil, tokens...)
					if r.StatusCode != http.StatusForbidden || r.place() != "none" {
						t.Errorf("%v, want that it is refused", r)
					}
					acted, task := p.told.next(t).Claims(), p.told.next(t).Claims()
					p.told.none(t)
					if acted.Workflow != task.Workflow || len(task.Pred) == 0 || task.Ext.Status != http.StatusForbidden {
						t.Errorf("issued %+v, then the task %+v", acted, task)
					}
					if tokens != nil {
						front.send(t, "GET", "/", nil, tokens...).refused(t, core.CodeReplayed)
					}
				})
			})
		}
	}
}
