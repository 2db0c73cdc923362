// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestAborted: a handler that aborts failed, unless it did so because the client had left.
func TestAborted(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, h := range map[string]http.HandlerFunc{"nothing written": empty, "kept back": writes(10), "in a stream": flushes(empty)} {
			for _, panics := range []any{http.ErrAbortHandler, "no", io.EOF} {
				for _, leaves := range []bool{true, false} {
					w := newWorld(t)
					running := make(chan struct{})
					s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						h(rw, r)
						close(running)
						if leaves {
							<-r.Context().Done()
						}
						panic(panics)
					})))
					ctx, cancel := context.WithCancel(t.Context())
					done := make(chan struct{})
					go func() {
						defer close(done)
						if r, err := s.do(newRequest(t, "GET", s.URL, nil, w.head(t)).WithContext(ctx)); err == nil && r.err == nil {
							t.Errorf("%s: %v seems whole", name, r)
						}
					}()
					wait(t, running, "the handler")
					if leaves {
						cancel()
					}
					want := core.OutcomeError
					if leaves && panics == any(http.ErrAbortHandler) {
						want = core.OutcomeCancelled
					}
					c := w.seen.next(t).Claims()
					if c.Ext.Outcome != want || c.Ext.Status != 0 || c.OutHash.Present || len(c.Pred) != 1 {
						t.Errorf("%s, panic(%v), the client leaves %t: claims = %+v, want %v", name, panics, leaves, c, want)
					}
					wait(t, done, "the client")
					w.seen.none(t)
					cancel()
				}
			}
		}
	})
}

// TestGatewayAborts: httputil.ReverseProxy aborts where its upstream breaks off, which is
// its failure, and where its client leaves, which is not.
func TestGatewayAborts(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, upstream := range map[string]http.HandlerFunc{
			"the upstream breaks off": flushes(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
			"the client leaves":       flushes(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
		} {
			behind, err := url.Parse(serve(t, http1, upstream).URL)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t)
			proxy := httputil.NewSingleHostReverseProxy(behind)
			proxy.FlushInterval = -1
			proxy.ErrorLog = log.New(io.Discard, "", 0)
			s := serve(t, proto, httpect.Middleware(w.service)(proxy))
			ctx, cancel := context.WithCancel(t.Context())
			resp, err := s.client.Do(newRequest(t, "GET", s.URL, nil, w.head(t)).WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			want := core.OutcomeError
			if name == "the client leaves" {
				want = core.OutcomeCancelled
				cancel()
			}
			if r, err := readReply(resp, nil); err == nil && r.err == nil {
				t.Errorf("%s: %v seems whole", name, r)
			}
			if c := w.seen.next(t).Claims(); c.Ext.Outcome != want || c.OutHash.Present {
				t.Errorf("%s: outcome = %v, out_hash = %v, want %v", name, c.Ext.Outcome, c.OutHash, want)
			}
			w.seen.none(t)
			cancel()
		}
	})
}

// TestHandlerExits: a handler that ends its goroutine, as a failing test in it does,
// leaves the record of a task that failed.
func TestHandlerExits(t *testing.T) {
	w := newWorld(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.inProcess(t, httptest.NewRecorder(), func(http.ResponseWriter, *http.Request) { runtime.Goexit() })
		t.Error("the goroutine goes on")
	}()
	wait(t, done, "the goroutine's end")
	if c := w.seen.next(t).Claims(); c.Ext.Outcome != core.OutcomeError || len(c.Pred) != 1 {
		t.Errorf("claims = %+v, want the record of a task that failed", c)
	}
}

// TestPanicTraced: the server's log still says where a handler panicked.
func TestPanicTraced(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		logged := make(logLines, 10)
		s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(panicsHere)), func(srv *httptest.Server) {
			srv.Config.ErrorLog = log.New(logged, "", 0)
		})
		s.do(newRequest(t, "GET", s.URL, nil, w.head(t))) //nolint:errcheck // the log counts
		if got := wait(t, logged, "the log"); !strings.Contains(got, "panicsHere") || !strings.Contains(got, "oh no") {
			t.Errorf("logged:\n%s", got)
		}
	})
}

func panicsHere(http.ResponseWriter, *http.Request) { panic("oh no") }

// logLines has what was written to a log, a line or a trace each.
type logLines chan string

func (l logLines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
