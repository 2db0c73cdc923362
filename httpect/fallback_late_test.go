// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestFallbackSpoiledLater: a form that turns out to be none while the handler reads it is
// an error of reading, never an end, and no hash; the message is refused after all.
func TestFallbackSpoiledLater(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	for name, spoil := range map[string]func(string) string{
		"cut within the body":      func(s string) string { return s[:len(s)-1000] },
		"cut before the delimiter": func(s string) string { return strings.TrimSuffix(s, "\r\n--the-boundary--\r\n") },
		"cut within the delimiter": func(s string) string { return strings.TrimSuffix(s, "y--\r\n") },
		"without the last hyphens": func(s string) string { return strings.TrimSuffix(s, "--\r\n") + "\r\n" },
		"without the last CRLF":    func(s string) string { return strings.TrimSuffix(s, "\r\n") },
		"with an epilogue":         func(s string) string { return s + "more" },
		"with another part":        func(s string) string { return strings.TrimSuffix(s, "--\r\n") + "\r\n\r\nmore\r\n--the-boundary--\r\n" },
		"with a delimiter inside":  func(s string) string { return s[:len(s)-1000] + "\r\n--the-boundary" + s[len(s)-1000:] },
	} {
		t.Run(name, func(t *testing.T) {
			for who, edit := range map[string]func(*setup){"matching": func(*setup) {}, "ignoring": ignoreBody, "requiring": requireBody, "verify only": verifyOnly,
				"verify only, ignoring": func(s *setup) { verifyOnly(s); ignoreBody(s) }} {
				protos(t, func(t *testing.T, proto string) {
					w := newWorld(t, edit)
					called := false
					s := serve(t, proto, w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						called = true
						got, err := io.ReadAll(r.Body)
						if core.CodeOf(err) != core.CodeMalformed || len(got) > len(body) || !bytes.Equal(got, body[:len(got)]) {
							t.Errorf("%s: the handler read %d bytes, %v", who, len(got), err)
						}
						if n, err := r.Body.Read(make([]byte, 1)); n != 0 || core.CodeOf(err) != core.CodeMalformed {
							t.Errorf("%s: and then %d, %v", who, n, err)
						}
					})))
					f := newFolded(body)
					f.tokens = []string{w.headOver(t, body)}
					f.text = spoil(f.String())
					f.chunked = true
					s.fold(t, f).refused(t, core.CodeMalformed)
					if diff := cmp.Diff([]core.Code{core.CodeMalformed}, w.seen.codes(&w.seen.rejected)); diff != "" {
						t.Errorf("%s: reported as rejected (-want +got):\n%s", who, diff)
					}
					if called != (who != "requiring") {
						t.Errorf("%s: called = %v", who, called)
					}
					if !called || !w.service.Records() {
						w.seen.none(t)
					} else if c := w.seen.next(t).Claims(); c.InpHash.Present || c.Ext.Outcome != core.OutcomeError {
						t.Errorf("%s: inp_hash = %v, outcome = %v", who, c.InpHash, c.Ext.Outcome)
					}
				})
			}
		})
	}
}

// TestFallbackObserved: where nothing is refused, a handler loses nothing. A form that is
// good is taken apart, and one that is not is passed on as it came.
func TestFallbackObserved(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 8<<10)
	for name, c := range map[string]struct {
		edit func(t *testing.T, w *world, f *folded)
		off  bool
		want core.Code // 0 if the form is good
	}{
		"good":            {func(*testing.T, *world, *folded) {}, false, 0},
		"a bad token":     {func(_ *testing.T, _ *world, f *folded) { f.tokens = []string{"e30"} }, false, 0},
		"not taken":       {func(*testing.T, *world, *folded) {}, true, core.CodeUnsupported},
		"DELETE":          {func(_ *testing.T, _ *world, f *folded) { f.method = "DELETE" }, false, core.CodeUnsupported},
		"no boundary":     {func(_ *testing.T, _ *world, f *folded) { f.media = `multipart/related; type="application/exec+jwt"` }, false, core.CodeMalformed},
		"a preamble":      {func(_ *testing.T, _ *world, f *folded) { f.text = "x" + f.String() }, false, core.CodeMalformed},
		"a comma":         {func(_ *testing.T, _ *world, f *folded) { f.tokens[0] += "," }, false, core.CodeMalformed},
		"a foreign field": {func(_ *testing.T, _ *world, f *folded) { f.fields += "X-Other: x\r\n" }, false, core.CodeMalformed},
		"too much":        {func(_ *testing.T, _ *world, f *folded) { f.receipts = strings.Repeat("x", 70<<10) }, false, core.CodeBodyTooLarge},
		"nothing else":    {func(_ *testing.T, _ *world, f *folded) { f.text = "\r\n" }, false, core.CodeMalformed},
		"in both": {func(t *testing.T, w *world, f *folded) { //nolint:thelper // a case, not a helper
			f.header.Set(httpect.FieldName, w.head(t))
		}, false, core.CodeMalformed},
		"an empty body": {func(_ *testing.T, _ *world, f *folded) { f.body = nil }, false, 0},
		"spoiled, empty": {func(_ *testing.T, _ *world, f *folded) {
			f.body = nil
			f.text = strings.TrimSuffix(f.String(), "-\r\n") + "x\r\n"
		}, false, core.CodeMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				for _, enforced := range []bool{false, true} {
					w := newWorld(t)
					var got *original
					var h http.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						var err error
						if got, err = look(r); err != nil {
							t.Errorf("the handler's body: %v", err)
						}
					})
					if enforced {
						h = httpect.Middleware(w.service)(h)
					}
					opts := []httpect.Option{httpect.WithMode(httpect.Observe)}
					if !c.off {
						opts = append(opts, httpect.WithBodyFallback())
					}
					s := serve(t, proto, httpect.Middleware(w.service, opts...)(h))
					f := newFolded(body, w.headOver(t, body))
					c.edit(t, w, f)
					r := s.fold(t, f)
					switch {
					case enforced && c.want != 0:
						r.refused(t, c.want)
						continue
					case enforced && name == "a bad token":
						r.refused(t, core.CodeClaims)
						continue
					case enforced && name == "an empty body":
						r.refused(t, core.CodeBody)
						continue
					}
					if r.StatusCode != 200 {
						t.Fatalf("status = %d (%s)", r.StatusCode, r.body)
					}
					want := &original{Method: f.method, Body: string(f.body), Length: int64(len(f.body)), Header: http.Header{"Content-Type": {"text/plain"}}}
					if c.want != 0 {
						want.Body, want.Length, want.Header = f.String(), int64(len(f.String())), http.Header{"Content-Type": {f.media}}
						if diff := cmp.Diff([]core.Code{c.want}, w.seen.codes(&w.seen.rejected)); diff != "" {
							t.Errorf("reported as rejected (-want +got):\n%s", diff)
						}
					}
					want.Header.Set("Content-Length", fmt.Sprint(want.Length))
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("the handler sees (-want +got):\n%.2000s", diff)
					}
					if c := w.seen.next(t).Claims(); c.InpHash != hashOf([]byte(want.Body)) {
						t.Errorf("inp_hash = %v, want that of what the handler saw", c.InpHash)
					}
				}
			})
		})
	}
	// What is found out later cannot be taken back, and is no end either.
	w := newWorld(t)
	s := serve(t, http1, w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if got, err := look(r); err == nil || got.Body != string(body) {
			t.Errorf("the handler read %d bytes, %v", len(got.Body), err)
		}
	}), httpect.WithMode(httpect.Observe)))
	f := newFolded(body, w.head(t))
	f.text, f.chunked = f.String()+"more", true
	if r := s.fold(t, f); r.StatusCode != 200 {
		t.Errorf("status = %d (%s)", r.StatusCode, r.body)
	}
	if diff := cmp.Diff([]core.Code{core.CodeMalformed}, w.seen.codes(&w.seen.rejected)); diff != "" {
		t.Errorf("reported as rejected (-want +got):\n%s", diff)
	}
	if c := w.seen.next(t).Claims(); c.InpHash.Present {
		t.Errorf("inp_hash = %v of a body that was not read to its end", c.InpHash)
	}
}

// TestFallbackSettles: what net/http would drop when the response begins is seen first.
func TestFallbackSettles(t *testing.T) {
	for _, size := range []int{0, 1, 100, 5000, 100_000, 250_000, 256<<10 - 100, 256 << 10, 300_000, 400_000} {
		for _, chunked := range []bool{false, true} {
			w := newWorld(t)
			body := bytes.Repeat([]byte("x"), size)
			s := serve(t, http1, w.taking(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				var first [1]byte
				n, _ := r.Body.Read(first[:])
				rw.(http.Flusher).Flush()
				rest, err := io.ReadAll(r.Body)
				task, _ := core.TaskFromContext(r.Context())
				if n+len(rest) == size && err == nil && task.BodyState() != core.BodyBound {
					t.Errorf("%d bytes, chunked %v: all was read, and the state is %v", size, chunked, task.BodyState())
				}
				if err != nil && !errors.Is(err, http.ErrBodyReadAfterClose) {
					t.Errorf("%d bytes, chunked %v: after the flush: %v", size, chunked, err)
				}
			})))
			f := newFolded(body, w.headOver(t, body))
			f.chunked = chunked
			r := s.fold(t, f)
			if got := w.answer(t, r).Claims().InpHash; got.Present && got != hashOf(body) {
				t.Errorf("%d bytes, chunked %v: inp_hash = %v", size, chunked, got)
			}
			if r.err != nil {
				t.Errorf("%d bytes, chunked %v: %v", size, chunked, r.err)
			}
		}
	}
}

// TestFallbackSettlesByTheEnvelope: it is the envelope that net/http counts, of which more
// was read than the handler got.
func TestFallbackSettlesByTheEnvelope(t *testing.T) {
	for size, want := range map[int]core.BodyState{
		256<<10 + 1000: core.BodyBound, 256<<10 + 20_000: core.BodyPending,
	} {
		w := newWorld(t)
		body := bytes.Repeat([]byte("x"), size)
		h := w.taking(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			r.Body.Read(make([]byte, 1)) //nolint:errcheck // its end is looked for below
			rw.(http.Flusher).Flush()
			if task, _ := core.TaskFromContext(r.Context()); task.BodyState() != want {
				t.Errorf("%d bytes: after the flush the state is %v, want %v", size, task.BodyState(), want)
			}
		}), httpect.WithDrain(int64(size)))
		h.ServeHTTP(httptest.NewRecorder(), newFolded(body, w.headOver(t, body)).request(t, "http://host.example/"))
	}
}

// TestFallbackWithoutServer: requests that no server made, and bodies that break or are
// capped.
func TestFallbackWithoutServer(t *testing.T) {
	w := newWorld(t)
	h := w.taking(untouched(t))
	f := newFolded([]byte("the body"), w.head(t))
	broken := errors.New("the connection broke")
	for name, c := range map[string]struct {
		body io.ReadCloser
		want int
	}{
		"no body":   {nil, 400},
		"NoBody":    {http.NoBody, 400},
		"it breaks": {io.NopCloser(io.MultiReader(strings.NewReader(f.String()[:50]), failing{closedChan(), broken})), 400},
		"it is capped": {
			http.MaxBytesReader(nil, io.NopCloser(strings.NewReader(f.String())), 20), 413,
		},
	} {
		req := f.request(t, "http://host.example/")
		req.Body, req.ContentLength = c.body, -1
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code != c.want {
			t.Errorf("%s: status = %d, want %d", name, rec.Code, c.want)
		}
	}
	// What broke once does not go on, also where nothing is refused.
	seen := false
	observing := w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = true
		if got, err := io.ReadAll(r.Body); !errors.Is(err, iotest.ErrTimeout) || !strings.HasPrefix(f.String(), string(got)) {
			t.Errorf("the handler read %q, %v", got, err)
		}
	}), httpect.WithMode(httpect.Observe))
	req := f.request(t, "http://host.example/")
	req.Body = io.NopCloser(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(f.String()))))
	observing.ServeHTTP(httptest.NewRecorder(), req)
	if !seen {
		t.Error("the handler was not called")
	}
	// A handler that reads on after it closed the body gets no more of it.
	done := false
	h = w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		done = true
		r.Body.Close()
		if n, err := r.Body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("Read = %d, %v after Close", n, err)
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), f.request(t, "http://host.example/"))
	if !done {
		t.Error("the handler was not called")
	}
}

func closedChan() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
