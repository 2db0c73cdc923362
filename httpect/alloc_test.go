// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package httpect_test

import (
	"bytes"
	"crypto/ecdsa"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// maxAllocations is how many allocations a request may have beyond those of the route
// and of crypto/ecdsa, with all that the middleware does: parse, verify, graph, claim,
// hash, issue, answer.
const maxAllocations = 40

// TestAllocations holds requests through the middleware against the same route with the
// bare crypto alone.
func TestAllocations(t *testing.T) {
	measure := func(w *world, mw func(http.Handler) http.Handler) float64 {
		const runs = 100
		r := chi.NewRouter()
		r.Use(mw)
		r.Post("/invoices/{id}", func(w http.ResponseWriter, r *http.Request) {
			var buf [64]byte
			for {
				if _, err := r.Body.Read(buf[:]); err != nil {
					break
				}
			}
			w.Write([]byte("invoice 7\n")) //nolint:errcheck // it is not kept
		})
		var tokens []string
		for range runs + 1 {
			tokens = append(tokens, w.headOver(t, benchBody))
		}
		rw := &discard{h: http.Header{}}
		return testing.AllocsPerRun(runs, func() {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/invoices/7", bytes.NewReader(benchBody))
			req.Header[httpect.FieldName] = tokens[len(tokens)-1:]
			tokens = tokens[:len(tokens)-1]
			clear(rw.h)
			rw.status = http.StatusOK
			r.ServeHTTP(rw, req)
			if rw.status != http.StatusOK {
				t.Errorf("status = %d", rw.status)
			}
		})
	}
	for name, tt := range map[string]struct {
		sign string
		edit func(*setup)
	}{
		"verified":              {"", verifyOnly},
		"verified and recorded": {strings.Repeat("x", 700), func(*setup) {}},
	} {
		w := newWorld(t, tt.edit)
		key, ok := w.from.Key.(*ecdsa.PrivateKey)
		if !ok {
			t.Fatal("the key is none of ECDSA")
		}
		floor, got := measure(w, bareCrypto(t, key, tt.sign)), measure(w, httpect.Middleware(w.service))
		if got-floor > maxAllocations {
			t.Errorf("%s: %v allocations, %v beyond the floor's, want at most %d", name, got, got-floor, maxAllocations)
		}
		t.Logf("%s: %v allocations, the floor has %v", name, got, floor)
	}
}

// TestTraceAllocations: a request without anything to take out costs the guards nothing, nor
// does one whose peer gets what it has.
func TestTraceAllocations(t *testing.T) {
	const there = "https://there.example"
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}
	base := roundTripper(func(*http.Request) (*http.Response, error) { return resp, nil })
	w := newWorld(t, func(s *setup) {
		s.tells = []core.Audience{{ID: "urn:to", Endpoints: []string{there}, Trace: everyTrace}}
	})
	plain, traced := newRequest(t, "GET", there, nil), newRequest(t, "GET", there, nil)
	for _, name := range []string{"Accept", "Content-Type", "User-Agent", "Authorization", "X-Request-Id"} {
		plain.Header.Set(name, "x")
	}
	traced.Header.Set("Traceparent", "x")
	guard, transport := newGuard(t, w.service, base), newTransport(t, w.service, base)
	handler := httpect.DropTrace(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	rw := &discard{h: http.Header{}}
	call := func(rt http.RoundTripper, req *http.Request) func() {
		return func() {
			if _, err := rt.RoundTrip(req); err != nil {
				t.Error(err)
			}
		}
	}
	const origin = 1 // by which the peer is known
	for _, tt := range []struct {
		name string
		run  func()
		want float64
	}{
		{"guard", call(guard, plain), 0},
		{"guard, what goes there", call(guard, traced), origin},
		{"transport", call(transport, plain), origin},
		{"transport, what goes there", call(transport, traced), origin},
		{"listener", func() { handler.ServeHTTP(rw, plain) }, 0},
	} {
		if n := testing.AllocsPerRun(100, tt.run); n > tt.want {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, n, tt.want)
		}
	}
}
