// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
)

// Token is a token before it is signed. A member's value is JSON, or anything that
// encoding/json can marshal; a nil value of a [json.RawMessage] drops nothing, deleting
// the key does. What a test spoils is signed as it stands.
type Token struct {
	// Header and Claims are written with their members sorted by name.
	Header, Claims map[string]any
	// RawHeader and RawPayload replace them, if not "".
	RawHeader, RawPayload string
	// Key signs; by default the agent's.
	Key crypto.Signer
	// Algorithm decides how Key signs, whatever `alg` says.
	Algorithm core.Algorithm
}

// Token begins a good root token from the agent to an audience, as of now.
func (a *Agent) Token(to string) *Token { return a.TokenAt(to, time.Now()) }

// TokenAt is [Agent.Token] as of another time.
func (a *Agent) TokenAt(to string, at time.Time) *Token {
	return &Token{
		Header: map[string]any{"alg": a.Algorithm.String(), "typ": "exec+jwt", "kid": a.KeyID},
		Claims: map[string]any{
			"iss": a.Identity, "aud": to, "iat": at.Unix(), "exp": at.Add(10 * time.Minute).Unix(),
			"jti": id.NewUUID().String(), "exec_act": "test", "pred": []string{},
		},
		Key: a.Key, Algorithm: a.Algorithm,
	}
}

// After makes the token come after others, their digests included if bound is set. It
// returns the token.
func (t *Token) After(tb testing.TB, bound bool, preds ...string) *Token {
	tb.Helper()
	ids, digests := []string{}, []string{}
	for _, p := range preds {
		u, err := core.ParseWithoutVerification(p)
		if err != nil {
			tb.Fatalf("After: %v", err)
		}
		c := u.ClaimsWithoutVerification()
		ids = append(ids, c.TaskID.String())
		digests = append(digests, u.Digest().Short().String())
		if w := c.Workflow; w.Present {
			t.Claims["wid"] = w.String()
		}
	}
	t.Claims["pred"] = ids
	if bound {
		t.Claims["ect_ext"] = map[string]any{"pred_dig": digests}
	}
	return t
}

// With sets a claim and returns the token.
func (t *Token) With(claim string, value any) *Token {
	t.Claims[claim] = value
	return t
}

// Without drops a claim and returns the token.
func (t *Token) Without(claim string) *Token {
	delete(t.Claims, claim)
	return t
}

// Head sets a header parameter and returns the token.
func (t *Token) Head(name string, value any) *Token {
	t.Header[name] = value
	return t
}

// Payload returns the JSON of the claims.
func (t *Token) Payload(tb testing.TB) string {
	tb.Helper()
	if t.RawPayload != "" {
		return t.RawPayload
	}
	return object(tb, t.Claims)
}

// SigningInput returns the JWS Signing Input.
func (t *Token) SigningInput(tb testing.TB) string {
	tb.Helper()
	h := t.RawHeader
	if h == "" {
		h = object(tb, t.Header)
	}
	return B64(h) + "." + B64(t.Payload(tb))
}

// Sign returns the token as JWS Compact (L2).
func (t *Token) Sign(tb testing.TB) string {
	tb.Helper()
	in := t.SigningInput(tb)
	return in + "." + base64.RawURLEncoding.EncodeToString(Sign(tb, t.Key, t.Algorithm, in))
}

// Unsigned returns the token as base64url JSON (L1).
func (t *Token) Unsigned(tb testing.TB) string {
	tb.Helper()
	return B64(t.Payload(tb))
}

// object writes a JSON object with its members sorted.
func object(tb testing.TB, m map[string]any) string {
	tb.Helper()
	var b strings.Builder
	b.WriteByte('{')
	for n, name := range slices.Sorted(maps.Keys(m)) {
		if n > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			tb.Fatalf("object: %v", err)
		}
		value, ok := m[name].(json.RawMessage) // as it stands, valid or not
		if !ok {
			if value, err = json.Marshal(m[name]); err != nil {
				tb.Fatalf("object: %v", err)
			}
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.String()
}

// B64 returns the base64url text of s, without padding.
func B64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// Sign returns a JWS signature. Whether s of an ECDSA signature is in the low half is
// left to chance.
func Sign(tb testing.TB, key crypto.Signer, alg core.Algorithm, input string) []byte {
	tb.Helper()
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		var sum []byte
		if alg == core.ES384 {
			s := sha512.Sum384([]byte(input))
			sum = s[:]
		} else {
			s := sha256.Sum256([]byte(input))
			sum = s[:]
		}
		r, s, err := ecdsa.Sign(rand.Reader, k, sum)
		if err != nil {
			tb.Fatalf("Sign: %v", err)
		}
		size := (k.Curve.Params().BitSize + 7) / 8
		sig := make([]byte, 2*size)
		r.FillBytes(sig[:size])
		s.FillBytes(sig[size:])
		return sig
	case ed25519.PrivateKey:
		return ed25519.Sign(k, []byte(input))
	}
	tb.Fatalf("Sign: a key of another kind")
	return nil
}

// Twin returns the other spelling of a token signed with ES256: r and n-s in place of r
// and s, which verifies just as well (profile 2.8).
func Twin(tb testing.TB, token string) string {
	tb.Helper()
	dot := strings.LastIndexByte(token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil || len(sig) != 64 {
		tb.Fatalf("Twin: not an ES256 token")
	}
	n := elliptic.P256().Params().N
	new(big.Int).Sub(n, new(big.Int).SetBytes(sig[32:])).FillBytes(sig[32:])
	return token[:dot+1] + base64.RawURLEncoding.EncodeToString(sig)
}

// HighS tells whether s of a token signed with ES256 is in the high half.
func HighS(tb testing.TB, token string) bool {
	tb.Helper()
	sig, err := base64.RawURLEncoding.DecodeString(token[strings.LastIndexByte(token, '.')+1:])
	if err != nil || len(sig) != 64 {
		tb.Fatalf("HighS: not an ES256 token")
	}
	half := new(big.Int).Rsh(elliptic.P256().Params().N, 1)
	return new(big.Int).SetBytes(sig[32:]).Cmp(half) > 0
}
