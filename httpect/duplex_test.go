// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestAnsweredUnread: over HTTP/1.1 a handler begins a response before it has read the
// body, which net/http would drop at that. What differs is seen first, and nothing of the
// response is out: it becomes a refusal.
func TestAnsweredUnread(t *testing.T) {
	for _, size := range []int{1, httpect.HoldBack + 1, 100_000} {
		for how, reader := range map[string]func([]byte) io.Reader{"sized": sized, "chunked": chunked} {
			for name, begin := range map[string]func(http.ResponseWriter, *http.Request) error{
				"written": func(w http.ResponseWriter, _ *http.Request) error {
					_, err := w.Write(make([]byte, httpect.DefaultResponseBuffer+1))
					return err
				},
				"flushed": func(w http.ResponseWriter, _ *http.Request) error {
					return http.NewResponseController(w).Flush()
				},
				"flushed, as of old": func(w http.ResponseWriter, _ *http.Request) error {
					w.(http.Flusher).Flush() //nolint:forcetypeassert // the point of the test
					_, err := w.Write(make([]byte, httpect.DefaultResponseBuffer+1))
					return err
				},
				"read from": func(w http.ResponseWriter, r *http.Request) error {
					r.Body.Read(make([]byte, 1)) //nolint:errcheck // what comes next counts
					_, err := w.Write(make([]byte, httpect.DefaultResponseBuffer+1))
					return err
				},
			} {
				t.Run(fmt.Sprint(how, " ", size, " ", name), func(t *testing.T) {
					w := newWorld(t)
					s := serve(t, http1, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						rw.Header().Set("X-Handler", "1")
						if err := begin(rw, r); core.CodeOf(err) != core.CodeBody {
							t.Errorf("the response begins: %v, want that the body differs", err)
						}
						if n, err := r.Body.Read(make([]byte, 10)); n > 0 || core.CodeOf(err) != core.CodeBody {
							t.Errorf("Read = %d, %v, want that the body differs", n, err)
						}
					})))
					body := bytes.Repeat([]byte("x"), size)
					r := s.send(t, "POST", "/", reader(body), w.headOver(t, []byte("recorded")))
					r.refused(t, core.CodeBody)
					if r.Header.Get("X-Handler") != "" || r.Trailer != nil {
						t.Errorf("the handler's response went out: header %v, trailer %v", r.Header, r.Trailer)
					}
					if diff := cmp.Diff([]core.Code{core.CodeBody}, w.seen.codes(&w.seen.differed)); diff != "" {
						t.Errorf("reported as differing (-want +got):\n%s", diff)
					}
					if c := w.seen.next(t).Claims(); c.InpHash != hashOf(body) || c.Ext.Status != 403 || c.Ext.Outcome != core.OutcomeError || !c.OutHash.Present {
						t.Errorf("claims = %+v; want the record of a task that failed with 403 on these bytes", c)
					}
				})
			}
		}
	}
}

// TestAnsweredBeforeRead: a handler begins its response, and then reads its body, which
// is good. It gets all of it where net/http would leave it all, and else none of it: never
// a part, and never a body with a gap.
func TestAnsweredBeforeRead(t *testing.T) {
	const discarded = 256 << 10 // by net/http over HTTP/1
	for _, c := range []struct {
		name   string
		proto  string
		size   int
		reader func([]byte) io.Reader
		before int // bytes read before the response begins
		duplex bool
		gone   bool // the rest is not there for the handler
		hashed bool
	}{
		{"small", http1, 100_000, sized, 0, false, true, true},
		{"small, chunked", http1, 100_000, chunked, 0, false, true, true},
		{"small, begun", http1, 100_000, sized, 50_000, false, true, true},
		{"small, chunked, begun", http1, 100_000, chunked, 50_000, false, true, true},
		{"just under", http1, discarded - 1, sized, 0, false, true, true},
		{"at", http1, discarded, sized, 0, false, false, true},
		{"at, but for what was held back", http1, discarded + 1, sized, 1, false, true, true},
		{"large", http1, 3 * discarded, sized, 0, false, false, true},
		{"large, begun", http1, 3 * discarded, sized, 50_000, false, false, true},
		{"large, nearly read", http1, 3 * discarded, sized, 3*discarded - 20_000, false, true, true},
		{"large, chunked", http1, 3 * discarded, chunked, 0, false, true, false},
		{"large, chunked, begun", http1, 3 * discarded, chunked, 50_000, false, true, false},
		{"small, both at once", http1, 100_000, sized, 0, true, false, true},
		{"small, chunked, both at once", http1, 100_000, chunked, 10, true, false, true},
		{"large, chunked, both at once", http1, 3 * discarded, chunked, 50_000, true, false, true},
		{"HTTP/2", http2, 100_000, sized, 50_000, false, false, true},
		{"HTTP/2, large, chunked", http2, 3 * discarded, chunked, 50_000, false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // net/http waits before it ends a connection that it has not read
			body := make([]byte, c.size)
			for n := range body {
				body[n] = byte(n % 251)
			}
			w := newWorld(t)
			s := serve(t, c.proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				rc := http.NewResponseController(rw)
				if c.duplex {
					if err := rc.EnableFullDuplex(); err != nil {
						t.Errorf("EnableFullDuplex: %v", err)
					}
				}
				got := make([]byte, c.before, c.size)
				if _, err := io.ReadFull(r.Body, got); err != nil {
					t.Errorf("ReadFull: %v", err)
				}
				if err := rc.Flush(); err != nil {
					t.Errorf("Flush: %v", err)
				}
				rest, err := io.ReadAll(r.Body)
				if got = append(got, rest...); !bytes.HasPrefix(body, got) {
					t.Errorf("%d bytes came that are not the beginning of the body", len(got))
				}
				switch {
				case c.gone && (!errors.Is(err, http.ErrBodyReadAfterClose) || len(got) != c.before):
					t.Errorf("ReadAll = %d bytes, %v, want none and ErrBodyReadAfterClose", len(rest), err)
				case !c.gone && (err != nil || len(got) != len(body)):
					t.Errorf("ReadAll = %d bytes, %v, want all", len(rest), err)
				}
				io.WriteString(rw, "done") //nolint:errcheck // the client looks
			})))
			r, err := s.do(newRequest(t, "POST", s.URL, c.reader(body), w.headOver(t, body)))
			if c.hashed {
				if err != nil || r.StatusCode != 200 || string(r.body) != "done" || r.err != nil {
					t.Fatalf("%v, %v", r, err)
				}
				w.answer(t, r)
			} // or net/http breaks off a connection that more comes over than it will read
			if got := w.seen.next(t).Claims().InpHash; got.Present != c.hashed || c.hashed && got != hashOf(body) {
				t.Errorf("inp_hash = %v, want that of what came: %t", got, c.hashed)
			}
		})
	}
}
