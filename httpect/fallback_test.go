// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// fallbackType is the media type of a body that holds tokens between these boundaries.
const fallbackType = `multipart/related; type="application/exec+jwt"; boundary=the-boundary`

// folded is a request with its tokens in the body, written by hand.
type folded struct {
	method, media string
	tokens        []string
	receipts      string
	// fields are the header section of the body, whole lines.
	fields string
	body   []byte
	// text is all of it, "" if it is to be made of the parts.
	text string
	// header has what else the request says.
	header http.Header
	// chunked tells that no length goes along.
	chunked bool
}

func newFolded(body []byte, tokens ...string) *folded {
	return &folded{
		method: "POST", media: fallbackType, tokens: tokens, body: body, fields: "Content-Type: text/plain\r\n", header: http.Header{},
	}
}

func (f *folded) String() string {
	if f.text != "" {
		return f.text
	}
	const delimiter = "--the-boundary"
	s := delimiter + "\r\nContent-Type: application/exec+jwt\r\n\r\n" + strings.Join(f.tokens, "\r\n")
	if f.receipts != "" {
		s += "\r\n" + delimiter + "\r\nContent-Type: application/tlog-proof\r\n\r\n" + f.receipts
	}
	return s + "\r\n" + delimiter + "\r\n" + f.fields + "\r\n" + string(f.body) + "\r\n" + delimiter + "--\r\n"
}

func (f *folded) request(t testing.TB, url string) *http.Request {
	t.Helper()
	var body io.Reader = strings.NewReader(f.String())
	if f.chunked {
		body = struct{ io.Reader }{body}
	}
	req := newRequest(t, f.method, url, body)
	maps.Copy(req.Header, f.header)
	if f.media != "" {
		req.Header["Content-Type"] = []string{f.media}
	}
	return req
}

func (s *site) fold(t testing.TB, f *folded) *reply {
	t.Helper()
	r, err := s.do(f.request(t, s.URL+"/"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// taking makes the middleware of a world that takes tokens in bodies.
func (w *world) taking(h http.Handler, opts ...httpect.Option) http.Handler {
	return httpect.Middleware(w.service, append(opts, httpect.WithBodyFallback())...)(h)
}

// original is what a handler saw of a request.
type original struct {
	Method string
	Header http.Header
	Length int64
	Body   string
	// Expected is what Expect said, and ours whatever of our fields was there.
	Expected string
	Ours     []string
}

func look(r *http.Request) (*original, error) {
	b, err := io.ReadAll(r.Body)
	o := &original{Method: r.Method, Header: http.Header{}, Length: r.ContentLength, Body: string(b), Expected: r.Header.Get("Expect")}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "Content-") || strings.HasPrefix(name, "X-") {
			o.Header[name] = values
		}
	}
	o.Ours = append(tokensIn(r.Header), tokensIn(r.Trailer)...)
	return o, err
}

// TestFallback: the handler sees the request as it would have come without its tokens.
func TestFallback(t *testing.T) {
	text := []byte("the body\r\n--the-boundar")
	for name, c := range map[string]struct {
		edit func(*folded)
		want func(*original)
	}{
		"as it is": {func(*folded) {}, func(*original) {}},
		"PUT":      {func(f *folded) { f.method = "PUT" }, func(o *original) { o.Method = "PUT" }},
		"PATCH":    {func(f *folded) { f.method = "PATCH" }, func(o *original) { o.Method = "PATCH" }},
		"no length": {func(f *folded) { f.chunked = true }, func(o *original) {
			o.Length = -1
			o.Header.Del("Content-Length")
		}},
		"no fields":     {func(f *folded) { f.fields = "" }, func(o *original) { o.Header.Del("Content-Type") }},
		"receipts":      {func(f *folded) { f.receipts = ":AAAA:;td=:AAAA:" }, func(*original) {}},
		"an empty body": {func(f *folded) { f.body = nil }, func(o *original) { o.Length, o.Body = 0, ""; o.Header.Set("Content-Length", "0") }},
		"an empty body, no length": {func(f *folded) { f.body, f.chunked = nil, true }, func(o *original) {
			o.Length, o.Body = -1, ""
			o.Header.Del("Content-Length")
		}},
		"other fields": {func(f *folded) { f.header.Set("X-Other", "kept") }, func(o *original) { o.Header.Set("X-Other", "kept") }},
		"fields of the envelope": {func(f *folded) {
			f.header.Set("Content-Language", "en")
			f.header.Set("Content-Disposition", "inline")
		}, func(*original) {}},
		"every field": {func(f *folded) {
			f.fields = "content-type:text/html\r\nContent-Encoding: gzip\r\nContent-Language: de, en\r\nContent-Disposition: attachment; filename=x\r\n"
		}, func(o *original) {
			o.Header.Set("Content-Type", "text/html")
			o.Header.Set("Content-Encoding", "gzip")
			o.Header.Set("Content-Language", "de, en")
			o.Header.Set("Content-Disposition", "attachment; filename=x")
		}},
		"empty fields of ours": {func(f *folded) { f.header[httpect.FieldName] = []string{"", " ,"} }, func(*original) {}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, policy := range []func(*setup){func(*setup) {}, ignoreBody, requireBody, verifyOnly} {
				protos(t, func(t *testing.T, proto string) {
					w := newWorld(t, policy)
					var got *original
					s := serve(t, proto, w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						var err error
						if got, err = look(r); err != nil {
							t.Errorf("the handler's body: %v", err)
						}
						rec, ok := core.ReceivedFromContext(r.Context())
						if !ok || len(rec.Heads()) != 1 {
							t.Errorf("ReceivedFromContext = %v, %v", rec, ok)
						}
						if task, ok := core.TaskFromContext(r.Context()); ok && w.service.Verifier().Policy().Body != core.BodyIgnore && task.BodyState() != core.BodyBound {
							t.Errorf("BodyState = %v, want bound", task.BodyState())
						}
					})))
					f := newFolded(text)
					c.edit(f)
					f.tokens = []string{w.headOver(t, f.body)}
					want := &original{Method: "POST", Length: int64(len(text)), Body: string(text), Header: http.Header{
						"Content-Type": {"text/plain"}, "Content-Length": {fmt.Sprint(len(text))},
					}}
					c.want(want)
					r := s.fold(t, f)
					if r.StatusCode != 200 {
						t.Fatalf("status = %d (%s)", r.StatusCode, r.body)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("the handler sees (-want +got):\n%s", diff)
					}
					if w.service.Records() {
						if c := w.answer(t, r).Claims(); c.InpHash != hashOf(f.body) {
							t.Errorf("inp_hash = %v, want that of the last part", c.InpHash)
						}
					}
					s.fold(t, f).refused(t, core.CodeReplayed)
				})
			}
		})
	}
}

// TestFallbackNested: what the outer middleware took out of the body, the inner one knows.
func TestFallbackNested(t *testing.T) {
	body := []byte("the body")
	protos(t, func(t *testing.T, proto string) {
		for name, c := range map[string]struct {
			outer, inner []httpect.Option
			level        func(*setup)
			want         core.Code
		}{
			"twice":         {nil, nil, func(*setup) {}, 0},
			"taken outside": {nil, []httpect.Option{httpect.WithMode(httpect.Optional)}, func(*setup) {}, 0},
			"only observed": {[]httpect.Option{httpect.WithMode(httpect.Observe)}, nil, func(*setup) {}, 0},
			"level raised":  {nil, []httpect.Option{httpect.WithMinLevel(core.L3)}, func(*setup) {}, core.CodeLevel},
		} {
			w := newWorld(t, c.level)
			h := httpect.Middleware(w.service, c.inner...)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if got, err := look(r); err != nil || got.Body != string(body) || len(got.Ours) > 0 {
					t.Errorf("%s: the handler sees %v, %v", name, got, err)
				}
			}))
			s := serve(t, proto, w.taking(h, c.outer...))
			r := s.fold(t, newFolded(body, w.headOver(t, body)))
			if c.want != 0 {
				r.refused(t, c.want)
				continue
			}
			if got := w.answer(t, r).Claims().InpHash; got != hashOf(body) {
				t.Errorf("%s: inp_hash = %v", name, got)
			}
		}
	})
}

// TestFallbackOptional: no token is fine, and a form without one is not.
func TestFallbackOptional(t *testing.T) {
	w := newWorld(t)
	s := serve(t, http1, w.taking(http.HandlerFunc(empty), httpect.WithMode(httpect.Optional)))
	w.answer(t, s.fold(t, newFolded([]byte("x"), w.head(t))))
	f := newFolded([]byte("x"), "")
	s.fold(t, f).refused(t, core.CodeMalformed) // the form without a token is none
	if r := s.send(t, "POST", "/", strings.NewReader("x")); r.StatusCode != 200 {
		t.Errorf("status = %d (%s)", r.StatusCode, r.body)
	}
}

// TestFallbackTrailer: a trailer comes with the end of the body, and no token from it.
func TestFallbackTrailer(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for _, edit := range []func(*setup){func(*setup) {}, ignoreBody, requireBody, verifyOnly} {
			w := newWorld(t, edit)
			s := serve(t, proto, w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got, err := look(r)
				if err != nil || got.Body != "the body" || len(got.Ours) > 0 || r.Trailer.Get("X-Sum") != "1" {
					t.Errorf("the handler sees %v, %v, trailer %v", got, err, r.Trailer)
				}
			})))
			f := newFolded([]byte("the body"))
			f.tokens, f.chunked = []string{w.headOver(t, f.body)}, true
			req := f.request(t, s.URL)
			req.Trailer = http.Header{"X-Sum": {"1"}, httpect.FieldName: {w.head(t)}}
			if r, err := s.do(req); err != nil || r.StatusCode != 200 {
				t.Fatalf("Do = %v, %v", r, err)
			}
		}
	})
}

// TestFallbackExpect: a sender that waits is asked for its body, and the handler sees
// nothing of that.
func TestFallbackExpect(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 300<<10)
	for name, h := range map[string]http.HandlerFunc{
		"read": func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, //nolint:errcheck // hashed
		"left": empty,
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				w := newWorld(t)
				s := serve(t, proto, w.taking(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Expect") != "" {
						t.Error("the handler sees Expect")
					}
					h(rw, r)
				}), httpect.WithDrain(int64(len(body)))))
				f := newFolded(body, w.headOver(t, body))
				f.header.Set("Expect", "100-continue")
				if got := w.answer(t, s.fold(t, f)).Claims().InpHash; got != hashOf(body) {
					t.Errorf("inp_hash = %v", got)
				}
			})
		})
	}
}

// TestFallbackForms: a form that something outside looked for in the envelope does not
// hide that of the body.
func TestFallbackForms(t *testing.T) {
	w := newWorld(t)
	s := serve(t, http1, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.ParseForm() //nolint:errcheck // there is none
		w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if got := r.PostFormValue("a"); got != "b" {
				t.Errorf("PostFormValue = %q", got)
			}
			if got := r.FormValue("q"); got != "1" {
				t.Errorf("FormValue = %q", got)
			}
		})).ServeHTTP(rw, r)
	}))
	f := newFolded([]byte("a=b"), w.head(t))
	f.fields = "Content-Type: application/x-www-form-urlencoded\r\n"
	r, err := s.do(f.request(t, s.URL+"/?q=1"))
	if err != nil {
		t.Fatal(err)
	}
	w.answer(t, r)
}
