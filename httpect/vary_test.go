// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-ect/ect/httpect"
)

// TestVaryOnce: on refusals, on streams, and whatever a handler wrote.
func TestVaryOnce(t *testing.T) {
	for name, vary := range map[string][]string{
		"none": nil, "ours": {httpect.FieldName}, "in other case": {"execution-context"},
		"in a list": {"Accept-Encoding,\texecution-Context , Origin"}, "another alike": {"Execution-Context-Receipt"},
	} {
		for what, h := range map[string]http.HandlerFunc{"small": writes(1), "stream": flushes(writes(1)), "204": answers(204)} {
			protos(t, func(t *testing.T, proto string) {
				w := newWorld(t)
				s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					for _, v := range vary {
						rw.Header().Add("Vary", v)
					}
					h(rw, r)
				})))
				r := s.send(t, "GET", "/", nil, w.head(t))
				if hasVary(r.Header) != 1 || vary != nil && !slices.Contains(r.Header["Vary"], vary[0]) {
					t.Errorf("%s, %s: Vary = %q", name, what, r.Header["Vary"])
				}
			})
		}
	}
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		outer := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Vary"] = []string{"Origin, execution-context"}
				next.ServeHTTP(w, r)
			})
		}
		s := serve(t, proto, outer(httpect.Middleware(w.service)(untouched(t))))
		if r := s.send(t, "GET", "/", nil, "a.b.c"); hasVary(r.Header) != 1 || !strings.Contains(r.Header.Get("Vary"), "Origin") {
			t.Errorf("a refusal: Vary = %q", r.Header["Vary"])
		}
	})
}
