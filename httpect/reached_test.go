// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestReachedAfterRefusal: one of a batch is refused, and then a handler is reached that
// streams, or that panics. The request is served as if nothing had been refused.
func TestReachedAfterRefusal(t *testing.T) {
	for name, c := range map[string]struct {
		handle  http.HandlerFunc
		place   string
		outcome core.Outcome
	}{
		"kept":                {writes(10), "header", core.OutcomeOK},
		"large":               {writes(100_000), "trailer", core.OutcomeOK},
		"flushed":             {flushes(writes(10)), "trailer", core.OutcomeOK},
		"panics":              {panicsHere, "header", core.OutcomeError},
		"panics in the midst": {func(w http.ResponseWriter, r *http.Request) { writes(10)(w, r); panicsHere(w, r) }, "header", core.OutcomeOK},
	} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, refused first %t", name, first), func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					w := newWorld(t, acceptL1)
					open := recovered(httpect.Middleware(w.service)(c.handle))
					closed := httpect.Middleware(w.service, httpect.WithMinLevel(core.L2))(untouched(t))
					s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						if first {
							closed.ServeHTTP(httptest.NewRecorder(), r)
						}
						open.ServeHTTP(rw, r)
						if !first {
							closed.ServeHTTP(httptest.NewRecorder(), r)
						}
					})))
					low := w.l1(t)
					r := s.send(t, "GET", "/", nil, low)
					if r.err != nil || r.place() != c.place {
						t.Fatalf("%v, want the answer in the %s", r, c.place)
					}
					if got := w.answer(t, r).Claims(); got.OutHash != hashOf(r.body) || got.Ext.Outcome != c.outcome {
						t.Errorf("out_hash = %v, outcome = %v", got.OutHash, got.Ext.Outcome)
					}
					s.send(t, "GET", "/", nil, low).refused(t, core.CodeReplayed)
				})
			})
		}
	}
}

// TestRouteInside: the route that a mux further in has found is that of the task, also
// where its handler panics.
func TestRouteInside(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{"returns": empty, "panics": panicsHere} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			mux := http.NewServeMux()
			mux.HandleFunc("GET /invoices/{id}", h)
			s := serve(t, http1, recovered(mounts(w.service, mux, mode(httpect.Enforce), mode(httpect.Enforce))))
			s.send(t, "GET", "/invoices/7", nil, w.head(t))
			if got := w.seen.next(t).Claims().Action; got != "GET /invoices/{id}" {
				t.Errorf("exec_act = %q", got)
			}
		})
	}
}

// TestSomeTurnedAwayAtOnce: a batch asks handlers further in at once, with the one request
// that it has.
func TestSomeTurnedAwayAtOnce(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t, acceptL1)
		open := httpect.Middleware(w.service)(http.HandlerFunc(empty))
		closed := httpect.Middleware(w.service, httpect.WithMinLevel(core.L2))(untouched(t))
		s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			ask := func(h http.Handler) func() { return func() { h.ServeHTTP(httptest.NewRecorder(), r) } }
			atOnce(ask(closed), ask(open), ask(closed), ask(open))
		})))
		low := w.l1(t)
		w.answer(t, s.send(t, "GET", "/", nil, low))
		s.send(t, "GET", "/", nil, low).refused(t, core.CodeReplayed)
	})
}
