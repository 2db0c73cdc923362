// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestNothingToWaitFor: where nobody records and no body is bound, a response goes out as
// it is written, without a flush; only others' tokens are taken out of it.
func TestNothingToWaitFor(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t, verifyOnly)
		next := make(chan struct{})
		s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set(httpect.FieldName, "a.b.c")
			rw.Write(make([]byte, 20_000)) //nolint:errcheck // the client looks
			<-next
			rw.Header().Set(http.TrailerPrefix+httpect.FieldName, "a.b.c")
			rw.Write(make([]byte, 10)) //nolint:errcheck // the client looks
		})))
		resp, err := s.client.Do(newRequest(t, "GET", s.URL, nil, w.head(t)))
		close(next)
		if err != nil {
			t.Fatal(err)
		}
		r, err := readReply(resp, nil)
		if err != nil || r.err != nil || len(r.body) != 20_010 || r.place() != "none" || hasVary(r.Header) != 1 {
			t.Errorf("%v, %v, Vary %q", r, err, r.Header["Vary"])
		}
	})
}

// TestWaitsForBoundBody: a service that records nothing still refuses a body that differs,
// in place of the response that its handler wrote.
func TestWaitsForBoundBody(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, n := range map[string]int{"small": 10, "large": 100_000} {
			w := newWorld(t, verifyOnly)
			s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				rw.WriteHeader(http.StatusCreated)
				io.Copy(io.Discard, r.Body) //nolint:errcheck // the middleware looks
			})))
			body := bytes.Repeat([]byte("x"), n)
			if r := s.send(t, "POST", "/", bytes.NewReader(body), w.headOver(t, body)); r.StatusCode != http.StatusCreated {
				t.Errorf("%s: %v", name, r)
			}
			r := s.send(t, "POST", "/", bytes.NewReader(body), w.headOver(t, []byte("recorded")))
			if r.StatusCode != http.StatusForbidden {
				t.Errorf("%s, another body: %v", name, r)
			}
		}
	})
}

// TestAskedTooLate: a handler asks for its task when the response went by unhashed, in
// whichever way: the record has no hash of it, least of all that of nothing.
func TestAskedTooLate(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, write := range map[string]func(http.ResponseWriter){
			"written": func(rw http.ResponseWriter) { rw.Write([]byte("content")) }, //nolint:errcheck // the client looks
			"copied": func(rw http.ResponseWriter) {
				io.Copy(rw, readOnly{bytes.NewReader([]byte("content"))}) //nolint:errcheck // the client looks
			},
			"copied after the header": func(rw http.ResponseWriter) {
				rw.WriteHeader(http.StatusOK)
				io.Copy(rw, readOnly{bytes.NewReader([]byte("content"))}) //nolint:errcheck // the client looks
			},
		} {
			w := newWorld(t)
			s := serve(t, proto, httpect.Middleware(w.service, httpect.WithMode(httpect.Optional))(http.HandlerFunc(
				func(rw http.ResponseWriter, r *http.Request) {
					write(rw)
					if _, ok := core.TaskFromContext(r.Context()); !ok {
						t.Error("there is no task")
					}
				})))
			if r := s.send(t, "GET", "/", nil); string(r.body) != "content" {
				t.Errorf("%s: %v", name, r)
			}
			if c := w.seen.next(t).Claims(); c.OutHash.Present {
				t.Errorf("%s: out_hash = %v, want none", name, c.OutHash)
			}
		}
	})
}
