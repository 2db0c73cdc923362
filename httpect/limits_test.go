// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	chimw "github.com/go-chi/chi/v5/middleware"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// soon is a time limit that a handler which waits for it runs into.
const soon = 10 * time.Millisecond

func timeoutHandler(d time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return http.TimeoutHandler(next, d, "too late") }
}

// TestTimeLimits: a time limit that stands further out than the middleware cancels the
// task; one that stands further in is the handler's own, and shows as what it answers.
func TestTimeLimits(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	late := func(rw http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		writes(10)(rw, r)
	}
	for _, c := range []struct {
		name    string
		limit   func(http.Handler) http.Handler
		inside  bool
		handler http.HandlerFunc
		// What the client sees.
		status int
		body   string
		place  string
		// What is recorded.
		outcome  core.Outcome
		recorded int
		hashed   bool
	}{
		{name: "chi inside, silent", limit: chimw.Timeout(soon), inside: true, handler: silent,
			status: 504, place: "header", outcome: core.OutcomeError, recorded: 504, hashed: true},
		{name: "chi outside, silent", limit: chimw.Timeout(soon), handler: silent,
			status: 504, place: "header", outcome: core.OutcomeCancelled},
		{name: "chi inside, answers late", limit: chimw.Timeout(soon), inside: true, handler: late,
			status: 200, body: "aaaaaaaaaa", place: "header", outcome: core.OutcomeOK, recorded: 200, hashed: true},
		{name: "chi outside, answers late", limit: chimw.Timeout(soon), handler: late,
			status: 200, body: "aaaaaaaaaa", place: "header", outcome: core.OutcomeCancelled, recorded: 200, hashed: true},
		{name: "net/http inside", limit: timeoutHandler(soon), inside: true, handler: late,
			status: 503, body: "too late", place: "header", outcome: core.OutcomeError, recorded: 503, hashed: true},
		{name: "net/http outside", limit: timeoutHandler(soon), handler: late,
			status: 503, body: "too late", place: "none", outcome: core.OutcomeCancelled, recorded: 200, hashed: true},
		{name: "net/http outside, silent", limit: timeoutHandler(soon), handler: silent,
			status: 503, body: "too late", place: "none", outcome: core.OutcomeCancelled},
		{name: "chi inside, in time", limit: chimw.Timeout(time.Hour), inside: true, handler: writes(10),
			status: 200, body: "aaaaaaaaaa", place: "header", outcome: core.OutcomeOK, recorded: 200, hashed: true},
		{name: "chi outside, in time", limit: chimw.Timeout(time.Hour), handler: writes(10),
			status: 200, body: "aaaaaaaaaa", place: "header", outcome: core.OutcomeOK, recorded: 200, hashed: true},
		{name: "net/http inside, in time", limit: timeoutHandler(time.Hour), inside: true, handler: writes(10),
			status: 200, body: "aaaaaaaaaa", place: "header", outcome: core.OutcomeOK, recorded: 200, hashed: true},
		{name: "net/http outside, in time", limit: timeoutHandler(time.Hour), handler: writes(10),
			status: 200, body: "aaaaaaaaaa", place: "header", outcome: core.OutcomeOK, recorded: 200, hashed: true},
		// It holds all of the response back, so that what was a trailer becomes a header.
		{name: "net/http outside, in time, large", limit: timeoutHandler(time.Hour), handler: writes(100_000),
			status: 200, body: strings.Repeat("a", 100_000), place: "header", outcome: core.OutcomeOK, recorded: 200, hashed: true},
		{name: "net/http inside, in time, large", limit: timeoutHandler(time.Hour), inside: true, handler: writes(100_000),
			status: 200, body: strings.Repeat("a", 100_000), place: "trailer", outcome: core.OutcomeOK, recorded: 200, hashed: true},
		{name: "net/http outside, flushes", limit: timeoutHandler(time.Hour), handler: flushes(writes(10)),
			status: 200, body: "begun aaaaaaaaaa", place: "header", outcome: core.OutcomeOK, recorded: 200, hashed: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				w := newWorld(t)
				var h http.Handler = c.handler
				if c.inside {
					h = httpect.Middleware(w.service)(c.limit(h))
				} else {
					h = c.limit(httpect.Middleware(w.service)(h))
				}
				r := serve(t, proto, h).send(t, "GET", "/", nil, w.head(t))
				if r.err != nil || r.StatusCode != c.status || string(r.body) != c.body || r.place() != c.place {
					t.Errorf("%v, want status %d, %d bytes and the token in %s", r, c.status, len(c.body), c.place)
				}
				i := w.seen.next(t)
				w.seen.none(t)
				cl := i.Claims()
				if cl.Ext.Outcome != c.outcome || cl.Ext.Status != c.recorded || cl.OutHash.Present != c.hashed {
					t.Errorf("outcome = %v, status = %d, out_hash = %v", cl.Ext.Outcome, cl.Ext.Status, cl.OutHash)
				}
				if c.place != "none" {
					if v := w.answer(t, r); v.Digest() != i.Digest() || c.hashed && cl.OutHash != hashOf(r.body) {
						t.Error("the answer is not the record of what came")
					}
				}
			})
		})
	}
}

// TestServerTimeouts: a handler runs past the time that its server has for the response.
func TestServerTimeouts(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, limit := range map[string]func(http.ResponseWriter){
			"of the server": func(http.ResponseWriter) {},
			"of the handler": func(rw http.ResponseWriter) {
				if err := http.NewResponseController(rw).SetWriteDeadline(time.Now().Add(soon)); err != nil {
					t.Errorf("SetWriteDeadline: %v", err)
				}
			},
		} {
			w := newWorld(t)
			var running atomic.Bool
			h := httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				running.Store(true)
				limit(rw)
				for r.Context().Err() == nil { // or the socket takes all that is written
					if _, err := rw.Write(make([]byte, 100_000)); err != nil {
						return
					}
				}
			}))
			// The server's time is for its handshake as well, which may take longer.
			for time := soon; !running.Load(); time *= 4 {
				s := serve(t, proto, h, func(srv *httptest.Server) {
					if name == "of the server" {
						srv.Config.WriteTimeout = time
					}
				})
				r, err := s.do(newRequest(t, "GET", s.URL, nil, w.head(t)))
				if err == nil && r.err == nil {
					t.Errorf("%s: %v seems whole", name, r)
				}
			}
			if c := w.seen.next(t).Claims(); c.Ext.Outcome != core.OutcomeCancelled || c.OutHash.Present {
				t.Errorf("%s: outcome = %v, out_hash = %v", name, c.Ext.Outcome, c.OutHash)
			}
			w.seen.none(t)
		}
	})
}

// TestMaxBytes: a limit on what a client may send, on either side of the middleware, is
// the handler's to answer; a body that was cut off at it has no hash, and none is said to
// differ.
func TestMaxBytes(t *testing.T) {
	limit := func(next http.Handler) http.Handler { return http.MaxBytesHandler(next, 1000) }
	h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if _, over := errors.AsType[*http.MaxBytesError](err); over {
			rw.WriteHeader(http.StatusRequestEntityTooLarge)
		} else if err != nil {
			t.Errorf("Copy = %d, %v", n, err)
		}
	})
	protos(t, func(t *testing.T, proto string) {
		for _, inside := range []bool{true, false} {
			for size, want := range map[int]int{1000: 200, 1001: 413, 20_000: 413, 400_000: 413} {
				for _, bound := range []bool{true, false} {
					w := newWorld(t)
					chain := limit(httpect.Middleware(w.service)(h))
					if inside {
						chain = httpect.Middleware(w.service)(limit(h))
					}
					body := bytes.Repeat([]byte("x"), size)
					token := w.head(t)
					if bound {
						token = w.headOver(t, body)
					}
					r := serve(t, proto, chain).send(t, "POST", "/", bytes.NewReader(body), token)
					if r.StatusCode != want {
						t.Errorf("%d bytes, inside %t, bound %t: %v, want %d", size, inside, bound, r, want)
					}
					c := w.answer(t, r).Claims()
					if c.InpHash.Present && c.InpHash != hashOf(body) || !c.InpHash.Present && size <= 1000 {
						t.Errorf("%d bytes, inside %t, bound %t: inp_hash = %v", size, inside, bound, c.InpHash)
					}
					if got := w.seen.codes(&w.seen.differed); len(got) > 0 {
						t.Errorf("reported as differing: %v", got)
					}
				}
			}
		}
	})
}
