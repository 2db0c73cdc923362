// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestFallbackEndUnread: a handler stops before the end of a form, which is looked at all
// the same, also where the body is bound to nothing. One that turns out to be none is
// refused after all.
func TestFallbackEndUnread(t *testing.T) {
	const size = 64 << 10
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	for name, c := range map[string]struct {
		spoil func(string) string
		good  bool
	}{
		"good":                    {func(s string) string { return s }, true},
		"another last delimiter":  {func(s string) string { return strings.TrimSuffix(s, "--\r\n") + "xx\r\n" }, false},
		"cut within the end":      {func(s string) string { return strings.TrimSuffix(s, "y--\r\n") }, false},
		"with an epilogue":        {func(s string) string { return s + "more" }, false},
		"with another part":       {func(s string) string { return strings.TrimSuffix(s, "--\r\n") + "\r\n\r\nmore\r\n--the-boundary--\r\n" }, false},
		"with a delimiter inside": {func(s string) string { return s[:len(s)-1000] + "\r\n--the-boundary" + s[len(s)-1000:] }, false},
	} {
		for how, read := range map[string]int64{"all": size, "some": size / 2, "a byte": 1, "nothing": 0} {
			t.Run(name+", reading "+how, func(t *testing.T) {
				for who, edit := range map[string]func(*setup){
					"matching": func(*setup) {}, "ignoring": ignoreBody, "verify only": verifyOnly,
					"verify only, ignoring": func(s *setup) { verifyOnly(s); ignoreBody(s) },
				} {
					protos(t, func(t *testing.T, proto string) {
						for _, chunked := range []bool{false, true} {
							w := newWorld(t, edit)
							s := serve(t, proto, w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
								io.CopyN(io.Discard, r.Body, read) //nolint:errcheck // it may find out, and goes on
							})))
							f := newFolded(body, w.head(t))
							f.text, f.chunked = c.spoil(f.String()), chunked
							r := s.fold(t, f)
							if c.good {
								if r.StatusCode != 200 {
									t.Errorf("%s, chunked %t: %v (%s)", who, chunked, r, r.body)
								}
								continue
							}
							r.refused(t, core.CodeMalformed)
							if diff := cmp.Diff([]core.Code{core.CodeMalformed}, w.seen.codes(&w.seen.rejected)); diff != "" {
								t.Errorf("%s, chunked %t: reported as rejected (-want +got):\n%s", who, chunked, diff)
							}
							if !w.service.Records() {
								continue
							}
							if c := w.seen.next(t).Claims(); c.InpHash.Present || c.Ext.Outcome != core.OutcomeError {
								t.Errorf("%s, chunked %t: inp_hash = %v, outcome = %v", who, chunked, c.InpHash, c.Ext.Outcome)
							}
						}
					})
				}
			})
		}
	}
}

// TestFallbackTrailerHidden: tokens in the trailer of a request that has its tokens in the body
// stay hidden, whatever the length of that body. HTTP/1 has no trailer beside a length.
func TestFallbackTrailerHidden(t *testing.T) {
	wires := []struct {
		proto   string
		chunked bool
	}{{http1, true}, {http2, true}, {http2, false}}
	for name, edit := range map[string]func(*setup){"matching": func(*setup) {}, "ignoring": ignoreBody, "requiring": requireBody, "verify only": verifyOnly} {
		for _, observe := range []bool{false, true} {
			for _, body := range []string{"", "the body"} {
				for _, wire := range wires {
					t.Run(fmt.Sprintf("%s, observe %t, body %q, %s, chunked %t", name, observe, body, wire.proto, wire.chunked), func(t *testing.T) {
						w := newWorld(t, edit)
						var opts []httpect.Option
						if observe {
							opts = mode(httpect.Observe)
						}
						called := false
						s := serve(t, wire.proto, w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
							called = true
							if got := tokensIn(r.Trailer); len(got) > 0 || hasOurs(r.Trailer) {
								t.Errorf("at first the trailer is %v", r.Trailer)
							}
							if got, err := look(r); err != nil || got.Body != body || hasOurs(r.Trailer) {
								t.Errorf("the handler sees %+v, %v, trailer %v", got, err, r.Trailer)
							}
							if got := r.Trailer.Get("X-Other"); got != "kept" {
								t.Errorf("X-Other = %q", got)
							}
						}), opts...))
						f := newFolded([]byte(body), w.headOver(t, []byte(body)))
						f.chunked = wire.chunked
						req := f.request(t, s.URL)
						req.Trailer = http.Header{httpect.FieldName: {"another's"}, receiptField: {":AAAA:"}, "X-Other": {"kept"}}
						if r, err := s.do(req); err != nil || r.StatusCode != 200 || !called {
							t.Errorf("%v, %v; the handler was called: %t", r, err, called)
						}
					})
				}
			}
		}
	}
}

// TestFormWithinForm: a body that is of the form itself would carry tokens past every
// gateway as content. The service refuses it, and the transport sends none.
func TestFormWithinForm(t *testing.T) {
	within := strings.ReplaceAll(fallbackType, "the-boundary", "another")
	for name, media := range map[string]string{
		"the same":         within,
		"in another case":  strings.ReplaceAll(within, "multipart/related", "Multipart/RELATED"),
		"no boundary":      `multipart/related; type="application/exec+jwt"`,
		"of another start": within + `; start="<a>"`,
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				for who, edit := range map[string]func(*setup){"matching": func(*setup) {}, "requiring": requireBody, "verify only": verifyOnly} {
					for _, inner := range []string{"anything", ""} {
						for _, receipts := range []string{"", ":AAAA:;td=:AAAA:"} {
							w := newWorld(t, edit)
							s := serve(t, proto, w.taking(untouched(t)))
							f := newFolded([]byte(inner), w.headOver(t, []byte(inner)))
							f.fields, f.receipts = "Content-Type: "+media+"\r\n", receipts
							s.fold(t, f).refused(t, core.CodeMalformed)
							if diff := cmp.Diff([]core.Code{core.CodeMalformed}, w.seen.codes(&w.seen.rejected)); diff != "" {
								t.Errorf("%s: reported as rejected (-want +got):\n%s", who, diff)
							}
							w.seen.none(t)
						}
					}
				}
				p := foldingPair(t, untouched(t), over(proto))
				ctx, task := p.start(t)
				req := padded(t, "POST", p.site.URL, strings.NewReader("anything"), noRoom+len("Content-Type")+4+len(media)).WithContext(ctx)
				req.Header.Set("Content-Type", media)
				if r, err := readReply(p.client.Do(req)); err == nil {
					t.Errorf("the transport sent it: %v", r)
				}
				if c := end(ctx, t, task); c.Ext.Outcome != core.OutcomeOK {
					t.Errorf("outcome = %v", c.Ext.Outcome)
				}
			})
		})
	}
}
