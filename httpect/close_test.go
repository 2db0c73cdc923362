// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestDecoderCloses: a handler that decodes the beginning of a body, and closes it, has
// not done away with what is wrong with the rest.
func TestDecoderCloses(t *testing.T) {
	for _, size := range []int{20, httpect.HoldBack / 2, 3 * httpect.HoldBack, 100_000} {
		good := append([]byte(`{"amount":1}`), bytes.Repeat([]byte(" "), size)...)
		bad := bytes.Clone(good)
		bad[len(bad)-1] = '\n'
		for name, body := range map[string][]byte{"good": good, "bad": bad} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					w := newWorld(t)
					s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						var v struct{ Amount int }
						// Of a small body that differs, nothing is given out.
						err := json.NewDecoder(r.Body).Decode(&v)
						if began := name == "good" || size > 2*httpect.HoldBack; began && (err != nil || v.Amount != 1) {
							t.Errorf("Decode = %v, %v", v, err)
						} else if !began && core.CodeOf(err) != core.CodeBody {
							t.Errorf("Decode = %v, %v, want that the body differs", v, err)
						}
						if err := r.Body.Close(); err != nil {
							t.Errorf("Close: %v", err)
						}
						writes(10)(rw, r)
					})))
					r := s.send(t, "POST", "/", chunked(body), w.headOver(t, good))
					if name == "good" {
						if c := w.answer(t, r).Claims(); c.InpHash != hashOf(good) {
							t.Errorf("inp_hash = %v; want that of all that came", c.InpHash)
						}
						return
					}
					r.refused(t, core.CodeBody)
					if diff := cmp.Diff([]core.Code{core.CodeBody}, w.seen.codes(&w.seen.differed)); diff != "" {
						t.Errorf("reported as differing (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

// stuck is a body that gives neither bytes nor an error; it gives up on its reader after
// a while, which is too late.
type stuck struct {
	t     *testing.T
	first string
	reads int
}

func (s *stuck) Read(p []byte) (int, error) {
	if n := copy(p, s.first); n > 0 {
		s.first = s.first[n:]
		return n, nil
	}
	if s.reads++; s.reads > 10_000 {
		s.t.Error("the body is read on and on")
		return 0, io.ErrUnexpectedEOF
	}
	return 0, nil
}

func (s *stuck) Close() error { return nil }

// TestBodyWithoutProgress: a source that gives nothing is given up on.
func TestBodyWithoutProgress(t *testing.T) {
	for name, read := range map[string]bool{"read": true, "left": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := httpect.Middleware(w.service)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if !read {
					return
				}
				if got, err := io.ReadAll(r.Body); err != io.ErrNoProgress || len(got) > 0 { //nolint:errorlint // as bufio has it
					t.Errorf("ReadAll = %q, %v, want no progress", got, err)
				}
			}))
			req := httptest.NewRequest("POST", "/", &stuck{t: t, first: "some"}).WithContext(t.Context())
			req.Header[httpect.FieldName] = []string{w.headOver(t, []byte("something"))}
			h.ServeHTTP(httptest.NewRecorder(), req)
			if c := w.seen.next(t).Claims(); c.InpHash.Present {
				t.Error("inp_hash of a body that was not read to its end")
			}
		})
	}
	t.Run("a response", func(t *testing.T) {
		p := newPair(t, writes(10), bare, answerOptional, func(c *calls) {
			c.base = func(base http.RoundTripper) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) {
					resp, err := base.RoundTrip(r)
					if err == nil {
						resp.Body.Close()
						resp.Body = &stuck{t: t}
					}
					return resp, err
				})
			}
		})
		ctx, _ := p.start(t)
		resp, err := p.client.Do(newRequest(t, "GET", p.site.URL, nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	})
}

// roundTrip is a transport that does as a test wants.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
