// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestBufferedBetween: what stands between two middlewares has read the body before the
// inner one enforces what the outer one observed. A body that differs is refused before
// the handler, and its token is not spent.
func TestBufferedBetween(t *testing.T) {
	recorded := []byte("what was recorded")
	for name, body := range map[string][]byte{"small": []byte("another"), "large": bytes.Repeat([]byte("x"), 100_000), "good": recorded} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			buffered := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					b, err := io.ReadAll(r.Body)
					if err != nil {
						t.Errorf("ReadAll under Observe: %v", err)
					}
					r.Body = io.NopCloser(bytes.NewReader(b))
					next.ServeHTTP(rw, r)
				})
			}
			called := 0
			h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				called++
				if b, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(b, recorded) {
					t.Errorf("the handler gets %d bytes, %v", len(b), err)
				}
			})
			inner := httpect.Middleware(w.service)(h)
			s := serve(t, http1, httpect.Middleware(w.service, httpect.WithMode(httpect.Observe))(buffered(inner)))
			token := w.headOver(t, recorded)
			r := s.send(t, "POST", "/", chunked(body), token)
			if name == "good" {
				if r.StatusCode != 200 || called != 1 {
					t.Errorf("%v, called %d times", r, called)
				}
				return
			}
			r.refused(t, core.CodeBody)
			if called != 0 {
				t.Error("the handler was called")
			}
			if diff := cmp.Diff([]core.Code{core.CodeBody}, w.seen.codes(&w.seen.rejected)); diff != "" {
				t.Errorf("reported as rejected (-want +got):\n%s", diff)
			}
			if r := s.send(t, "POST", "/", chunked(recorded), token); r.StatusCode != 200 || called != 1 {
				t.Errorf("the same token with its body: %v, called %d times", r, called)
			}
		})
	}
}

// TestOwnRouterCalled: a handler calls its own router in process. A request without
// tokens is part of the one that it serves; one that carries tokens is another message,
// and its tokens are verified whatever the outer ones were.
func TestOwnRouterCalled(t *testing.T) {
	for name, mint := range map[string]func(*testing.T, *world) (tokens []string, code core.Code){
		"good":     func(t *testing.T, w *world) ([]string, core.Code) { return []string{w.head(t)}, 0 },
		"none":     func(*testing.T, *world) ([]string, core.Code) { return nil, 0 },
		"garbage":  func(*testing.T, *world) ([]string, core.Code) { return []string{"a.b"}, core.CodeMalformed },
		"unsigned": func(t *testing.T, w *world) ([]string, core.Code) { return []string{w.l1(t)}, core.CodeLevel },
		"by a stranger": func(t *testing.T, w *world) ([]string, core.Code) {
			stranger := w.domain.Agent(t, "stranger")
			w.domain.Remove(stranger)
			return []string{stranger.Token(w.to.Identity).Sign(t)}, core.CodeKeyUnknown
		},
		"for others": func(t *testing.T, w *world) ([]string, core.Code) {
			return []string{w.from.Token(w.from.Identity).Sign(t)}, core.CodeAudience
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tokens, code := mint(t, w)
			outer := w.head(t)
			mux := http.NewServeMux()
			router := httpect.Middleware(w.service)(mux)
			called := 0
			mux.HandleFunc("/inner", func(_ http.ResponseWriter, r *http.Request) {
				called++
				got, ok := core.ReceivedFromContext(r.Context())
				want := outer
				if len(tokens) > 0 {
					want = tokens[0]
				}
				if !ok || got.Heads()[0].Digest() != parse(t, want).Digest() {
					t.Error("the inner handler has another head than came with its request")
				}
			})
			mux.HandleFunc("/outer", func(_ http.ResponseWriter, r *http.Request) {
				for n := range 2 {
					in := httptest.NewRequest("GET", "/inner", nil).WithContext(r.Context())
					if len(tokens) > 0 {
						in.Header[httpect.FieldName] = tokens
					}
					rec := httptest.NewRecorder()
					router.ServeHTTP(rec, in)
					want := code
					if name == "good" && n == 1 {
						want = core.CodeReplayed
					}
					got := &reply{Response: rec.Result(), body: rec.Body.Bytes()}
					if want != 0 {
						got.refused(t, want)
					} else if got.StatusCode != 200 {
						t.Errorf("in process: %v (%s)", got, got.body)
					}
				}
			})
			s := serve(t, http1, router)
			if r := s.send(t, "GET", "/outer", nil, outer); r.StatusCode != 200 {
				t.Errorf("%v (%s)", r, r.body)
			}
			want := map[string]int{"good": 1, "none": 2}[name]
			if called != want {
				t.Errorf("the inner handler was called %d times, want %d", called, want)
			}
		})
	}
}

// trailed is a body of no length whose end brings trailers, as net/http's server has it
// over HTTP/2.
type trailed struct {
	r    *http.Request
	sent http.Header
}

func (b *trailed) Read([]byte) (int, error) {
	maps.Copy(b.r.Trailer, b.sent)
	return 0, io.EOF
}

func (b *trailed) Close() error { return nil }

// TestTrailersWithoutBody: over HTTP/2 a request may say that its body has no length, and
// bring trailers all the same. Tokens among them stay hidden.
func TestTrailersWithoutBody(t *testing.T) {
	for name, edit := range map[string]func(*setup){"matching": func(*setup) {}, "ignoring": ignoreBody, "verify only": verifyOnly} {
		for _, mode := range []httpect.Mode{httpect.Enforce, httpect.Observe} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, edit)
				called := false
				h := httpect.Middleware(w.service, httpect.WithMode(mode))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					called = true
					if got := tokensIn(r.Trailer); len(got) > 0 {
						t.Errorf("at first the trailer has %q", got)
					}
					if b, err := io.ReadAll(r.Body); err != nil || len(b) > 0 {
						t.Errorf("ReadAll = %q, %v", b, err)
					}
					if got := tokensIn(r.Trailer); len(got) > 0 || r.Trailer.Get("X-Other") != "kept" {
						t.Errorf("after the body the trailer is %q", r.Trailer)
					}
				}))
				req := httptest.NewRequest("POST", "/", nil).WithContext(t.Context())
				req.Proto, req.ProtoMajor, req.ProtoMinor, req.ContentLength = http2, 2, 0, 0
				req.Header.Set("Content-Length", "0")
				req.Header[httpect.FieldName] = []string{w.headOver(t, nil)}
				// As announced; the values come with the end.
				req.Trailer = http.Header{httpect.FieldName: nil, receiptField: nil, "X-Other": nil}
				req.Body = &trailed{req, http.Header{httpect.FieldName: {w.head(t)}, receiptField: {":AAAA:"}, "X-Other": {"kept"}}}
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, req)
				if rec.Code != 200 || !called {
					t.Errorf("status = %d (%s), the handler was called: %t", rec.Code, rec.Body, called)
				}
				if name == "matching" {
					if c := w.seen.next(t).Claims(); c.InpHash != hashOf(nil) {
						t.Errorf("inp_hash = %v, want that of nothing", c.InpHash)
					}
				}
			})
		}
	}
}
