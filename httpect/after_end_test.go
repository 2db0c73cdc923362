// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestNoTaskAfterEnd: what a handler of an Optional request leaves behind asks for a task
// when the exchange has ended, however it ended. None begins: a call would have no task
// that is ever recorded, and so does not go out.
func TestNoTaskAfterEnd(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"nothing written": empty,
		"kept":            writes(10),
		"large":           writes(100_000),
		"flushed":         flushes(writes(10)),
		"no content":      answers(http.StatusNoContent),
		"refused inside":  nil,
		"panicked":        panicsHere,
		"aborted":         func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"hijacked": func(w http.ResponseWriter, _ *http.Request) {
			if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
				c.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				p := newPair(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the call went out") }))
				left := make(chan context.Context, 1)
				next := http.Handler(h)
				if h == nil {
					next = httpect.Middleware(p.caller)(untouched(t))
				}
				inner := httpect.Middleware(p.caller, httpect.WithMode(httpect.Optional))(
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						left <- context.WithoutCancel(r.Context())
						next.ServeHTTP(w, r)
					}))
				ended := make(chan struct{}, 1)
				front := serve(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer func() { ended <- struct{}{} }()
					inner.ServeHTTP(w, r)
				}))
				front.do(newRequest(t, "GET", front.URL, nil)) //nolint:errcheck // some of them end without a response
				ctx := wait(t, left, "the handler")
				wait(t, ended, "the end of the exchange") // which a server does not wait for once it is hijacked
				if err := call(ctx, p.client, p.site.URL, strings.NewReader("late")); err == nil {
					t.Error("a call after the end succeeds")
				}
				if task, ok := core.TaskFromContext(ctx); ok {
					if _, err := task.Step(ctx, "late", core.StepInput{}); err == nil {
						t.Error("a step after the end is issued")
					}
				}
				p.told.none(t)
			})
		})
	}
}

// TestShortAfterBegun: a response of an Optional request has less than its header said,
// which went out before the task began. That is an error, and nothing has its hash.
func TestShortAfterBegun(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, c := range map[string]struct {
			method   string
			declared string
			status   int
			before   int // written before the task began
			after    int
			want     core.Outcome
		}{
			"nothing":              {"GET", "10", 200, 0, 0, core.OutcomeError},
			"a part, then asked":   {"GET", "10", 200, 9, 0, core.OutcomeError},
			"asked, then a part":   {"GET", "10", 200, 0, 9, core.OutcomeError},
			"a part of much":       {"GET", "100000", 200, 50_000, 49_999, core.OutcomeError},
			"all, then asked":      {"GET", "10", 200, 10, 0, core.OutcomeOK},
			"asked, then all":      {"GET", "10", 200, 0, 10, core.OutcomeOK},
			"all of much":          {"GET", "100000", 200, 50_000, 50_000, core.OutcomeOK},
			"nothing declared":     {"GET", "", 200, 9, 0, core.OutcomeOK},
			"no length at all":     {"GET", "x", 200, 9, 0, core.OutcomeOK},
			"HEAD":                 {"HEAD", "10", 200, 0, 0, core.OutcomeOK},
			"not modified":         {"GET", "10", 304, 0, 0, core.OutcomeOK},
			"an error of its own":  {"GET", "10", 500, 10, 0, core.OutcomeError},
			"nothing, as declared": {"GET", "0", 200, 0, 0, core.OutcomeOK},
		} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				s := serve(t, proto, httpect.Middleware(w.service, httpect.WithMode(httpect.Optional))(http.HandlerFunc(
					func(rw http.ResponseWriter, r *http.Request) {
						if c.declared != "" {
							rw.Header().Set("Content-Length", c.declared)
						}
						rw.WriteHeader(c.status)
						writes(c.before)(rw, r)
						core.TaskFromContext(r.Context())
						writes(c.after)(rw, r)
					})))
				r, err := s.do(newRequest(t, c.method, s.URL, nil))
				short := c.want == core.OutcomeError && c.status == 200
				if whole := err == nil && r.err == nil; whole == short && c.status != 304 { // over HTTP/2 net/http waits for the length of that
					t.Errorf("the client gets %v, %v; want that it is cut short: %t", r, err, short)
				}
				got := w.seen.next(t).Claims()
				if got.Ext.Outcome != c.want || short && got.OutHash.Present {
					t.Errorf("outcome = %v, out_hash = %v, want %v", got.Ext.Outcome, got.OutHash, c.want)
				}
				if r != nil && got.OutHash.Present && got.OutHash != hashOf(r.body) {
					t.Errorf("out_hash = %v is not that of what came", got.OutHash)
				}
			})
		}
	})
}

// lost is a writer whose peer is gone.
type lost struct{ http.ResponseWriter }

var errLost = errors.New("the peer is gone")

func (lost) Write([]byte) (int, error) { return 0, errLost }

// TestLostAfterBegun: the header of an Optional request's response is out, the task begins,
// and writing fails in whichever way. That is an error, and nothing has its hash.
func TestLostAfterBegun(t *testing.T) {
	const content = "the content"
	for name, write := range map[string]func(w http.ResponseWriter) error{
		"Write":       func(w http.ResponseWriter) error { _, err := w.Write([]byte(content)); return err },
		"WriteString": func(w http.ResponseWriter) error { _, err := io.WriteString(w, content); return err },
		"Copy": func(w http.ResponseWriter) error {
			_, err := io.Copy(w, readOnly{strings.NewReader(content)})
			return err
		},
		"Copy much": func(w http.ResponseWriter) error {
			_, err := io.Copy(w, readOnly{strings.NewReader(strings.Repeat(content, 10_000))})
			return err
		},
	} {
		for _, early := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, asked before %t", name, early), func(t *testing.T) {
				w := newWorld(t)
				h := httpect.Middleware(w.service, httpect.WithMode(httpect.Optional))(http.HandlerFunc(
					func(rw http.ResponseWriter, r *http.Request) {
						rw.WriteHeader(http.StatusOK)
						if early {
							core.TaskFromContext(r.Context())
						}
						if err := write(rw); !errors.Is(err, errLost) {
							t.Errorf("writing = %v, want %v", err, errLost)
						}
						core.TaskFromContext(r.Context())
					}))
				func() {
					defer func() {
						if p := recover(); p != nil && p != any(http.ErrAbortHandler) {
							t.Errorf("panic(%v)", p)
						}
					}()
					h.ServeHTTP(lost{httptest.NewRecorder()}, newRequest(t, "GET", "/", nil))
				}()
				if c := w.seen.next(t).Claims(); c.OutHash.Present || c.Ext.Outcome == core.OutcomeOK {
					t.Errorf("out_hash = %v, outcome = %v of what did not arrive", c.OutHash, c.Ext.Outcome)
				}
			})
		}
	}
}
