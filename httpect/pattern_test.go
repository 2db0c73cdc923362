// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-ect/ect/httpect"
)

// TestPatternGoesOut: what stands further out, as otelhttp does, finds the pattern that a mux
// within took, also where the handler panics.
func TestPatternGoesOut(t *testing.T) {
	for _, panics := range []bool{false, true} {
		w := newWorld(t)
		mux := http.NewServeMux()
		mux.HandleFunc("GET /documents/{id}", func(http.ResponseWriter, *http.Request) {
			if panics {
				panic(http.ErrAbortHandler)
			}
		})
		h := httpect.Middleware(w.service)(mux)
		r := httptest.NewRequest(http.MethodGet, "/documents/7", http.NoBody)
		r.Header.Set(httpect.FieldName, w.from.Token(w.to.Identity).Sign(t))
		func() {
			defer func() {
				if p := recover(); (p != nil) != panics {
					t.Errorf("the middleware panics with %v, want it to be %t", p, panics)
				}
			}()
			h.ServeHTTP(httptest.NewRecorder(), r)
		}()
		if r.Pattern != "GET /documents/{id}" {
			t.Errorf("the pattern is %q where the handler panics: %t", r.Pattern, panics)
		}
	}
}
