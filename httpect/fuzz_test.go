// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// fixed is an agent whose key and clock are the same in every process, so that what one
// process of the fuzzer signed is good in the others.
type fixed struct{ *ecttest.Agent }

var fixedNow = time.Unix(1_900_000_000, 0)

func newFixed(name string) fixed {
	seed := bytes.Repeat([]byte(name[:1]), ed25519.SeedSize)
	return fixed{&ecttest.Agent{
		Identity: ecttest.Name + "/" + name, KeyID: name + "-key",
		Key: ed25519.NewKeyFromSeed(seed), Algorithm: core.EdDSA,
	}}
}

// Bind implements core.Binder over this one agent.
func (f fixed) Bind(_ context.Context, u *core.Unverified, _ core.Evidence) (core.BoundKey, error) {
	if u.ClaimedIssuer() != f.Identity || u.KeyID() != f.KeyID {
		return core.BoundKey{}, core.NewError(core.CodeKeyUnknown, errors.New("no such key"))
	}
	return core.BoundKey{Public: f.Key.Public(), Issuer: f.Identity, Domain: ecttest.Name, Binding: core.BindingJWKSet}, nil
}

// FuzzMiddleware puts arbitrary values into the field. Whatever they are, the answer is a
// refusal that blames them, or the handler's.
func FuzzMiddleware(f *testing.F) {
	from, to := newFixed("from"), newFixed("to")
	token := func() *ecttest.Token { return from.TokenAt(to.Identity, fixedNow) }
	good := token().Sign(f)
	child := token().After(f, true, good).Sign(f)
	for _, seed := range []string{
		"", ",", " \t", "\n", good, good + "," + good, good + "\n" + good, good + "," + child, child + "\n" + good, child,
		token().Unsigned(f), token().Without("iss").Unsigned(f), good + ", " + token().Unsigned(f),
		token().With("out_hash", hashText([]byte("body"))).Sign(f),
		token().With("out_hash", hashText([]byte("x"))).Sign(f),
		token().With("wid", "6f1d3a0e-74b9-4a3b-8f0e-6b1d6a3f0c11").Sign(f),
		token().With("exec_act", "ect.ledger.failed").Sign(f), token().With("aud", "x").Sign(f),
		token().With("ect_ext", map[string]any{"outcome": "error", "status": 500, "x": []int{1}}).Sign(f),
		good[:len(good)-1], "e30", "W10", "a.b.c", "...", "\x00", "\xff", strings.Repeat("A", 9000), strings.Repeat("e30,", 20),
	} {
		f.Add(seed, "body", uint8(0))
		f.Add(seed, "", uint8(1))
		f.Add(seed, "body", uint8(2))
	}
	audiences, err := core.NewAudiences(core.Audience{ID: from.Identity, Tokens: true, Hashes: true})
	if err != nil {
		f.Fatal(err)
	}
	issuer := to.Issuer(f, core.WithClock(func() time.Time { return fixedNow }))
	f.Fuzz(func(t *testing.T, field, body string, mode uint8) {
		policy := to.Policy()
		policy.MinLevel = core.L1
		v, err := core.NewVerifier(from, policy, core.WithClock(func() time.Time { return fixedNow }))
		if err != nil {
			t.Fatal(err)
		}
		s, err := core.NewService(v, issuer, audiences)
		if err != nil {
			t.Fatal(err)
		}
		called := false
		h := httpect.Middleware(s, httpect.WithMode(httpect.Mode(mode%3)))(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				called = true
				if r.Header[httpect.FieldName] != nil {
					t.Error("the handler sees the field")
				}
				w.Write([]byte("done")) //nolint:errcheck // in memory
			}))
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		req.Header[httpect.FieldName] = strings.Split(field, "\n")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		header := w.Result().Header
		switch w.Code {
		case http.StatusOK:
			if !called {
				t.Error("200 and no handler")
			}
		case http.StatusBadRequest, http.StatusForbidden, http.StatusRequestHeaderFieldsTooLarge:
			if len(header[httpect.FieldName]) > 0 {
				t.Error("a refusal carries a token")
			}
			if httpect.Mode(mode%3) == httpect.Observe {
				t.Errorf("status = %d where nothing is refused", w.Code)
			}
		default:
			t.Errorf("status = %d, %s", w.Code, w.Body)
		}
		if n := hasVary(header); n != 1 {
			t.Errorf("Vary names the field %d times", n)
		}
		for _, token := range header[httpect.FieldName] {
			if _, err := core.ParseWithoutVerification(token); err != nil {
				t.Errorf("the answer: %v", err)
			}
		}
	})
}
