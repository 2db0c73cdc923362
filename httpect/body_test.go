// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// chunked hides the length of a body.
func chunked(b []byte) io.Reader { return io.MultiReader(bytes.NewReader(b)) }

func sized(b []byte) io.Reader { return bytes.NewReader(b) }

// bodySizes are around the places where something changes.
var bodySizes = []int{0, 1, 100, 511, 512, 513, 2047, 2048, 2049, httpect.HoldBack - 1, httpect.HoldBack, httpect.HoldBack + 1, 3 * httpect.HoldBack, 100_000}

func TestBodyBound(t *testing.T) {
	for how, reader := range map[string]func([]byte) io.Reader{"sized": sized, "chunked": chunked} {
		for _, size := range bodySizes {
			protos(t, func(t *testing.T, proto string) {
				t.Run(fmt.Sprint(how, " ", size), func(t *testing.T) {
					body := bytes.Repeat([]byte("body "), size)[:size]
					w := newWorld(t)
					s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						task, _ := core.TaskFromContext(r.Context())
						if st := task.BodyState(); size > 0 && st != core.BodyPending {
							t.Errorf("BodyState = %v before the body was read, want pending", st)
						}
						got, err := io.ReadAll(r.Body)
						if err != nil || !bytes.Equal(got, body) {
							t.Errorf("ReadAll = %d bytes, %v; want %d", len(got), err, size)
						}
						if n, err := r.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
							t.Errorf("Read at the end = %d, %v; want EOF", n, err)
						}
						if st := task.BodyState(); st != core.BodyBound {
							t.Errorf("BodyState = %v, want bound", st)
						}
					})))
					r := s.send(t, "POST", "/", reader(body), w.headOver(t, body))
					if c := w.answer(t, r).Claims(); c.InpHash != hashOf(body) {
						t.Errorf("inp_hash = %v, want %v", c.InpHash, hashOf(body))
					}
				})
			})
		}
	}
}

// TestEmptyBodyDiffers: what is known before the handler is refused before the handler.
func TestEmptyBodyDiffers(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for _, method := range []string{"GET", "POST"} {
			w := newWorld(t)
			s := serve(t, proto, httpect.Middleware(w.service)(untouched(t)))
			token := w.headOver(t, []byte("something"))
			s.send(t, method, "/", nil, token).refused(t, core.CodeBody)
			w.seen.none(t)
			// Nothing was claimed: with its body it passes.
			s = serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(empty)))
			if r := s.send(t, "POST", "/", chunked([]byte("something")), token); r.StatusCode != 200 {
				t.Errorf("the same token with its body: %v", r)
			}
		}
	})
}

// TestBodyDiffers: the handler gets no byte of the end of a body that differs, and an
// error that no decoder can overlook; and the answer is 403 whatever the handler wrote.
func TestBodyDiffers(t *testing.T) {
	recorded := []byte("what was recorded")
	for name, read := range map[string]func(t *testing.T, w http.ResponseWriter, r *http.Request, size int){
		"all": func(t *testing.T, _ http.ResponseWriter, r *http.Request, size int) {
			got, err := io.ReadAll(r.Body)
			if core.CodeOf(err) != core.CodeBody || len(got) > max(0, size-httpect.HoldBack) {
				t.Errorf("ReadAll = %d of %d bytes, %v; want the last %d held back", len(got), size, err, httpect.HoldBack)
			}
			if n, err := r.Body.Read(make([]byte, 10)); n != 0 || core.CodeOf(err) != core.CodeBody {
				t.Errorf("Read = %d, %v; want the error again", n, err)
			}
		},
		"byte by byte": func(t *testing.T, _ http.ResponseWriter, r *http.Request, _ int) {
			b := make([]byte, 1)
			for {
				n, err := r.Body.Read(b)
				if err != nil {
					if n != 0 || core.CodeOf(err) != core.CodeBody {
						t.Errorf("Read = %d, %v; want no byte beside the error", n, err)
					}
					return
				}
			}
		},
		"nothing":   func(*testing.T, http.ResponseWriter, *http.Request, int) {},
		"the start": func(_ *testing.T, _ http.ResponseWriter, r *http.Request, _ int) { r.Body.Read(make([]byte, 10)) }, //nolint:errcheck // the answer counts
		"and answers": func(_ *testing.T, w http.ResponseWriter, r *http.Request, _ int) {
			io.Copy(io.Discard, r.Body) //nolint:errcheck // as careless handlers do
			w.Header().Set("X-Handler", "1")
			w.WriteHeader(201)
			io.WriteString(w, "done") //nolint:errcheck // nobody may see it
		},
	} {
		for _, size := range bodySizes[1:] {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					w := newWorld(t)
					s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						read(t, rw, r, size)
					})))
					token := w.headOver(t, recorded)
					body := bytes.Repeat([]byte("other"), size)[:size]
					r := s.send(t, "POST", "/", chunked(body), token)
					r.refused(t, core.CodeBody)
					if r.Header.Get("X-Handler") != "" {
						t.Error("the handler's header went out")
					}
					if diff := cmp.Diff([]core.Code{core.CodeBody}, w.seen.codes(&w.seen.differed)); diff != "" {
						t.Errorf("reported as differing (-want +got):\n%s", diff)
					}
					c := w.seen.next(t).Claims()
					if c.Ext.Outcome != core.OutcomeError || c.Ext.Status != 403 || len(c.Pred) != 1 || c.InpHash != hashOf(body) {
						t.Errorf("claims = %+v; want the record of a task that failed with 403 on these bytes", c)
					}
					// The work may have been done: the token is spent.
					s.send(t, "POST", "/", chunked(recorded), token).refused(t, core.CodeReplayed)
				})
			})
		}
	}
}

// TestDecoderStopsEarly: a decoder that has its value does not look for the end.
func TestDecoderStopsEarly(t *testing.T) {
	good := append([]byte(`{"amount":1}`), bytes.Repeat([]byte(" "), 100_000)...)
	bad := bytes.Clone(good)
	bad[len(bad)-1] = '\n'
	for name, body := range map[string][]byte{"good": good, "bad": bad} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := serve(t, http1, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				var v struct{ Amount int }
				if err := json.NewDecoder(r.Body).Decode(&v); err != nil || v.Amount != 1 {
					t.Errorf("Decode = %v, %v", v, err)
				}
				writes(10)(rw, r)
			})))
			r := s.send(t, "POST", "/", sized(body), w.headOver(t, good))
			if name == "bad" {
				r.refused(t, core.CodeBody)
				return
			}
			if c := w.answer(t, r).Claims(); c.InpHash != hashOf(good) {
				t.Errorf("inp_hash = %v; want that of all that came", c.InpHash)
			}
		})
	}
}

// TestAnswerBegun: a handler answers before it has read the body, and the body differs.
// The client gets no answer that seems good.
func TestAnswerBegun(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for _, size := range []int{10, httpect.HoldBack + 100, 100_000} {
			for name, h := range map[string]http.HandlerFunc{
				"flushed": flushes(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body) //nolint:errcheck // the client looks
					writes(10)(w, r)
				}),
				"streamed": func(w http.ResponseWriter, r *http.Request) {
					r.Body.Read(make([]byte, 5)) //nolint:errcheck // the client looks
					writes(httpect.DefaultResponseBuffer, 100)(w, r)
				},
				"unread": writes(httpect.DefaultResponseBuffer, 100),
			} {
				t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
					w := newWorld(t)
					s := serve(t, proto, httpect.Middleware(w.service)(h))
					body := bytes.Repeat([]byte("x"), size)
					r, err := s.do(newRequest(t, "POST", s.URL, chunked(body), w.headOver(t, []byte("recorded"))))
					if err == nil && r.err == nil && r.StatusCode != 403 {
						t.Errorf("%v over another body than was recorded", r)
					}
					if err == nil && r.place() != "none" {
						t.Errorf("a token came: %v", r)
					}
					if diff := cmp.Diff([]core.Code{core.CodeBody}, w.seen.codes(&w.seen.differed)); diff != "" {
						t.Errorf("reported as differing (-want +got):\n%s", diff)
					}
					// A good one passes, and its hash is known.
					r, err = s.do(newRequest(t, "POST", s.URL, chunked(body), w.headOver(t, body)))
					if err != nil {
						t.Fatal(err)
					}
					if c := w.answer(t, r).Claims(); c.InpHash != hashOf(body) {
						t.Errorf("inp_hash = %v, want that of what came", c.InpHash)
					}
				})
			}
		}
	})
}

func TestBodyNotBound(t *testing.T) {
	body := []byte("what came")
	for name, c := range map[string]struct {
		edit   func(*setup)
		tokens func(*testing.T, *world) []string
	}{
		"no out_hash": {func(*setup) {}, func(t *testing.T, w *world) []string { return []string{w.head(t)} }},
		"ignored": {ignoreBody, func(t *testing.T, w *world) []string {
			return []string{w.headOver(t, []byte("another"))}
		}},
		"two heads and no peer": {func(*setup) {}, func(t *testing.T, w *world) []string {
			return []string{w.headOver(t, []byte("another")), w.domain.Agent(t, "other").Token(w.to.Identity).Sign(t)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.edit)
			s := serve(t, http1, httpect.Middleware(w.service)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, body) {
					t.Errorf("ReadAll = %q, %v", got, err)
				}
				if task, _ := core.TaskFromContext(r.Context()); task.BodyState() != core.BodyNotBound {
					t.Errorf("BodyState = %v, want not bound", task.BodyState())
				}
			})))
			r := s.send(t, "POST", "/", chunked(body), c.tokens(t, w)...)
			if got := w.answer(t, r).Claims(); got.InpHash != hashOf(body) {
				t.Errorf("inp_hash = %v", got.InpHash)
			}
			if got := w.seen.codes(&w.seen.differed); len(got) > 0 {
				t.Errorf("reported as differing: %v", got)
			}
		})
	}
}

// TestDrain: what the handler did not read is read on, up to a cap; beyond it nothing is
// known.
func TestDrain(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 10_000)
	for _, c := range []struct {
		limit int64
		edit  func(*setup)
		want  core.Hash
	}{
		{10_000, func(*setup) {}, hashOf(body)},
		{9_000, func(*setup) {}, core.Hash{}},
		{0, func(*setup) {}, core.Hash{}},
		{10_000, ignoreBody, core.Hash{}},
	} {
		protos(t, func(t *testing.T, proto string) {
			t.Run(fmt.Sprint(c.limit), func(t *testing.T) {
				w := newWorld(t, c.edit)
				s := serve(t, proto, httpect.Middleware(w.service, httpect.WithDrain(c.limit))(http.HandlerFunc(empty)))
				r := s.send(t, "POST", "/", chunked(body), w.headOver(t, body))
				if got := w.answer(t, r).Claims().InpHash; got != c.want {
					t.Errorf("inp_hash = %q with a drain of %d, want %q", got, c.limit, c.want)
				}
			})
		})
	}
}

// TestVerifyOnlyBody: a service that records nothing holds bodies against records too.
func TestVerifyOnlyBody(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"read":   func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, //nolint:errcheck // the answer counts
		"unread": writes(10),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, verifyOnly)
			s := serve(t, http1, httpect.Middleware(w.service)(h))
			s.send(t, "POST", "/", chunked([]byte("another")), w.headOver(t, []byte("recorded"))).refused(t, core.CodeBody)
			if diff := cmp.Diff([]core.Code{core.CodeBody}, w.seen.codes(&w.seen.differed)); diff != "" {
				t.Errorf("reported as differing (-want +got):\n%s", diff)
			}
		})
	}
}
