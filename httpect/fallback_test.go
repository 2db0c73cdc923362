// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
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
		"a message of its own kind": {func(f *folded) {
			f.fields = "Content-Type: " + fallbackType + "\r\n"
			f.body = []byte("anything")
		}, func(o *original) {
			o.Header.Set("Content-Type", fallbackType)
			o.Header.Set("Content-Length", "8")
			o.Length, o.Body = 8, "anything"
		}},
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

// TestFallbackRefused has every rule of profile 9.3 that a message can break.
func TestFallbackRefused(t *testing.T) {
	malformed, large, unsupported := core.CodeMalformed, core.CodeBodyTooLarge, core.CodeUnsupported
	for name, c := range map[string]struct {
		edit func(t *testing.T, w *world, f *folded)
		want core.Code
	}{
		"GET":                   {func(_ *testing.T, _ *world, f *folded) { f.method = "GET" }, unsupported},
		"DELETE":                {func(_ *testing.T, _ *world, f *folded) { f.method = "DELETE" }, unsupported},
		"OPTIONS":               {func(_ *testing.T, _ *world, f *folded) { f.method = "OPTIONS" }, unsupported},
		"a method of one's own": {func(_ *testing.T, _ *world, f *folded) { f.method = "POSTPONE" }, unsupported},
		"no boundary":           {func(_ *testing.T, _ *world, f *folded) { f.media = `multipart/related; type="application/exec+jwt"` }, malformed},
		"another boundary":      {func(_ *testing.T, _ *world, f *folded) { f.media += "r" }, malformed},
		"another parameter":     {func(_ *testing.T, _ *world, f *folded) { f.media += "; start=x" }, malformed},
		"two media types": {func(_ *testing.T, _ *world, f *folded) {
			f.header["Content-Type"], f.media = []string{f.media, "text/plain"}, ""
		}, malformed},
		"an outer encoding":         {func(_ *testing.T, _ *world, f *folded) { f.header.Set("Content-Encoding", "gzip") }, malformed},
		"an outer encoding, none":   {func(_ *testing.T, _ *world, f *folded) { f.header.Set("Content-Encoding", "identity") }, malformed},
		"an outer encoding of mail": {func(_ *testing.T, _ *world, f *folded) { f.header.Set("Content-Transfer-Encoding", "binary") }, malformed},
		"an inner encoding of mail": {func(_ *testing.T, _ *world, f *folded) { f.fields += "Content-Transfer-Encoding: binary\r\n" }, malformed},
		"a foreign field inside":    {func(_ *testing.T, _ *world, f *folded) { f.fields += "X-Other: x\r\n" }, malformed},
		"a field twice":             {func(_ *testing.T, _ *world, f *folded) { f.fields += f.fields }, malformed},
		"tokens in both": {func(t *testing.T, w *world, f *folded) { //nolint:thelper // a case, not a helper
			f.header.Set(httpect.FieldName, w.head(t))
		}, malformed},
		"the same token in both": {func(_ *testing.T, _ *world, f *folded) { f.header.Set(httpect.FieldName, f.tokens[0]) }, malformed},
		"receipts in both": {func(_ *testing.T, _ *world, f *folded) {
			f.receipts = ":AAAA:"
			f.header.Set(receiptField, ":AAAA:")
		}, malformed},
		"receipts in the field": {func(_ *testing.T, _ *world, f *folded) { f.header.Set(receiptField, ":AAAA:") }, malformed},
		"no token":              {func(_ *testing.T, _ *world, f *folded) { f.tokens = []string{""} }, malformed},
		"a comma":               {func(_ *testing.T, _ *world, f *folded) { f.tokens[0] += "," }, malformed},
		"a blank":               {func(_ *testing.T, _ *world, f *folded) { f.tokens[0] += " " }, malformed},
		"an empty line":         {func(_ *testing.T, _ *world, f *folded) { f.tokens = append(f.tokens, "") }, malformed},
		"a preamble":            {func(_ *testing.T, _ *world, f *folded) { f.text = "\r\n" + f.String() }, malformed},
		"nothing":               {func(_ *testing.T, _ *world, f *folded) { f.text = "\r\n" }, malformed},
		"bare LFs":              {func(_ *testing.T, _ *world, f *folded) { f.text = strings.ReplaceAll(f.String(), "\r\n", "\n") }, malformed},
		"cut within the tokens": {func(_ *testing.T, _ *world, f *folded) { f.text = f.String()[:100] }, malformed},
		"cut within the fields": {func(_ *testing.T, _ *world, f *folded) { f.text, _, _ = strings.Cut(f.String(), "/plain") }, malformed},
		"cut, of known length":  {func(_ *testing.T, _ *world, f *folded) { f.text, _, _ = strings.Cut(f.String(), "the body") }, malformed},
		"empty, its end spoiled": {func(_ *testing.T, _ *world, f *folded) {
			f.body = nil
			f.text = strings.TrimSuffix(f.String(), "-\r\n") + "x\r\n"
		}, malformed},
		"empty, its end elsewhere": {func(_ *testing.T, _ *world, f *folded) {
			f.body = nil
			f.text = strings.Replace(f.String(), "\r\n\r\n\r\n--", "\r\n\r\nx\r\n-", 1)
		}, malformed},
		"too long a token": {func(_ *testing.T, _ *world, f *folded) { f.tokens[0] = strings.Repeat("A", core.DefaultTokenBytes+1) }, large},
		"too many tokens": {func(_ *testing.T, _ *world, f *folded) {
			f.tokens = slices.Repeat([]string{"e30"}, core.DefaultTokens+1)
		}, large},
		"too much in all": {func(_ *testing.T, _ *world, f *folded) {
			f.tokens = slices.Repeat([]string{strings.Repeat("A", 8000)}, 5)
		}, large},
		"too many receipts": {func(_ *testing.T, _ *world, f *folded) { f.receipts = strings.Repeat("x", 64<<10+1) }, large},
		"too long a field": {func(_ *testing.T, _ *world, f *folded) {
			f.fields = "Content-Type: " + strings.Repeat("x", 8<<10) + "\r\n"
		}, large},
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				for _, chunked := range []bool{false, true} {
					if chunked && (strings.HasPrefix(name, "empty") || strings.HasSuffix(name, "known length")) {
						continue // found out later, below
					}
					w := newWorld(t)
					s := serve(t, proto, w.taking(untouched(t)))
					f := newFolded([]byte("the body"), w.head(t))
					f.chunked = chunked
					c.edit(t, w, f)
					s.fold(t, f).refused(t, c.want)
					if diff := cmp.Diff([]core.Code{c.want}, w.seen.codes(&w.seen.rejected)); diff != "" {
						t.Errorf("reported as rejected (-want +got):\n%s", diff)
					}
					w.seen.none(t)
				}
			})
		})
	}
}

// TestFallbackNotTaken: a server that does not take tokens in bodies says so.
func TestFallbackNotTaken(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for _, mode := range []httpect.Mode{httpect.Enforce, httpect.Optional} {
			w := newWorld(t)
			s := serve(t, proto, httpect.Middleware(w.service, httpect.WithMode(mode))(untouched(t)))
			f := newFolded([]byte("the body"), w.head(t))
			for _, method := range []string{"POST", "GET"} {
				f.method = method
				s.fold(t, f).refused(t, core.CodeUnsupported)
			}
			f.header.Set(httpect.FieldName, w.head(t))
			s.fold(t, f).refused(t, core.CodeUnsupported)
		}
		// Other bodies of several parts are nothing of ours.
		w := newWorld(t)
		for _, media := range []string{"multipart/related; boundary=x", `multipart/related; type="text/xml"; boundary=x`, "multipart/form-data; boundary=x"} {
			for _, h := range []func(http.Handler) http.Handler{
				httpect.Middleware(w.service), httpect.Middleware(w.service, httpect.WithBodyFallback()),
			} {
				s := serve(t, proto, h(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if got, err := look(r); err != nil || got.Body != "as it is" || got.Header.Get("Content-Type") != media {
						t.Errorf("the handler sees %v, %v", got, err)
					}
				})))
				req := newRequest(t, "POST", s.URL, strings.NewReader("as it is"), w.head(t))
				req.Header.Set("Content-Type", media)
				if r, err := s.do(req); err != nil || r.StatusCode != 200 {
					t.Errorf("%s: Do = %v, %v", media, r, err)
				}
			}
		}
	})
}

// TestFallbackBadTokens: what is refused in the field is refused in the body.
func TestFallbackBadTokens(t *testing.T) {
	w := newWorld(t)
	s := serve(t, http1, w.taking(untouched(t)))
	for _, bad := range ecttest.BadTokens() {
		t.Run(bad.Name, func(t *testing.T) {
			want := bad.Code
			if want == core.CodeTooLarge {
				want = core.CodeBodyTooLarge
			}
			token := bad.Mint(t, w.domain, w.from, w.to.Identity)
			r := s.fold(t, newFolded([]byte("the body"), token))
			r.refused(t, want)
			r.silentAbout(t, w, token)
			if want != core.CodeNoHead { // a good token beside it is the head
				s.fold(t, newFolded([]byte("the body"), w.head(t), token)).refused(t, want)
			}
			got := w.seen.codes(&w.seen.rejected)
			if diff := cmp.Diff([]core.Code{want}, slices.Compact(got)); diff != "" {
				t.Errorf("reported as rejected (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFallbackLimits: the limits are those of the verifier, at them and above.
func TestFallbackLimits(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.policy.Limits = core.Limits{TokenBytes: 1000, Tokens: 2, TotalBytes: 1500} })
	s := serve(t, http1, w.taking(http.HandlerFunc(empty)))
	long := func(n int) string { return strings.Repeat("A", n) }
	for name, c := range map[string]struct {
		tokens []string
		want   core.Code
	}{
		"a token at the limit":  {[]string{long(1000)}, core.CodeMalformed}, // it was looked at
		"a token above":         {[]string{long(1001)}, core.CodeBodyTooLarge},
		"two":                   {[]string{"e30", "e30"}, core.CodeClaims},
		"three":                 {[]string{"e30", "e30", "e30"}, core.CodeBodyTooLarge},
		"in all, at the limit":  {[]string{long(1000), long(498)}, core.CodeMalformed},
		"in all, above":         {[]string{long(1000), long(499)}, core.CodeBodyTooLarge},
		"too large wins":        {[]string{",", long(1001)}, core.CodeBodyTooLarge},
		"malformed over claims": {[]string{"e30", "!"}, core.CodeMalformed},
	} {
		t.Run(name, func(t *testing.T) { s.fold(t, newFolded(nil, c.tokens...)).refused(t, c.want) })
	}
}

// TestFallbackSpoiledLater: a form that turns out to be none while the handler reads it is
// an error of reading, never an end, and no hash; the message is refused after all.
func TestFallbackSpoiledLater(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	for name, spoil := range map[string]func(string) string{
		"cut within the body":      func(s string) string { return s[:len(s)-1000] },
		"cut before the delimiter": func(s string) string { return strings.TrimSuffix(s, "\r\n--the-boundary--\r\n") },
		"cut within the delimiter": func(s string) string { return strings.TrimSuffix(s, "y--\r\n") },
		"without the last hyphens": func(s string) string { return strings.TrimSuffix(s, "--\r\n") + "\r\n" },
		"without the last CRLF":    func(s string) string { return strings.TrimSuffix(s, "\r\n") },
		"with an epilogue":         func(s string) string { return s + "more" },
		"with another part":        func(s string) string { return strings.TrimSuffix(s, "--\r\n") + "\r\n\r\nmore\r\n--the-boundary--\r\n" },
		"with a delimiter inside":  func(s string) string { return s[:len(s)-1000] + "\r\n--the-boundary" + s[len(s)-1000:] },
	} {
		t.Run(name, func(t *testing.T) {
			for who, edit := range map[string]func(*setup){"matching": func(*setup) {}, "ignoring": ignoreBody, "requiring": requireBody, "verify only": verifyOnly,
				"verify only, ignoring": func(s *setup) { verifyOnly(s); ignoreBody(s) }} {
				protos(t, func(t *testing.T, proto string) {
					w := newWorld(t, edit)
					called := false
					s := serve(t, proto, w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						called = true
						got, err := io.ReadAll(r.Body)
						if core.CodeOf(err) != core.CodeMalformed || len(got) > len(body) || !bytes.Equal(got, body[:len(got)]) {
							t.Errorf("%s: the handler read %d bytes, %v", who, len(got), err)
						}
						if n, err := r.Body.Read(make([]byte, 1)); n != 0 || core.CodeOf(err) != core.CodeMalformed {
							t.Errorf("%s: and then %d, %v", who, n, err)
						}
					})))
					f := newFolded(body)
					f.tokens = []string{w.headOver(t, body)}
					f.text = spoil(f.String())
					f.chunked = true
					s.fold(t, f).refused(t, core.CodeMalformed)
					if diff := cmp.Diff([]core.Code{core.CodeMalformed}, w.seen.codes(&w.seen.rejected)); diff != "" {
						t.Errorf("%s: reported as rejected (-want +got):\n%s", who, diff)
					}
					if called != (who != "requiring") {
						t.Errorf("%s: called = %v", who, called)
					}
					if !called || !w.service.Records() {
						w.seen.none(t)
					} else if c := w.seen.next(t).Claims(); c.InpHash.Present || c.Ext.Outcome != core.OutcomeError {
						t.Errorf("%s: inp_hash = %v, outcome = %v", who, c.InpHash, c.Ext.Outcome)
					}
				})
			}
		})
	}
}

// TestFallbackBodyDiffers: it is the last part that the sender's record is held against.
func TestFallbackBodyDiffers(t *testing.T) {
	body := []byte("the body")
	for _, policy := range []func(*setup){func(*setup) {}, requireBody} {
		protos(t, func(t *testing.T, proto string) {
			for _, sent := range [][]byte{[]byte("the bodY"), nil, []byte("the body\r\n"), []byte("--x\r\n\r\nthe body\r\n--x--\r\n")} {
				w := newWorld(t, policy)
				s := serve(t, proto, w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if got, err := io.ReadAll(r.Body); core.CodeOf(err) != core.CodeBody || len(got) > 0 {
						t.Errorf("the handler read %q, %v", got, err)
					}
				})))
				s.fold(t, newFolded(sent, w.headOver(t, body))).refused(t, core.CodeBody)
			}
		})
	}
}

// TestFallbackObserved: where nothing is refused, a handler loses nothing. A form that is
// good is taken apart, and one that is not is passed on as it came.
func TestFallbackObserved(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 8<<10)
	for name, c := range map[string]struct {
		edit func(t *testing.T, w *world, f *folded)
		off  bool
		want core.Code // 0 if the form is good
	}{
		"good":            {func(*testing.T, *world, *folded) {}, false, 0},
		"a bad token":     {func(_ *testing.T, _ *world, f *folded) { f.tokens = []string{"e30"} }, false, 0},
		"not taken":       {func(*testing.T, *world, *folded) {}, true, core.CodeUnsupported},
		"DELETE":          {func(_ *testing.T, _ *world, f *folded) { f.method = "DELETE" }, false, core.CodeUnsupported},
		"no boundary":     {func(_ *testing.T, _ *world, f *folded) { f.media = `multipart/related; type="application/exec+jwt"` }, false, core.CodeMalformed},
		"a preamble":      {func(_ *testing.T, _ *world, f *folded) { f.text = "x" + f.String() }, false, core.CodeMalformed},
		"a comma":         {func(_ *testing.T, _ *world, f *folded) { f.tokens[0] += "," }, false, core.CodeMalformed},
		"a foreign field": {func(_ *testing.T, _ *world, f *folded) { f.fields += "X-Other: x\r\n" }, false, core.CodeMalformed},
		"too much":        {func(_ *testing.T, _ *world, f *folded) { f.receipts = strings.Repeat("x", 70<<10) }, false, core.CodeBodyTooLarge},
		"nothing else":    {func(_ *testing.T, _ *world, f *folded) { f.text = "\r\n" }, false, core.CodeMalformed},
		"in both": {func(t *testing.T, w *world, f *folded) { //nolint:thelper // a case, not a helper
			f.header.Set(httpect.FieldName, w.head(t))
		}, false, core.CodeMalformed},
		"an empty body": {func(_ *testing.T, _ *world, f *folded) { f.body = nil }, false, 0},
		"spoiled, empty": {func(_ *testing.T, _ *world, f *folded) {
			f.body = nil
			f.text = strings.TrimSuffix(f.String(), "-\r\n") + "x\r\n"
		}, false, core.CodeMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				for _, enforced := range []bool{false, true} {
					w := newWorld(t)
					var got *original
					var h http.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						var err error
						if got, err = look(r); err != nil {
							t.Errorf("the handler's body: %v", err)
						}
					})
					if enforced {
						h = httpect.Middleware(w.service)(h)
					}
					opts := []httpect.Option{httpect.WithMode(httpect.Observe)}
					if !c.off {
						opts = append(opts, httpect.WithBodyFallback())
					}
					s := serve(t, proto, httpect.Middleware(w.service, opts...)(h))
					f := newFolded(body, w.headOver(t, body))
					c.edit(t, w, f)
					r := s.fold(t, f)
					switch {
					case enforced && c.want != 0:
						r.refused(t, c.want)
						continue
					case enforced && name == "a bad token":
						r.refused(t, core.CodeClaims)
						continue
					case enforced && name == "an empty body":
						r.refused(t, core.CodeBody)
						continue
					}
					if r.StatusCode != 200 {
						t.Fatalf("status = %d (%s)", r.StatusCode, r.body)
					}
					want := &original{Method: f.method, Body: string(f.body), Length: int64(len(f.body)), Header: http.Header{"Content-Type": {"text/plain"}}}
					if c.want != 0 {
						want.Body, want.Length, want.Header = f.String(), int64(len(f.String())), http.Header{"Content-Type": {f.media}}
						if diff := cmp.Diff([]core.Code{c.want}, w.seen.codes(&w.seen.rejected)); diff != "" {
							t.Errorf("reported as rejected (-want +got):\n%s", diff)
						}
					}
					want.Header.Set("Content-Length", fmt.Sprint(want.Length))
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("the handler sees (-want +got):\n%.2000s", diff)
					}
					if c := w.seen.next(t).Claims(); c.InpHash != hashOf([]byte(want.Body)) {
						t.Errorf("inp_hash = %v, want that of what the handler saw", c.InpHash)
					}
				}
			})
		})
	}
	// What is found out later cannot be taken back, and is no end either.
	w := newWorld(t)
	s := serve(t, http1, w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if got, err := look(r); err == nil || got.Body != string(body) {
			t.Errorf("the handler read %d bytes, %v", len(got.Body), err)
		}
	}), httpect.WithMode(httpect.Observe)))
	f := newFolded(body, w.head(t))
	f.text, f.chunked = f.String()+"more", true
	if r := s.fold(t, f); r.StatusCode != 200 {
		t.Errorf("status = %d (%s)", r.StatusCode, r.body)
	}
	if diff := cmp.Diff([]core.Code{core.CodeMalformed}, w.seen.codes(&w.seen.rejected)); diff != "" {
		t.Errorf("reported as rejected (-want +got):\n%s", diff)
	}
	if c := w.seen.next(t).Claims(); c.InpHash.Present {
		t.Errorf("inp_hash = %v of a body that was not read to its end", c.InpHash)
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

// TestFallbackSettles: what net/http would drop when the response begins is seen first.
func TestFallbackSettles(t *testing.T) {
	for _, size := range []int{0, 1, 100, 5000, 100_000, 250_000, 256<<10 - 100, 256 << 10, 300_000, 400_000} {
		for _, chunked := range []bool{false, true} {
			w := newWorld(t)
			body := bytes.Repeat([]byte("x"), size)
			s := serve(t, http1, w.taking(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				var first [1]byte
				n, _ := r.Body.Read(first[:])
				rw.(http.Flusher).Flush()
				rest, err := io.ReadAll(r.Body)
				task, _ := core.TaskFromContext(r.Context())
				if n+len(rest) == size && err == nil && task.BodyState() != core.BodyBound {
					t.Errorf("%d bytes, chunked %v: all was read, and the state is %v", size, chunked, task.BodyState())
				}
				if err != nil && !errors.Is(err, http.ErrBodyReadAfterClose) {
					t.Errorf("%d bytes, chunked %v: after the flush: %v", size, chunked, err)
				}
			})))
			f := newFolded(body, w.headOver(t, body))
			f.chunked = chunked
			r := s.fold(t, f)
			if got := w.answer(t, r).Claims().InpHash; got.Present && got != hashOf(body) {
				t.Errorf("%d bytes, chunked %v: inp_hash = %v", size, chunked, got)
			}
			if r.err != nil {
				t.Errorf("%d bytes, chunked %v: %v", size, chunked, r.err)
			}
		}
	}
}

// TestFallbackSettlesByTheEnvelope: it is the envelope that net/http counts, of which more
// was read than the handler got.
func TestFallbackSettlesByTheEnvelope(t *testing.T) {
	for size, want := range map[int]core.BodyState{
		256<<10 + 1000: core.BodyBound, 256<<10 + 20_000: core.BodyPending,
	} {
		w := newWorld(t)
		body := bytes.Repeat([]byte("x"), size)
		h := w.taking(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			r.Body.Read(make([]byte, 1)) //nolint:errcheck // its end is looked for below
			rw.(http.Flusher).Flush()
			if task, _ := core.TaskFromContext(r.Context()); task.BodyState() != want {
				t.Errorf("%d bytes: after the flush the state is %v, want %v", size, task.BodyState(), want)
			}
		}), httpect.WithDrain(int64(size)))
		h.ServeHTTP(httptest.NewRecorder(), newFolded(body, w.headOver(t, body)).request(t, "http://host.example/"))
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

// TestFallbackWithoutServer: requests that no server made, and bodies that break or are
// capped.
func TestFallbackWithoutServer(t *testing.T) {
	w := newWorld(t)
	h := w.taking(untouched(t))
	f := newFolded([]byte("the body"), w.head(t))
	broken := errors.New("the connection broke")
	for name, c := range map[string]struct {
		body io.ReadCloser
		want int
	}{
		"no body":   {nil, 400},
		"NoBody":    {http.NoBody, 400},
		"it breaks": {io.NopCloser(io.MultiReader(strings.NewReader(f.String()[:50]), failing{closedChan(), broken})), 400},
		"it is capped": {
			http.MaxBytesReader(nil, io.NopCloser(strings.NewReader(f.String())), 20), 413,
		},
	} {
		req := f.request(t, "http://host.example/")
		req.Body, req.ContentLength = c.body, -1
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code != c.want {
			t.Errorf("%s: status = %d, want %d", name, rec.Code, c.want)
		}
	}
	// What broke once does not go on, also where nothing is refused.
	seen := false
	observing := w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = true
		if got, err := io.ReadAll(r.Body); !errors.Is(err, iotest.ErrTimeout) || !strings.HasPrefix(f.String(), string(got)) {
			t.Errorf("the handler read %q, %v", got, err)
		}
	}), httpect.WithMode(httpect.Observe))
	req := f.request(t, "http://host.example/")
	req.Body = io.NopCloser(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(f.String()))))
	observing.ServeHTTP(httptest.NewRecorder(), req)
	if !seen {
		t.Error("the handler was not called")
	}
	// A handler that reads on after it closed the body gets no more of it.
	done := false
	h = w.taking(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		done = true
		r.Body.Close()
		if n, err := r.Body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("Read = %d, %v after Close", n, err)
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), f.request(t, "http://host.example/"))
	if !done {
		t.Error("the handler was not called")
	}
}

func closedChan() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
