// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/go-ect/ect/httpect"
)

// TestPanicShowsNoFields: a handler panics after it has copied the fields of another
// service, and somebody further out answers in its place. Nothing of them gets out.
func TestPanicShowsNoFields(t *testing.T) {
	copies := func(w http.ResponseWriter) {
		w.Header().Set(httpect.FieldName, "another's")
		w.Header()["execution-context"] = []string{"another's"}
		w.Header().Set(receiptField, ":AAAA:")
		w.Header().Set(http.TrailerPrefix+httpect.FieldName, "another's")
		w.Header().Set("X-Other", "kept")
	}
	for who, c := range map[string]struct {
		edit func(*setup)
		mode httpect.Mode
	}{
		"enforced": {func(*setup) {}, httpect.Enforce}, "observed": {func(*setup) {}, httpect.Observe},
		"optional": {func(*setup) {}, httpect.Optional}, "verify only": {verifyOnly, httpect.Enforce},
	} {
		for how, writing := range map[string]http.HandlerFunc{
			"nothing written": empty, "kept back": writes(10), "decided": answers(http.StatusCreated), "refused by itself": answers(http.StatusTeapot),
		} {
			for _, panics := range []any{"no", http.ErrAbortHandler, io.EOF} {
				t.Run(fmt.Sprint(who, ", ", how, ", ", panics), func(t *testing.T) {
					protos(t, func(t *testing.T, proto string) {
						w := newWorld(t, c.edit)
						s := serve(t, proto, recovered(httpect.Middleware(w.service, httpect.WithMode(c.mode))(http.HandlerFunc(
							func(rw http.ResponseWriter, r *http.Request) {
								copies(rw)
								writing(rw, r)
								copies(rw)
								panic(panics)
							}))))
						var tokens []string
						if c.mode != httpect.Optional {
							tokens = []string{w.head(t)}
						}
						r := s.send(t, "GET", "/", nil, tokens...)
						if hasOurs(r.Header) || hasOurs(r.Trailer) {
							t.Errorf("%v, header %v, trailer %v", r, r.Header, r.Trailer)
						}
						if r.Header.Get("X-Other") != "kept" {
							t.Errorf("%v, header %v", r, r.Header)
						}
					})
				})
			}
		}
	}
}
