// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// classStatus is the table of profile 9.4.
var classStatus = map[core.Class]int{
	core.ClassMalformed:   400,
	core.ClassRejected:    403,
	core.ClassReplayed:    403,
	core.ClassRequired:    403,
	core.ClassTooLarge:    431,
	core.ClassUnsupported: 415,
	core.ClassUnavailable: 503,
	core.ClassUnrecorded:  500,
}

// codeStatus has the codes whose status is not that of their class.
var codeStatus = map[core.Code]int{core.CodeBodyTooLarge: 413}

func wantStatus(c core.Code) int {
	if s, ok := codeStatus[c]; ok {
		return s
	}
	return classStatus[c.Class()]
}

func TestStatus(t *testing.T) {
	docs, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range core.Codes() {
		if _, ok := classStatus[c.Class()]; !ok {
			t.Errorf("the class %v of code %v is in no table here", c.Class(), c)
		}
		want := wantStatus(c)
		if got := httpect.Status(c); got != want || got == http.StatusUnauthorized {
			t.Errorf("Status(%v) = %d, want %d", c, got, want)
		}
		if !bytes.Contains(docs, []byte("\n## "+c.Class().String()+"\n")) {
			t.Errorf("docs/errors.md, where problems point, has no section %q", c.Class())
		}
	}
	if got := httpect.Status(0); got != 500 {
		t.Errorf("Status(0) = %d, want 500", got)
	}
}

// codeBinder refuses every key with one code.
type codeBinder struct{ code core.Code }

func (b codeBinder) Bind(context.Context, *core.Unverified, core.Evidence) (core.BoundKey, error) {
	return core.BoundKey{}, core.NewError(b.code, errors.New("the cause, for the log"))
}

// problem is what a problem document may hold.
type problem struct {
	Type, Title, Code, Check string
	Status                   int
}

func (r *reply) problem(t testing.TB) problem {
	t.Helper()
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type = %q, want application/problem+json", got)
	}
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.DisallowUnknownFields()
	var p problem
	if err := d.Decode(&p); err != nil {
		t.Fatalf("the problem document %q: %v", r.body, err)
	}
	return p
}

// refused holds a reply against what a refusal with this code looks like.
func (r *reply) refused(t testing.TB, code core.Code) {
	t.Helper()
	class := code.Class()
	want := problem{
		Type:  "https://github.com/go-ect/ect/blob/main/docs/errors.md#" + class.String(),
		Title: class.Sentence(), Code: class.String(), Status: wantStatus(code),
	}
	if r.StatusCode != want.Status {
		t.Fatalf("status = %d (%s), want %d", r.StatusCode, r.body, want.Status)
	}
	if diff := cmp.Diff(want, r.problem(t)); diff != "" {
		t.Errorf("problem (-want +got):\n%s", diff)
	}
	if got, want := r.Header.Get("Retry-After") != "", r.StatusCode == 503; got != want {
		t.Errorf("Retry-After = %q with status %d", r.Header.Get("Retry-After"), r.StatusCode)
	}
	if n := hasVary(r.Header); n != 1 {
		t.Errorf("Vary names the field %d times, want once", n)
	}
	if p := r.place(); p != "none" {
		t.Errorf("a refusal carries tokens: %s", p)
	}
}

// silentAbout fails if anything of the tokens that were sent is in the reply.
func (r *reply) silentAbout(t testing.TB, w *world, values ...string) {
	t.Helper()
	dump, err := httputil.DumpResponse(r.Response, false)
	if err != nil {
		t.Fatal(err)
	}
	dump = fmt.Appendf(dump, "%v\n%s", r.Trailer, r.body)
	for _, s := range append(ecttest.Traces(values...), w.from.Identity, w.from.KeyID, w.to.Identity) {
		if bytes.Contains(dump, []byte(s)) {
			t.Errorf("the response tells %q of the token:\n%s", s, dump)
		}
	}
}

// untouched fails the test when it is called.
func untouched(t testing.TB) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
}

func TestRefusalByCode(t *testing.T) {
	for _, code := range core.Codes() {
		t.Run(code.String(), func(t *testing.T) {
			w := newWorld(t)
			w.service, _ = newService(t, codeBinder{code}, w.to, setup{policy: w.to.Policy()}, w.seen)
			token := w.head(t)
			plain := serve(t, http1, httpect.Middleware(w.service)(untouched(t)))
			r := plain.send(t, "GET", "/", nil, token)
			r.refused(t, code)
			r.silentAbout(t, w, token)
			if got := r.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control = %q, want no-store", got)
			}

			detailed := serve(t, http2, httpect.Middleware(w.service, httpect.WithProblemDetail())(untouched(t)))
			r = detailed.send(t, "GET", "/", nil, token)
			if got := r.problem(t); got.Check != code.String() || r.StatusCode != wantStatus(code) {
				t.Errorf("problem = %+v with status %d, want check %q", got, r.StatusCode, code)
			}
			r.silentAbout(t, w, token)
		})
	}
}

// onWire tells whether a client may send the value at all.
func onWire(v string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// firstOf returns the values of the first message of a scene.
func firstOf(t *testing.T, m ecttest.Message) (values []string) {
	t.Helper()
	for a := range m.Stage(t, ecttest.Contents{}).Attempts() {
		return a.Values
	}
	t.Fatalf("%s has no messages", m.Name)
	return nil
}

func TestModes(t *testing.T) {
	for name, mode := range map[string]httpect.Mode{
		"enforce": httpect.Enforce, "optional": httpect.Optional, "observe": httpect.Observe,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			called := false
			s := serve(t, http1, httpect.Middleware(w.service, httpect.WithMode(mode))(
				http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					called = true
					core.TaskFromContext(r.Context()) // which begins one where no token came
				})))
			send := func(t *testing.T, tokens ...string) *reply {
				t.Helper()
				called = false
				w.seen.codes(&w.seen.rejected)
				return s.send(t, "GET", "/", nil, tokens...)
			}
			// root is what becomes of a request that is let through without a head.
			root := func(t *testing.T, r *reply) {
				t.Helper()
				if !called || r.StatusCode != 200 || r.place() != "none" {
					t.Errorf("called = %v, status = %d, tokens = %s; want a call and no token", called, r.StatusCode, r.place())
				}
				if hasVary(r.Header) != 1 {
					t.Errorf("Vary = %q", r.Header.Values("Vary"))
				}
				c := w.seen.next(t).Claims()
				if len(c.Pred) != 0 || !c.Workflow.Present {
					t.Errorf("pred = %v, wid = %v; want a root in a workflow of its own", c.Pred, c.Workflow)
				}
				if diff := cmp.Diff([]string{w.to.Identity}, c.Audience); diff != "" {
					t.Errorf("aud (-want +got):\n%s", diff)
				}
			}
			refused := func(t *testing.T, r *reply, code core.Code) {
				t.Helper()
				r.refused(t, code)
				if called {
					t.Error("the handler was called")
				}
				w.seen.none(t)
			}
			reported := func(t *testing.T, want ...core.Code) {
				t.Helper()
				if diff := cmp.Diff(want, w.seen.codes(&w.seen.rejected)); diff != "" {
					t.Errorf("reported as rejected (-want +got):\n%s", diff)
				}
			}
			for _, m := range ecttest.BadMessages() {
				if m.Code != core.CodeRequired {
					continue
				}
				t.Run(m.Name, func(t *testing.T) {
					r := send(t, firstOf(t, m)...)
					switch mode {
					case httpect.Enforce:
						refused(t, r, core.CodeRequired)
						reported(t, core.CodeRequired)
					case httpect.Optional:
						root(t, r)
					case httpect.Observe:
						root(t, r)
						// What enforcing would refuse is what observing is for.
						reported(t, core.CodeRequired)
					}
				})
			}
			t.Run("good", func(t *testing.T) {
				token := w.head(t)
				r := send(t, token)
				if !called || r.StatusCode != 200 {
					t.Fatalf("status = %d (%s)", r.StatusCode, r.body)
				}
				if got := w.answer(t, r).Claims().Pred; len(got) != 1 || got[0] != parse(t, token).ClaimsWithoutVerification().TaskID {
					t.Errorf("pred = %v, want the head", got)
				}
				w.seen.next(t)
				reported(t)
				r = send(t, token)
				if mode == httpect.Observe { // which claims nothing
					w.answer(t, r)
					w.seen.next(t)
					return
				}
				refused(t, r, core.CodeReplayed)
				reported(t, core.CodeReplayed)
			})
			for _, bad := range ecttest.BadTokens() {
				token := bad.Mint(t, w.domain, w.from, w.to.Identity)
				if !onWire(token) { // HTTP has no room for these bytes
					continue
				}
				t.Run(bad.Name, func(t *testing.T) {
					r := send(t, token)
					r.silentAbout(t, w, token)
					reported(t, bad.Code)
					if mode == httpect.Observe {
						root(t, r)
						return
					}
					refused(t, r, bad.Code)
				})
			}
		})
	}
}

func TestErrorHandler(t *testing.T) {
	w := newWorld(t)
	handler := func(rw http.ResponseWriter, r *http.Request, err *core.Error) {
		if r.URL.Path != "/here" {
			t.Errorf("the error handler got a request for %q", r.URL.Path)
		}
		rw.Header().Set("X-Code", err.Code.String())
		rw.WriteHeader(http.StatusTeapot)
		io.WriteString(rw, "refused") //nolint:errcheck // the client looks
	}
	s := serve(t, http1, httpect.Middleware(w.service, httpect.WithErrorHandler(handler))(untouched(t)))
	r := s.send(t, "GET", "/here", nil, "!")
	if r.StatusCode != http.StatusTeapot || string(r.body) != "refused" || r.Header.Get("X-Code") != "malformed" {
		t.Errorf("status = %d, body = %q, X-Code = %q", r.StatusCode, r.body, r.Header.Get("X-Code"))
	}
	if hasVary(r.Header) != 1 {
		t.Errorf("Vary = %q", r.Header.Values("Vary"))
	}
}

// TestInboundHidden: no handler sees the fields that came in, wherever they stood, so
// that a gateway which copies headers passes none on.
func TestInboundHidden(t *testing.T) {
	look := func(t *testing.T, r *http.Request, when string) {
		t.Helper()
		for _, name := range []string{httpect.FieldName, receiptField} {
			if r.Header[name] != nil || len(r.Trailer[name]) > 0 {
				t.Errorf("%s the handler sees %s in header %q, trailer %q", when, name, r.Header[name], r.Trailer[name])
			}
		}
	}
	for name, use := range map[string]func(*testing.T, *http.Request){
		"read":   func(_ *testing.T, r *http.Request) { io.Copy(io.Discard, r.Body) }, //nolint:errcheck // looked at below
		"closed": func(_ *testing.T, r *http.Request) { r.Body.Close() },
		"both":   func(_ *testing.T, r *http.Request) { io.Copy(io.Discard, r.Body); r.Body.Close() }, //nolint:errcheck // looked at below
	} {
		for who, edit := range map[string]func(*setup){"recording": ignoreBody, "matching": func(*setup) {}, "verify only": verifyOnly} {
			for _, mode := range []httpect.Mode{httpect.Enforce, httpect.Observe} {
				protos(t, func(t *testing.T, proto string) {
					t.Run(fmt.Sprint(name, " ", who, " ", mode), func(t *testing.T) {
						w := newWorld(t, edit)
						s := serve(t, proto, httpect.Middleware(w.service, httpect.WithMode(mode))(
							http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
								look(t, r, "at first")
								use(t, r)
								look(t, r, "after the body")
								if got := r.Trailer.Get("X-Other"); name == "read" && got != "kept" {
									t.Errorf("X-Other = %q in the trailer, want it kept", got)
								}
								if got := r.Header.Get("X-Other"); got != "kept" {
									t.Errorf("X-Other = %q in the header, want it kept", got)
								}
							})))
						req := newRequest(t, "POST", s.URL, io.MultiReader(strings.NewReader("body")), w.head(t))
						req.Header.Set(receiptField, ":AAAA:")
						req.Header.Set("X-Other", "kept")
						req.Trailer = http.Header{httpect.FieldName: {w.head(t)}, receiptField: {":AAAA:"}, "X-Other": {"kept"}}
						r, err := s.do(req)
						if err != nil || r.StatusCode != 200 {
							t.Fatalf("Do = %v, %v", r, err)
						}
					})
				})
			}
		}
	}
}

// TestRequestTrailerIgnored: a token in the trailer is none (profile 9.1).
func TestRequestTrailerIgnored(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		s := serve(t, proto, httpect.Middleware(w.service)(untouched(t)))
		req := newRequest(t, "POST", s.URL, io.MultiReader(strings.NewReader("body")))
		req.Trailer = http.Header{httpect.FieldName: {w.head(t)}}
		r, err := s.do(req)
		if err != nil {
			t.Fatal(err)
		}
		r.refused(t, core.CodeRequired)
	})
}
