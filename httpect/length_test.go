// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestShortOfLength: a handler declares a length and writes less, as when a file was cut
// off while it was sent. The client sees that it did not get all, whichever way the token
// goes and though the length may have been dropped for it; the task is recorded as one
// that failed, without a hash that a client could take for that of the whole.
func TestShortOfLength(t *testing.T) {
	for _, declared := range []int{20, 100_000} {
		for _, written := range []int{0, declared / 2, declared - 1} {
			for how, end := range map[string]http.HandlerFunc{
				"returned": empty, "flushed": func(w http.ResponseWriter, _ *http.Request) { http.NewResponseController(w).Flush() },
			} {
				for _, policy := range []httpect.LengthPolicy{httpect.DropLength, httpect.KeepLength} {
					t.Run(fmt.Sprint(written, " of ", declared, " ", how, " ", policy), func(t *testing.T) {
						protos(t, func(t *testing.T, proto string) {
							w := newWorld(t)
							s := serve(t, proto, httpect.Middleware(w.service, httpect.WithLengthPolicy(policy))(
								with("Content-Length", strconv.Itoa(declared), func(rw http.ResponseWriter, r *http.Request) {
									writes(written)(rw, r)
									end(rw, r)
								})))
							r, err := s.do(newRequest(t, "GET", s.URL, nil, w.head(t)))
							if err == nil && r.err == nil {
								t.Errorf("%v: half a response seems whole", r)
							}
							c := w.seen.next(t).Claims()
							w.seen.none(t)
							if c.Ext.Outcome != core.OutcomeError || c.OutHash.Present || c.Ext.Status != 200 {
								t.Errorf("outcome = %v, status = %d, out_hash = %v; want a task that failed", c.Ext.Outcome, c.Ext.Status, c.OutHash)
							}
						})
					})
				}
			}
		}
	}
}

// TestBeyondLength: what a handler writes beyond the length that it declared is refused at
// once, as by net/http over HTTP/1, and is no part of what was hashed.
func TestBeyondLength(t *testing.T) {
	for _, declared := range []int{0, 10, 100_000} {
		for _, policy := range []httpect.LengthPolicy{httpect.DropLength, httpect.KeepLength} {
			t.Run(fmt.Sprint(declared, " ", policy), func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					w := newWorld(t)
					s := serve(t, proto, httpect.Middleware(w.service, httpect.WithLengthPolicy(policy))(
						with("Content-Length", strconv.Itoa(declared), func(rw http.ResponseWriter, r *http.Request) {
							writes(declared)(rw, r)
							if n, err := rw.Write(nil); n != 0 || err != nil {
								t.Errorf("Write of nothing = %d, %v", n, err)
							}
							if n, err := rw.Write([]byte("x")); n != 0 || !errors.Is(err, http.ErrContentLength) {
								t.Errorf("Write = %d, %v, want %v", n, err, http.ErrContentLength)
							}
							if n, err := io.WriteString(rw, "x"); n != 0 || !errors.Is(err, http.ErrContentLength) {
								t.Errorf("WriteString = %d, %v, want %v", n, err, http.ErrContentLength)
							}
						})))
					r := s.send(t, "GET", "/", nil, w.head(t))
					if r.err != nil || len(r.body) != declared {
						t.Errorf("%v, want %d bytes", r, declared)
					}
					if c := w.seen.next(t).Claims(); c.Ext.Outcome != core.OutcomeOK || c.OutHash != hashOf(r.body) {
						t.Errorf("outcome = %v, out_hash = %v", c.Ext.Outcome, c.OutHash)
					}
				})
			})
		}
	}
}

// TestNoLength: what is no length binds nobody.
func TestNoLength(t *testing.T) {
	for _, field := range []string{"", "x", "-1", "1e3", "99999999999999999999"} {
		for _, n := range []int{10, 100_000} {
			w := newWorld(t)
			s := serve(t, http1, httpect.Middleware(w.service)(with("Content-Length", field, writes(n))))
			r := s.send(t, "GET", "/", nil, w.head(t))
			if r.err != nil || len(r.body) != n || w.answer(t, r).Claims().OutHash != hashOf(r.body) {
				t.Errorf("Content-Length %q: %v, want %d bytes", field, r, n)
			}
		}
	}
}

// TestIdentity: a handler asks net/http not to send chunks over HTTP/1.1, which leaves no
// place for a trailer: none is announced, and the record counts as not sent.
func TestIdentity(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		s := serve(t, proto, httpect.Middleware(w.service)(with("Transfer-Encoding", "identity", flushes(writes(10)))))
		r := s.send(t, "GET", "/", nil, w.head(t))
		place, unsent := "trailer", 0
		if proto == http1 {
			place, unsent = "none", 1
		}
		if r.err != nil || len(r.body) != 16 || r.place() != place || w.seen.unsentCount() != unsent {
			t.Errorf("%v, header %v, %d unsent", r, r.Header, w.seen.unsentCount())
		}
		if c := w.seen.next(t).Claims(); c.OutHash != hashOf(r.body) || c.Ext.Outcome != core.OutcomeOK {
			t.Errorf("out_hash = %v, outcome = %v", c.OutHash, c.Ext.Outcome)
		}
	})
}
