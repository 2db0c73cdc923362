// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestOwnRouterRefuses: a handler works, and calls its own router, which refuses.
func TestOwnRouterRefuses(t *testing.T) {
	for name, inner := range map[string]bool{"below one": false, "below two": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, acceptL1)
			closed := httpect.Middleware(w.service, httpect.WithMinLevel(core.L2))(untouched(t))
			var h http.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				closed.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(r.Context()))
				writes(10)(rw, r)
			})
			if inner {
				h = httpect.Middleware(w.service)(h)
			}
			s := serve(t, http1, httpect.Middleware(w.service)(h))
			low := w.l1(t)
			w.answer(t, s.send(t, "GET", "/", nil, low))
			s.send(t, "GET", "/", nil, low).refused(t, core.CodeReplayed)
		})
	}
}
