// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// l1 mints an unsigned token from the caller.
func (w *world) l1(tb testing.TB) string {
	tb.Helper()
	return w.from.Token(w.to.Identity).Unsigned(tb)
}

// TestRaised: a group asks for more than the root (profile 9.10).
func TestRaised(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t, acceptL1)
		r := chi.NewRouter()
		r.Use(httpect.Middleware(w.service, httpect.WithResponseBuffer(0)))
		r.Get("/open", writes(10))
		r.Group(func(r chi.Router) {
			r.Use(httpect.Middleware(w.service, httpect.WithMinLevel(core.L2), httpect.WithProblemDetail()))
			r.Get("/closed", writes(10))
		})
		s := serve(t, proto, r)

		low := w.l1(t)
		got := s.send(t, "GET", "/closed", nil, low)
		if got.StatusCode != 403 || got.place() != "none" || len(got.Trailer) > 0 || hasVary(got.Header) != 1 {
			t.Errorf("an L1 head inside: %v, trailer %v, Vary %q", got, got.Trailer, got.Header["Vary"])
		}
		if p := got.problem(t); p.Code != "rejected" || p.Check != "level" {
			t.Errorf("problem = %+v", p)
		}
		if diff := cmp.Diff([]core.Code{core.CodeLevel}, w.seen.codes(&w.seen.rejected)); diff != "" {
			t.Errorf("reported as rejected (-want +got):\n%s", diff)
		}
		w.seen.none(t)
		// No handler saw it, so it may be presented again.
		if got := s.send(t, "GET", "/open", nil, low); got.StatusCode != 200 {
			t.Errorf("the same token outside: %v", got)
		}
		s.send(t, "GET", "/open", nil, low).refused(t, core.CodeReplayed)

		high := w.head(t)
		if v := w.answer(t, s.send(t, "GET", "/closed", nil, high)); v.Claims().Action != "GET /closed" {
			t.Errorf("exec_act = %q", v.Claims().Action)
		}
		s.send(t, "GET", "/closed", nil, high).refused(t, core.CodeReplayed)
		s.send(t, "GET", "/open", nil, high).refused(t, core.CodeReplayed)
	})
}

// mounts builds a router on which the middleware is mounted several times, the first
// furthest out.
func mounts(s *core.Service, h http.Handler, each ...[]httpect.Option) http.Handler {
	for _, options := range slices.Backward(each) {
		h = httpect.Middleware(s, options...)(h)
	}
	return h
}

func mode(m httpect.Mode, more ...httpect.Option) []httpect.Option {
	return append([]httpect.Option{httpect.WithMode(m)}, more...)
}

func TestMountedTwice(t *testing.T) {
	enforce, optional, observe := mode(httpect.Enforce), mode(httpect.Optional), mode(httpect.Observe)
	raised := mode(httpect.Enforce, httpect.WithMinLevel(core.L2))
	none := func(*testing.T, *world) []string { return nil }
	good := func(t *testing.T, w *world) []string { return []string{w.head(t)} }
	low := func(t *testing.T, w *world) []string { return []string{w.l1(t)} }
	bad := func(t *testing.T, w *world) []string { return []string{w.head(t) + "."} }
	for _, c := range []struct {
		name   string
		mounts [][]httpect.Option
		tokens func(*testing.T, *world) []string
		// code is why it is refused, 0 if it is not.
		code core.Code
		// root tells that the task has no head; replayed that the token is spent.
		root, replayed bool
		// reported is what observers were told, beside the refusal.
		reported []core.Code
	}{
		{name: "twice the same", mounts: [][]httpect.Option{enforce, enforce}, tokens: good, replayed: true},
		{name: "three times", mounts: [][]httpect.Option{enforce, enforce, raised}, tokens: good, replayed: true},
		{name: "optional, enforce, none", mounts: [][]httpect.Option{optional, enforce}, tokens: none, code: core.CodeRequired},
		{name: "optional, enforce, good", mounts: [][]httpect.Option{optional, enforce}, tokens: good, replayed: true},
		{name: "optional, enforce, bad", mounts: [][]httpect.Option{optional, enforce}, tokens: bad, code: core.CodeMalformed},
		{name: "optional, optional, none", mounts: [][]httpect.Option{optional, optional}, tokens: none, root: true},
		{name: "optional, observe, none", mounts: [][]httpect.Option{optional, observe}, tokens: none, root: true, reported: []core.Code{core.CodeRequired}},
		{name: "enforce, optional, none", mounts: [][]httpect.Option{enforce, optional}, tokens: none, code: core.CodeRequired},
		{name: "enforce, observe, bad", mounts: [][]httpect.Option{enforce, observe}, tokens: bad, code: core.CodeMalformed},
		{name: "raised optional, L1", mounts: [][]httpect.Option{optional, mode(httpect.Optional, httpect.WithMinLevel(core.L2))}, tokens: low, code: core.CodeLevel},
		{name: "raised observe, L1", mounts: [][]httpect.Option{enforce, mode(httpect.Observe, httpect.WithMinLevel(core.L2))}, tokens: low, replayed: true, reported: []core.Code{core.CodeLevel}},
		{name: "raised outside, L1", mounts: [][]httpect.Option{raised, enforce}, tokens: low, code: core.CodeLevel},
		{name: "raised in the middle, L1", mounts: [][]httpect.Option{enforce, raised, enforce}, tokens: low, code: core.CodeLevel},
		{name: "observe, enforce, none", mounts: [][]httpect.Option{observe, enforce}, tokens: none, code: core.CodeRequired},
		{name: "observe, enforce, good", mounts: [][]httpect.Option{observe, enforce}, tokens: good, replayed: true},
		{name: "observe, enforce, bad", mounts: [][]httpect.Option{observe, enforce}, tokens: bad, code: core.CodeMalformed},
		{name: "observe, optional, none", mounts: [][]httpect.Option{observe, optional}, tokens: none, root: true, reported: []core.Code{core.CodeRequired}},
		{name: "observe, optional, good", mounts: [][]httpect.Option{observe, optional}, tokens: good, replayed: true},
		{name: "observe, optional, bad", mounts: [][]httpect.Option{observe, optional}, tokens: bad, code: core.CodeMalformed},
		{name: "observe, raised, L1", mounts: [][]httpect.Option{observe, raised}, tokens: low, code: core.CodeLevel},
		{name: "observe, observe, good", mounts: [][]httpect.Option{observe, observe}, tokens: good},
		{name: "observe, enforce, enforce, good", mounts: [][]httpect.Option{observe, enforce, raised}, tokens: good, replayed: true},
		{name: "observe, optional, enforce, good", mounts: [][]httpect.Option{observe, optional, enforce}, tokens: good, replayed: true},
		{name: "observe, optional, raised, L1", mounts: [][]httpect.Option{observe, optional, raised}, tokens: low, code: core.CodeLevel},
	} {
		for who, edit := range map[string]func(*setup){"recording": func(*setup) {}, "verify only": verifyOnly} {
			t.Run(c.name+", "+who, func(t *testing.T) {
				w := newWorld(t, acceptL1, edit)
				called := 0
				h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					called++
					core.TaskFromContext(r.Context()) // which begins one where no token came
				})
				s := serve(t, http1, mounts(w.service, h, c.mounts...))
				tokens := c.tokens(t, w)
				r := s.send(t, "GET", "/", nil, tokens...)
				if c.code != 0 {
					r.refused(t, c.code)
					if called != 0 {
						t.Error("the handler was called")
					}
					w.seen.none(t)
					got := w.seen.codes(&w.seen.rejected)
					if n := slices.Index(got, c.code); n < 0 {
						t.Errorf("reported as rejected: %v, want %v", got, c.code)
					}
					if c.code == core.CodeLevel {
						// The claim was given back.
						open := serve(t, http1, httpect.Middleware(w.service)(http.HandlerFunc(empty)))
						if got := open.send(t, "GET", "/", nil, tokens...); got.StatusCode != 200 {
							t.Errorf("the same token elsewhere: %v (%s)", got, got.body)
						}
					}
					return
				}
				if r.StatusCode != 200 || called != 1 {
					t.Fatalf("%v (%s), called %d times", r, r.body, called)
				}
				if diff := cmp.Diff(c.reported, w.seen.codes(&w.seen.rejected)); diff != "" {
					t.Errorf("reported as rejected (-want +got):\n%s", diff)
				}
				if who == "recording" {
					cl := w.seen.next(t).Claims()
					w.seen.none(t) // one task, one record
					if (len(cl.Pred) == 0) != c.root || (r.place() == "none") != c.root {
						t.Errorf("pred = %v, %v; want a root: %v", cl.Pred, r, c.root)
					}
				}
				if c.root {
					return
				}
				again := s.send(t, "GET", "/", nil, tokens...)
				if c.replayed {
					again.refused(t, core.CodeReplayed)
				} else if again.StatusCode != 200 {
					t.Errorf("the same token again where nothing is claimed: %v", again)
				}
			})
		}
	}
}

// TestRefusalReportedOnce: however far in it is refused, a message is refused once.
func TestRefusalReportedOnce(t *testing.T) {
	for name, m := range map[string][][]httpect.Option{
		"at once":  {mode(httpect.Enforce)},
		"enforce":  {mode(httpect.Observe), mode(httpect.Enforce)},
		"optional": {mode(httpect.Observe), mode(httpect.Optional)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := serve(t, http1, mounts(w.service, untouched(t), m...))
			token := w.head(t)
			open := serve(t, http1, httpect.Middleware(w.service)(http.HandlerFunc(empty)))
			open.send(t, "GET", "/", nil, token)
			// Observing claims nothing, and so does not see that it was presented before.
			s.send(t, "GET", "/", nil, token).refused(t, core.CodeReplayed)
			if diff := cmp.Diff([]core.Code{core.CodeReplayed}, w.seen.codes(&w.seen.rejected)); diff != "" {
				t.Errorf("reported as rejected (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBodyUnderObserve: an inner middleware that enforces holds the body against the
// record, though the outer one only observes.
func TestBodyUnderObserve(t *testing.T) {
	for name, body := range map[string][]byte{"empty": nil, "small": []byte("another"), "large": bytes.Repeat([]byte("x"), 100_000)} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadAll(r.Body); core.CodeOf(err) != core.CodeBody {
					t.Errorf("ReadAll = %v, want that the body differs", err)
				}
			})
			s := serve(t, http1, mounts(w.service, h, mode(httpect.Observe), mode(httpect.Enforce)))
			s.send(t, "POST", "/", bytes.NewReader(body), w.headOver(t, []byte("what was recorded"))).refused(t, core.CodeBody)

			// Where both observe, nothing is refused.
			seen := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, body) {
					t.Errorf("ReadAll = %d bytes, %v; want all %d", len(got), err, len(body))
				}
				if task, _ := core.TaskFromContext(r.Context()); task.BodyState() != core.BodyNotBound {
					t.Errorf("BodyState = %v, want not bound", task.BodyState())
				}
			})
			w = newWorld(t)
			s = serve(t, http1, mounts(w.service, seen, mode(httpect.Observe), mode(httpect.Observe)))
			if r := s.send(t, "POST", "/", bytes.NewReader(body), w.headOver(t, []byte("what was recorded"))); r.StatusCode != 200 {
				t.Errorf("where both observe: %v", r)
			}
		})
	}
}

func TestWiring(t *testing.T) {
	w := newWorld(t)
	for name, wire := range map[string]func(){
		"nil service":          func() { httpect.Middleware(nil) },
		"level below policy":   func() { httpect.Middleware(w.service, httpect.WithMinLevel(core.L1)) },
		"no such level":        func() { httpect.Middleware(w.service, httpect.WithMinLevel(core.L3+1)) },
		"no such mode":         func() { httpect.Middleware(w.service, httpect.WithMode(httpect.Observe+1)) },
		"no such length":       func() { httpect.Middleware(w.service, httpect.WithLengthPolicy(httpect.KeepLength+1)) },
		"negative buffer":      func() { httpect.Middleware(w.service, httpect.WithResponseBuffer(-1)) },
		"negative drain":       func() { httpect.Middleware(w.service, httpect.WithDrain(-1)) },
		"negative body buffer": func() { httpect.Middleware(w.service, httpect.WithBodyBuffer(-1)) },
		"a later option is it": func() { httpect.Middleware(w.service, httpect.WithDrain(1), httpect.WithDrain(-1)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("Middleware did not panic")
				}
			}()
			wire()
		})
	}
	httpect.Middleware(w.service, httpect.WithMinLevel(core.L2)) // the policy's own is none below
	httpect.Middleware(w.service, httpect.WithMinLevel(core.L3))
	// L3 can be asked for, and nothing of this version reaches it.
	s := serve(t, http1, httpect.Middleware(w.service, httpect.WithMinLevel(core.L3))(untouched(t)))
	s.send(t, "GET", "/", nil, w.head(t)).refused(t, core.CodeLevel)
}
