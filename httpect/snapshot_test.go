// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/httpect"
)

// TestHeaderDecided: what a handler does to the header after it has decided on it changes
// nothing of what is sent, as without the middleware, in whichever way it does it and
// however many fields there are; trailers are still to come.
func TestHeaderDecided(t *testing.T) {
	for name, late := range map[string]func(h http.Header){
		"nothing":       func(http.Header) {},
		"set":           func(h http.Header) { h.Set("X-One", "late") },
		"added":         func(h http.Header) { h.Add("X-One", "late") },
		"new":           func(h http.Header) { h.Set("X-New", "late") },
		"deleted":       func(h http.Header) { h.Del("X-One") },
		"deleted, new":  func(h http.Header) { h.Del("X-One"); h.Set("X-New", "late") },
		"in place":      func(h http.Header) { h["X-One"][0] = "late" },
		"cleared":       func(h http.Header) { clear(h) },
		"trailer":       func(h http.Header) { h.Set("X-Sum", "7") },
		"trailer, more": func(h http.Header) { h.Set("X-Sum", "7"); h.Set("X-One", "late") },
		"in both":       func(h http.Header) { h["X-Both"][0] = "late" },
		"no date":       func(h http.Header) { h["Date"] = nil },
		"length":        func(h http.Header) { h.Set("Content-Length", "100") },
	} {
		for decide, begin := range map[string]func(http.ResponseWriter){
			"by status": func(w http.ResponseWriter) { w.WriteHeader(http.StatusAccepted) },
			"by body":   func(w http.ResponseWriter) { io.WriteString(w, "body") }, //nolint:errcheck // the client looks
			"by flush":  func(w http.ResponseWriter) { http.NewResponseController(w).Flush() },
		} {
			for _, fields := range []int{0, 1, 3, 30} {
				t.Run(fmt.Sprint(name, ", ", decide, ", ", fields), func(t *testing.T) {
					h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						h := w.Header()
						h["X-One"] = []string{"1", "2"}
						h.Set("Trailer", "X-Sum, X-Both")
						h.Set("X-Both", "early")
						h["X-Empty"] = nil
						for n := range fields {
							h.Set(fmt.Sprint("X-Field-", n), "v")
						}
						begin(w)
						late(h)
						io.WriteString(w, "more") //nolint:errcheck // the client looks
					})
					protos(t, func(t *testing.T, proto string) {
						w := newWorld(t)
						bare := serve(t, proto, h).send(t, "GET", "/", nil)
						got := serve(t, proto, httpect.Middleware(w.service)(h)).send(t, "GET", "/", nil, w.head(t))
						w.answer(t, got)
						for _, r := range []*reply{bare, got} {
							for _, section := range []http.Header{r.Header, r.Trailer} {
								for _, name := range []string{"Date", "Vary", httpect.FieldName} {
									section.Del(name)
								}
							}
						}
						if diff := cmp.Diff(bare.Header, got.Header); diff != "" {
							t.Errorf("header (-without +with the middleware):\n%s", diff)
						}
						if diff := cmp.Diff(bare.Trailer, got.Trailer); diff != "" {
							t.Errorf("trailer (-without +with the middleware):\n%s", diff)
						}
						if string(got.body) != string(bare.body) || got.StatusCode != bare.StatusCode {
							t.Errorf("%v with %q, want %v with %q", got, got.body, bare, bare.body)
						}
					})
				})
			}
		}
	}
}
