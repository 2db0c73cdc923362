// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestRedirectUnanswered: where an answer is required, a redirect that nobody answered for
// leads nowhere. The client reads the error of it, the body goes to no one else, and
// observers learn why.
func TestRedirectUnanswered(t *testing.T) {
	good := func(t *testing.T, p *pair, r *http.Request) string {
		t.Helper()
		return p.to.Token(p.from.Identity).After(t, true, r.Header[httpect.FieldName][0]).Sign(t)
	}
	for name, c := range map[string]struct {
		answer func(t *testing.T, p *pair, w http.ResponseWriter, r *http.Request)
		// code is what reading ends with, 0 if the redirect is followed.
		code core.Code
	}{
		"answered": {func(t *testing.T, p *pair, w http.ResponseWriter, r *http.Request) { //nolint:thelper // a case, not a helper
			w.Header().Set(httpect.FieldName, good(t, p, r))
		}, 0},
		"no answer": {func(*testing.T, *pair, http.ResponseWriter, *http.Request) {}, core.CodeAnswer},
		"garbage": {func(_ *testing.T, _ *pair, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(httpect.FieldName, "e30")
		}, core.CodeClaims},
		"for another call": {func(t *testing.T, p *pair, w http.ResponseWriter, _ *http.Request) { //nolint:thelper // a case, not a helper
			w.Header().Set(httpect.FieldName, p.to.Token(p.from.Identity).Sign(t))
		}, core.CodeAnswer},
		"announced, and none": {func(_ *testing.T, _ *pair, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", httpect.FieldName)
		}, core.CodeAltered},
		"none behind a proxy": {func(_ *testing.T, _ *pair, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Via", "1.1 proxy")
		}, core.CodeAltered},
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					var strayed atomic.Int32
					stranger := serve(t, proto, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strayed.Add(1) }))
					var p *pair
					p = newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						c.answer(t, p, w, r)
						w.Header().Set("Location", stranger.URL)
						w.WriteHeader(status)
					}), bare, over(proto), func(c *calls) {
						c.base = func(http.RoundTripper) http.RoundTripper { return insecureBase(t, stranger) }
					})
					ctx, _ := p.start(t)
					r, err := p.call(ctx, t, "POST", "/", strings.NewReader("secret"))
					if c.code == 0 {
						if err != nil || r.err != nil || r.StatusCode != 200 || strayed.Load() != 1 {
							t.Errorf("%v, %v; the stranger was called %d times", r, err, strayed.Load())
						}
						return
					}
					if err != nil || core.CodeOf(r.err) != c.code {
						t.Errorf("%v, %v; want that reading ends with %v", r, err, c.code)
					}
					if strayed.Load() != 0 {
						t.Error("the redirect was followed")
					}
					told := slices.Concat(p.told.codes(&p.told.rejected), p.told.codes(&p.told.altered), p.told.codes(&p.told.differed))
					if !slices.Equal(told, []core.Code{c.code}) {
						t.Errorf("observers were told %v, want %v", told, c.code)
					}
				})
			})
		}
	}
}
