// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

func TestOutcome(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		outcome core.Outcome
		status  int
		// broken tells that the client gets no response, or half of one.
		broken bool
	}{
		{name: "200", handler: empty, status: 200},
		{name: "201", handler: answers(201), status: 201},
		{name: "the first status counts", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(202)
			w.WriteHeader(500)
		}, status: 202},
		{name: "404", handler: http.NotFound, status: 404},
		{name: "499", handler: answers(499), status: 499},
		{name: "500", handler: answers(500), status: 500, outcome: core.OutcomeError},
		{name: "503 in a stream", handler: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(503)
			flushes(empty)(w, r)
		}, status: 503, outcome: core.OutcomeError},
		{name: "panic", handler: func(http.ResponseWriter, *http.Request) { panic("no") }, outcome: core.OutcomeError, broken: true},
		{name: "panic after a write", handler: func(w http.ResponseWriter, r *http.Request) {
			writes(10)(w, r)
			panic("no")
		}, outcome: core.OutcomeError, broken: true},
		{name: "panic in a stream", handler: flushes(func(http.ResponseWriter, *http.Request) { panic("no") }), outcome: core.OutcomeError, broken: true},
		{name: "abort", handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, outcome: core.OutcomeError, broken: true},
		{name: "abort in a stream", handler: flushes(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), outcome: core.OutcomeError, broken: true},
		{name: "panic recovered inside", handler: recovered(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			panic("no")
		})).ServeHTTP, status: 500, outcome: core.OutcomeError},
	} {
		t.Run(c.name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				w := newWorld(t)
				s := serve(t, proto, httpect.Middleware(w.service)(c.handler))
				head := w.head(t)
				r, err := s.do(newRequest(t, "GET", s.URL, nil, head))
				if broken := err != nil || r.err != nil; broken != c.broken {
					t.Fatalf("Do = %v, %v; want it broken: %v", r, err, c.broken)
				}
				issued := w.seen.next(t)
				w.seen.none(t)
				cl := issued.Claims()
				if cl.Ext.Outcome != c.outcome || cl.Ext.Status != c.status {
					t.Errorf("outcome = %v, status = %d; want %v, %d", cl.Ext.Outcome, cl.Ext.Status, c.outcome, c.status)
				}
				if len(cl.Pred) != 1 || cl.Pred[0] != parse(t, head).ClaimsWithoutVerification().TaskID {
					t.Errorf("pred = %v, want the head", cl.Pred)
				}
				if c.broken {
					if cl.OutHash.Present {
						t.Error("out_hash of a response that was not sent whole")
					}
					if err == nil && len(r.tokens()) > 0 {
						t.Errorf("%d tokens came with half a response", len(r.tokens()))
					}
					// The work may have been done: the token is spent.
					again, err := s.do(newRequest(t, "GET", s.URL, nil, head))
					if err != nil {
						t.Fatal(err)
					}
					again.refused(t, core.CodeReplayed)
					return
				}
				if v := w.answer(t, r); v.Digest() != issued.Digest() || r.StatusCode != c.status {
					t.Errorf("status = %d, want %d and the token that was issued", r.StatusCode, c.status)
				}
			})
		})
	}
}

// TestRecoveredOutside: a middleware further out that turns a panic into an answer gets
// a response that nothing of the handler's stands in.
func TestRecoveredOutside(t *testing.T) {
	w := newWorld(t)
	r := chi.NewRouter()
	r.Use(recovered, httpect.Middleware(w.service))
	r.Get("/", func(rw http.ResponseWriter, r *http.Request) {
		writes(10)(rw, r)
		panic("no")
	})
	got := serve(t, http1, r).send(t, "GET", "/", nil, w.head(t))
	if got.StatusCode != 500 || len(got.body) != 0 || got.place() != "none" {
		t.Errorf("status = %d, body = %q, token in %s", got.StatusCode, got.body, got.place())
	}
	if c := w.seen.next(t).Claims(); c.Ext.Outcome != core.OutcomeError {
		t.Errorf("outcome = %v", c.Ext.Outcome)
	}
}

// recovered answers 500 where a handler panics, as chi's Recoverer does with more words.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func TestClientGone(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, h := range map[string]http.HandlerFunc{"nothing written": empty, "in a stream": flushes(empty)} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				running := make(chan struct{})
				s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					h(rw, r)
					close(running)
					<-r.Context().Done()
				})))
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					if _, err := s.do(newRequest(t, "GET", s.URL, nil, w.head(t)).WithContext(ctx)); err == nil && name == "nothing written" {
						t.Error("the request that was cancelled got an answer")
					}
				}()
				wait(t, running, "the handler")
				cancel()
				c := w.seen.next(t).Claims()
				if c.Ext.Outcome != core.OutcomeCancelled || len(c.Pred) != 1 {
					t.Errorf("outcome = %v, pred = %v; want a cancelled task after the head", c.Ext.Outcome, c.Pred)
				}
				wait(t, done, "the client")
			})
		}
	})
}

// TestRoot: without a token, where that is fine, the task is a root.
func TestRoot(t *testing.T) {
	w := newWorld(t)
	s := serve(t, http1, httpect.Middleware(w.service, httpect.WithMode(httpect.Optional))(http.HandlerFunc(
		func(rw http.ResponseWriter, r *http.Request) {
			task, ok := core.TaskFromContext(r.Context())
			if _, asked := core.ReceivedFromContext(r.Context()); !ok || asked || len(task.Heads()) != 0 {
				t.Errorf("TaskFromContext = %v, %v with %d heads; want a root", task, ok, len(task.Heads()))
			}
			io.Copy(rw, r.Body) //nolint:errcheck // the client looks
		})))
	body := []byte("body")
	r := s.send(t, "POST", "/", bytes.NewReader(body))
	if r.place() != "none" || r.StatusCode != 200 {
		t.Fatalf("status = %d, token in %s", r.StatusCode, r.place())
	}
	c := w.seen.next(t).Claims()
	if diff := cmp.Diff([]string{w.to.Identity}, c.Audience); diff != "" {
		t.Errorf("aud (-want +got):\n%s", diff)
	}
	if len(c.Pred) != 0 || !c.Workflow.Present || c.InpHash != hashOf(body) || c.OutHash != hashOf(body) {
		t.Errorf("claims = %+v; want a root in a workflow, with both hashes", c)
	}
	if w.seen.unsentCount() != 0 {
		t.Error("a token that nobody asked for counts as not sent")
	}
}

// TestVerifyOnly: a service without an issuer shows what was verified, and records
// nothing.
func TestVerifyOnly(t *testing.T) {
	w := newWorld(t, verifyOnly)
	s := serve(t, http1, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if _, ok := core.TaskFromContext(r.Context()); ok {
			t.Error("there is a task")
		}
		got, ok := core.ReceivedFromContext(r.Context())
		if !ok || len(got.Heads()) != 1 || got.Heads()[0].Issuer() != w.from.Identity {
			t.Errorf("ReceivedFromContext = %v, %v; want the head", got, ok)
		}
		writes(10)(rw, r)
	})))
	token := w.head(t)
	r := s.send(t, "GET", "/", nil, token)
	if r.StatusCode != 200 || len(r.body) != 10 || r.place() != "none" || hasVary(r.Header) != 1 {
		t.Errorf("status = %d, %d bytes, token in %s, Vary %q", r.StatusCode, len(r.body), r.place(), r.Header["Vary"])
	}
	w.seen.none(t)
	s.send(t, "GET", "/", nil, token).refused(t, core.CodeReplayed)
}

// TestUnrecorded: the task was done and cannot be recorded.
func TestUnrecorded(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, c := range map[string]struct {
			handler http.HandlerFunc
			options []httpect.Option
			broken  bool
		}{
			"small": {handler: with("X-Handler", "1", with("Content-Length", "10", writes(10)))},
			"empty": {handler: with("X-Handler", "1", answers(204))},
			"under a small buffer": {
				handler: with("X-Handler", "1", writes(10)), options: buffer(10),
			},
			"flushed":   {handler: flushes(writes(10)), broken: true},
			"streaming": {handler: writes(11), options: buffer(10), broken: true},
		} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				calls := 0
				h := httpect.Middleware(w.service, c.options...)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					calls++
					w.signer.fail.Store(true)
					c.handler(rw, r)
				}))
				s := serve(t, proto, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("X-Outer", "kept")
					h.ServeHTTP(rw, r)
				}))
				head := w.head(t)
				r, err := s.do(newRequest(t, "GET", s.URL, nil, head))
				if err != nil && !c.broken {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]core.Code{core.CodeUnrecorded}, w.seen.codes(&w.seen.unrecorded)); diff != "" {
					t.Errorf("reported as unrecorded (-want +got):\n%s", diff)
				}
				w.seen.none(t)
				if c.broken {
					if err == nil && r.err == nil {
						t.Errorf("the response with %q seems whole", r.body)
					}
				} else {
					r.refused(t, core.CodeUnrecorded)
					if r.Header.Get("X-Handler") != "" || r.Header.Get("X-Outer") != "kept" {
						t.Errorf("header = %v; want that of the middleware outside, and none of the handler's", r.Header)
					}
				}
				// The work was done, so the claim stays.
				w.signer.fail.Store(false)
				again, err := s.do(newRequest(t, "GET", s.URL, nil, head))
				if err != nil {
					t.Fatal(err)
				}
				again.refused(t, core.CodeReplayed)
				if calls != 1 {
					t.Errorf("the handler was called %d times", calls)
				}
			})
		}
	})
}

// TestUnrecordedBehindErrorHandler: an error handler's own answer gets no token either.
func TestUnrecordedBehindErrorHandler(t *testing.T) {
	w := newWorld(t)
	s := serve(t, http1, httpect.Middleware(w.service, httpect.WithResponseBuffer(0), httpect.WithErrorHandler(
		func(rw http.ResponseWriter, r *http.Request, err *core.Error) {
			if !errors.Is(err, errSigner) {
				t.Errorf("the error handler got %v, want the cause in it", err)
			}
			rw.WriteHeader(502)
			flushes(writes(10))(rw, r)
		}))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { w.signer.fail.Store(true) })))
	r := s.send(t, "GET", "/", nil, w.head(t))
	if r.StatusCode != 502 || r.err != nil || len(r.body) != 16 || r.place() != "none" || r.Trailer != nil {
		t.Errorf("status = %d, %v, body = %q, trailer = %v", r.StatusCode, r.err, r.body, r.Trailer)
	}
}

// TestDiffersBehindErrorHandler: an error handler may answer at length, or flush, where a
// body turned out to differ.
func TestDiffersBehindErrorHandler(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		size    int
	}{
		"small":   {writes(10), 10},
		"large":   {writes(httpect.DefaultResponseBuffer, 10), httpect.DefaultResponseBuffer + 10},
		"flushed": {flushes(writes(10)), len("begun ") + 10},
	} {
		protos(t, func(t *testing.T, proto string) {
			w := newWorld(t)
			s := serve(t, proto, httpect.Middleware(w.service, httpect.WithErrorHandler(
				func(rw http.ResponseWriter, r *http.Request, err *core.Error) {
					if err.Code != core.CodeBody {
						t.Errorf("%s: the error handler got %v", name, err)
					}
					rw.WriteHeader(http.StatusConflict)
					c.handler(rw, r)
				}))(writes(20)))
			r := s.send(t, "POST", "/", bytes.NewReader([]byte("another")), w.headOver(t, []byte("recorded")))
			if r.StatusCode != http.StatusConflict || r.err != nil || len(r.body) != c.size || r.place() != "none" || r.Trailer != nil {
				t.Errorf("%s: %v, trailer %v", name, r, r.Trailer)
			}
			if cl := w.seen.next(t).Claims(); cl.Ext.Outcome != core.OutcomeError || cl.Ext.Status != http.StatusConflict || cl.OutHash != hashOf(r.body) {
				t.Errorf("%s: outcome = %v, status = %d, out_hash = %v", name, cl.Ext.Outcome, cl.Ext.Status, cl.OutHash)
			}
		})
	}
}
