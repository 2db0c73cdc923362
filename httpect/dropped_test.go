// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// counting returns a body in which no two stretches are the same.
func counting(size int) []byte {
	b := make([]byte, size)
	for n := range b {
		b[n] = byte(n % 251)
	}
	return b
}

// TestOptionalAnsweredFirst: under Optional a handler begins its response before it reads
// a body, of which net/http may drop a part over HTTP/1. It reads what it would read
// without the middleware, and a task that begins before or after that names the hash of
// all of the body or none.
func TestOptionalAnsweredFirst(t *testing.T) {
	const dropped = 256 << 10 // by net/http over HTTP/1
	type heard struct {
		n      int64
		broken bool
	}
	flush := func(rw http.ResponseWriter) { http.NewResponseController(rw).Flush() }
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		first  int64 // read before the answer
		early  bool  // the task begins before the rest is read
	}{
		"flushed":                     {flush, 0, false},
		"flushed, asked at once":      {flush, 0, true},
		"flushed in the middle":       {flush, 10, false},
		"flushed in the middle, then": {flush, 10, true},
		"written": {func(rw http.ResponseWriter) {
			writes(10_000)(rw, nil) // more than net/http keeps
		}, 0, false},
	} {
		for how, reader := range map[string]func([]byte) io.Reader{"sized": sized, "chunked": chunked} {
			for _, size := range []int{100, dropped, dropped + 100, 400 << 10} {
				t.Run(fmt.Sprint(name, " ", how, " ", size), func(t *testing.T) {
					t.Parallel() // net/http waits before it ends a connection that it has not read
					protos(t, func(t *testing.T, proto string) {
						w := newWorld(t)
						body := counting(size)
						read := func(mw func(http.Handler) http.Handler) heard {
							got := make(chan heard, 1)
							s := serve(t, proto, mw(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
								io.CopyN(io.Discard, r.Body, c.first) //nolint:errcheck // the record tells
								c.answer(rw)
								if c.early {
									core.TaskFromContext(r.Context())
								}
								n, err := io.Copy(io.Discard, r.Body)
								core.TaskFromContext(r.Context())
								got <- heard{n, err != nil}
							})))
							if r := s.send(t, "POST", "/", reader(body)); r.StatusCode != 200 || r.err != nil {
								t.Errorf("%v", r)
							}
							return wait(t, got, "the handler")
						}
						want := read(func(h http.Handler) http.Handler { return h })
						got := read(httpect.Middleware(w.service, httpect.WithMode(httpect.Optional)))
						if proto == http2 && got != want {
							t.Errorf("the handler reads %+v, and %+v without the middleware", got, want)
						}
						sum := w.seen.next(t).Claims().InpHash
						if sum.Present && sum != hashOf(body) || !sum.Present && proto == http2 {
							t.Errorf("inp_hash = %v after the handler has read %+v", sum, got)
						}
					})
				})
			}
		}
	}
}

// dropping is a server's side of a request and its response that does what net/http's
// does over HTTP/1, in the one order that is hard to meet there: the rest of the body is
// dropped for a flush, and whoever reads then finds its end.
type dropping struct {
	*httptest.ResponseRecorder
	body io.Reader
	// waiting is closed when somebody reads past the first bytes, who gets the next ones
	// once dropped is closed, and then the end.
	waiting, dropped chan struct{}
	reads            int
}

func (d *dropping) FlushError() error { close(d.dropped); return nil }

func (d *dropping) Read(p []byte) (int, error) {
	switch d.reads++; d.reads {
	case 1:
	case 2:
		close(d.waiting)
		<-d.dropped
	default:
		return 0, io.EOF
	}
	return d.body.Read(p[:10])
}

func (d *dropping) Close() error { return nil }

// TestDroppedWhileRead: somebody reads the body while the handler flushes. Of a body that
// did not come whole there is no hash, and no good one is said to differ.
func TestDroppedWhileRead(t *testing.T) {
	body := counting(1000)
	for name, c := range map[string]struct {
		mode  httpect.Mode
		edit  func(*setup)
		token func(*testing.T, *world) []string
	}{
		"not bound": {httpect.Enforce, ignoreBody, func(t *testing.T, w *world) []string { return []string{w.head(t)} }},
		"bound":     {httpect.Enforce, func(*setup) {}, func(t *testing.T, w *world) []string { return []string{w.headOver(t, body)} }},
		"observed":  {httpect.Observe, func(*setup) {}, func(t *testing.T, w *world) []string { return []string{w.headOver(t, body)} }},
		"optional":  {httpect.Optional, func(*setup) {}, func(*testing.T, *world) []string { return nil }},
	} {
		for how, length := range map[string]int64{"sized": int64(len(body)), "chunked": -1} {
			t.Run(name+" "+how, func(t *testing.T) {
				w := newWorld(t, c.edit)
				d := &dropping{
					ResponseRecorder: httptest.NewRecorder(), body: strings.NewReader(string(body)),
					waiting: make(chan struct{}), dropped: make(chan struct{}),
				}
				req := newRequest(t, "POST", "/", d, c.token(t, w)...)
				req.ContentLength = length
				httpect.Middleware(w.service, httpect.WithMode(c.mode))(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					var reading sync.WaitGroup
					reading.Go(func() { io.Copy(io.Discard, r.Body) }) //nolint:errcheck // the record tells
					wait(t, d.waiting, "who reads")
					if err := http.NewResponseController(rw).Flush(); err != nil {
						t.Errorf("Flush: %v", err)
					}
					reading.Wait()
					core.TaskFromContext(r.Context())
				})).ServeHTTP(d, req)
				if c := w.seen.next(t).Claims(); c.InpHash.Present {
					t.Errorf("inp_hash = %v of a body that did not come whole", c.InpHash)
				}
				if got := w.seen.codes(&w.seen.differed); len(got) > 0 {
					t.Errorf("a good body is reported as differing: %v", got)
				}
			})
		}
	}
}
