// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

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
