// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/internal/related"
)

// FuzzFallback sends arbitrary bodies of arbitrary types. Whatever they are, the answer is
// a refusal that blames them or the handler's, and where nothing is refused the handler
// gets the body of a good form, or else every byte as it came.
func FuzzFallback(f *testing.F) {
	from, to := newFixed("from"), newFixed("to")
	good := from.TokenAt(to.Identity, fixedNow).Sign(f)
	bound := from.TokenAt(to.Identity, fixedNow).With("out_hash", hashText([]byte("the body"))).Sign(f)
	for _, edit := range []func(*folded){
		func(*folded) {}, func(m *folded) { m.tokens = []string{bound} }, func(m *folded) { m.body = nil }, func(m *folded) { m.receipts = ":AAAA:" },
		func(m *folded) { m.tokens = []string{good, bound} }, func(m *folded) { m.text = m.String() + "x" }, func(m *folded) { m.fields = "" },
		func(m *folded) { m.media = "text/plain" }, func(m *folded) { m.tokens = []string{"e30"} }, func(m *folded) { m.text = m.String()[:60] },
	} {
		m := newFolded([]byte("the body"), good)
		edit(m)
		for mode := range uint8(6) {
			f.Add(m.media, []byte(m.String()), mode)
		}
	}
	audiences, err := core.NewAudiences(core.Audience{ID: from.Identity, Tokens: true, Hashes: true})
	if err != nil {
		f.Fatal(err)
	}
	issuer := to.Issuer(f, core.WithClock(func() time.Time { return fixedNow }))
	f.Fuzz(func(t *testing.T, media string, body []byte, mode uint8) {
		var faults []core.Code
		v, err := core.NewVerifier(from, to.Policy(), core.WithClock(func() time.Time { return fixedNow }), core.WithObserver(core.Observer{
			Rejected: func(_ context.Context, err *core.Error, _ core.VerifyInfo) { faults = append(faults, err.Code) },
		}))
		if err != nil {
			t.Fatal(err)
		}
		s, err := core.NewService(v, issuer, audiences)
		if err != nil {
			t.Fatal(err)
		}
		called := false
		var got []byte
		var readErr error
		var length int64
		h := httpect.Middleware(s, httpect.WithMode(httpect.Mode(mode%3)), httpect.WithBodyFallback())(http.HandlerFunc(
			func(_ http.ResponseWriter, r *http.Request) {
				called, length = true, r.ContentLength
				got, readErr = io.ReadAll(r.Body)
			}))
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
		if mode >= 3 {
			req.ContentLength = -1
		}
		req.Header["Content-Type"] = []string{media}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		switch w.Code {
		case http.StatusOK:
			if !called || readErr != nil && httpect.Mode(mode%3) != httpect.Observe {
				t.Errorf("200, handler called: %v, its body: %v", called, readErr)
			}
		case http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge:
			if len(w.Result().Header[httpect.FieldName]) > 0 || len(faults) == 0 && core.CodeOf(readErr) != core.CodeBody {
				t.Errorf("a refusal with %v, reported: %v", w.Result().Header, faults)
			}
		default:
			t.Errorf("status = %d, %s", w.Code, w.Body)
		}
		if !called {
			if httpect.Mode(mode%3) == httpect.Observe {
				t.Error("the handler was not called where nothing is refused")
			}
			return
		}
		if readErr == nil && length >= 0 && length != int64(len(got)) {
			t.Errorf("the handler was told of %d bytes and got %d", length, len(got))
		}
		if want := lastPart(media, body); readErr == nil && !bytes.Equal(got, want) {
			t.Errorf("the handler got %q, want %q", got, want)
		}
	})
}

// lastPart returns the body that a handler must get: the last part of a good form, and of
// anything else all of it.
func lastPart(media string, text []byte) []byte {
	boundary, ours, err := related.ParseType(media)
	if !ours || err != nil {
		return text
	}
	r, err := related.NewReader(bytes.NewReader(text), boundary, related.Limits{
		TokenBytes: core.DefaultTokenBytes, Tokens: core.DefaultTokens, TotalBytes: core.DefaultTotalBytes,
	})
	if err != nil {
		return text
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return text
	}
	return body
}
