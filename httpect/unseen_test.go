// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestAnsweredAsWithout: a handler begins its response before it reads its body. Where
// the body is bound to nothing, under Observe, and where the connection ends with the
// response, it gets what it would get without the middleware. No hash is recorded that
// is not of the whole body, and no good body is said to differ.
func TestAnsweredAsWithout(t *testing.T) {
	const discarded = 256 << 10 // by net/http over HTTP/1
	for _, size := range []int{10, 100_000, 3 * discarded} {
		body := make([]byte, size)
		for n := range body {
			body[n] = byte(n % 251)
		}
		for how, reader := range map[string]func([]byte) io.Reader{"sized": sized, "chunked": chunked} {
			for _, c := range []struct {
				name    string
				bound   bool
				closing string // who ends the connection, "" if nobody does
				options []httpect.Option
			}{
				{"unbound", false, "", nil},
				{"unbound, the client closes", false, "client", nil},
				{"bound, the client closes", true, "client", nil},
				{"bound, the handler closes", true, "handler", nil},
				{"unbound, observed", false, "", mode(httpect.Observe)},
				{"bound, observed", true, "", mode(httpect.Observe)},
				{"bound, observed, the client closes", true, "client", mode(httpect.Observe)},
			} {
				t.Run(fmt.Sprint(c.name, " ", how, " ", size), func(t *testing.T) {
					t.Parallel() // net/http waits before it ends a connection that it has not read
					w := newWorld(t)
					token := w.head(t)
					if c.bound {
						token = w.headOver(t, body)
					}
					type read struct {
						n      int
						broken bool
						hash   core.Hash
					}
					come := func(mw func(http.Handler) http.Handler) read {
						got := make(chan read, 1)
						s := serve(t, http1, mw(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
							if c.closing == "handler" {
								rw.Header().Set("Connection", "close")
							}
							http.NewResponseController(rw).Flush()
							b, err := io.ReadAll(r.Body)
							got <- read{len(b), err != nil, hashOf(b)}
						})))
						req := newRequest(t, "POST", s.URL, reader(body), token)
						req.Close = c.closing == "client"
						if r, err := s.do(req); err == nil && (r.StatusCode != 200 || r.err != nil) {
							t.Errorf("%v", r)
						}
						return wait(t, got, "what the handler read")
					}
					want := come(func(h http.Handler) http.Handler { return h })
					if got := come(httpect.Middleware(w.service, c.options...)); got != want {
						t.Errorf("the handler reads %d bytes, broken %t; %d, %t without the middleware", got.n, got.broken, want.n, want.broken)
					}
					sum := w.seen.next(t).Claims().InpHash
					if sum.Present && sum != hashOf(body) || !sum.Present && want.hash == hashOf(body) {
						t.Errorf("inp_hash = %v; want that of the whole body or, where not all was read, none", sum)
					}
					if got := w.seen.codes(&w.seen.differed); len(got) > 0 {
						t.Errorf("a good body is reported as differing: %v", got)
					}
				})
			}
		}
	}
}
