// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
)

// BadToken is one way in which a token can be wrong.
type BadToken struct {
	// Name says what is wrong.
	Name string
	// Code is what a verifier must answer under [Agent.Policy].
	Code core.Code
	// Mint makes such a token from an agent of the domain to an audience.
	Mint func(tb testing.TB, d *Domain, from *Agent, to string) string
}

// spoiled makes a bad token of a good one.
func spoiled(name string, code core.Code, spoil func(*Token)) BadToken {
	return BadToken{name, code, func(tb testing.TB, _ *Domain, from *Agent, to string) string {
		tb.Helper()
		t := from.Token(to)
		spoil(t)
		return t.Sign(tb)
	}}
}

// mangled makes a bad token of the text of a good one.
func mangled(name string, code core.Code, mangle func(head, payload, sig string) string) BadToken {
	return BadToken{name, code, func(tb testing.TB, _ *Domain, from *Agent, to string) string {
		tb.Helper()
		parts := strings.Split(from.Token(to).Sign(tb), ".")
		return mangle(parts[0], parts[1], parts[2])
	}}
}

// BadTokens returns every kind of bad token. None of them needs another token to be
// bad, and each is refused for the one thing that is wrong with it.
func BadTokens() []BadToken {
	all := badEnvelopes()
	all = append(all, badHeaders()...)
	all = append(all, badJSON()...)
	all = append(all, badClaims()...)
	all = append(all, badExtensions()...)
	return append(all, badTrust()...)
}

func badEnvelopes() []BadToken {
	return []BadToken{
		mangled("one dot", core.CodeMalformed, func(h, p, _ string) string { return h + "." + p }),
		mangled("three dots", core.CodeMalformed, func(h, p, s string) string { return h + "." + p + "." + s + "." }),
		mangled("empty header", core.CodeMalformed, func(_, p, s string) string { return "." + p + "." + s }),
		mangled("empty payload", core.CodeMalformed, func(h, _, s string) string { return h + ".." + s }),
		mangled("padding", core.CodeMalformed, func(h, p, s string) string { return h + "." + p + "." + s + "==" }),
		mangled("space inside", core.CodeMalformed, func(h, p, s string) string { return h + ". " + p + "." + s }),
		mangled("newline inside", core.CodeMalformed, func(h, p, s string) string { return h + "." + p + ".\n" + s }),
		mangled("base64 of the standard alphabet", core.CodeMalformed, func(h, p, s string) string { return h + "." + p + ".+/" + s[2:] }),
		mangled("stray bits in the signature", core.CodeMalformed, func(h, p, s string) string { return h + "." + p + "." + stray(s) }),
		{"stray bits in the header", core.CodeMalformed, strayPart(0)},
		{"stray bits in the payload", core.CodeMalformed, strayPart(1)},
		mangled("too long", core.CodeTooLarge, func(h, p, s string) string {
			return h + "." + p + "." + s + strings.Repeat("A", core.DefaultTokenBytes)
		}),
		mangled("JSON for a token", core.CodeMalformed, func(_, p, _ string) string {
			b, _ := base64.RawURLEncoding.DecodeString(p)
			return string(b)
		}),
		mangled("array at L1", core.CodeMalformed, func(_, _, _ string) string { return B64("[]") }),
	}
}

// strayPart spoils a part of the envelope, padded with white space until its text ends
// in bits that stand for nothing.
func strayPart(part int) func(testing.TB, *Domain, *Agent, string) string {
	return func(tb testing.TB, _ *Domain, from *Agent, to string) string {
		tb.Helper()
		t := from.Token(to)
		text := []string{object(tb, t.Header), t.Payload(tb)}
		for len(text[part])%3 == 0 {
			text[part] += " "
		}
		in := []string{B64(text[0]), B64(text[1])}
		in[part] = stray(in[part])
		input := in[0] + "." + in[1]
		return input + "." + base64.RawURLEncoding.EncodeToString(Sign(tb, t.Key, t.Algorithm, input))
	}
}

// stray sets the last of the bits at the end of a base64url text that stand for nothing.
func stray(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[last|1])
}

func badHeaders() []BadToken {
	all := []BadToken{
		spoiled("alg none", core.CodeAlgorithm, func(t *Token) { t.Head("alg", "none") }),
		spoiled("alg of another case", core.CodeAlgorithm, func(t *Token) { t.Head("alg", "es256") }),
		spoiled("alg missing", core.CodeAlgorithm, func(t *Token) { delete(t.Header, "alg") }),
		spoiled("alg not a text", core.CodeAlgorithm, func(t *Token) { t.Head("alg", 256) }),
		{"none without a signature", core.CodeAlgorithm, func(tb testing.TB, _ *Domain, from *Agent, to string) string {
			tb.Helper()
			return from.Token(to).Head("alg", "none").SigningInput(tb) + "."
		}},
		{"HS256 under the public key", core.CodeAlgorithm, func(tb testing.TB, _ *Domain, from *Agent, to string) string {
			tb.Helper()
			in := from.Token(to).Head("alg", "HS256").SigningInput(tb)
			der, err := x509.MarshalPKIXPublicKey(from.Key.Public())
			if err != nil {
				tb.Fatalf("public key: %v", err)
			}
			mac := hmac.New(sha256.New, der)
			mac.Write([]byte(in))
			return in + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		}},
		{"ES256 with a P-384 key", core.CodeAlgorithm, func(tb testing.TB, d *Domain, _ *Agent, to string) string {
			tb.Helper()
			t := d.AgentWithAlgorithm(tb, "p384", core.ES384).Token(to).Head("alg", "ES256")
			t.Algorithm = core.ES256
			return t.Sign(tb)
		}},
		spoiled("typ missing", core.CodeType, func(t *Token) { delete(t.Header, "typ") }),
		spoiled("typ not a text", core.CodeType, func(t *Token) { t.Head("typ", true) }),
		spoiled("kid missing", core.CodeHeader, func(t *Token) { delete(t.Header, "kid") }),
		spoiled("kid empty", core.CodeHeader, func(t *Token) { t.Head("kid", "") }),
		spoiled("kid not a text", core.CodeHeader, func(t *Token) { t.Head("kid", 1) }),
		spoiled("x5c empty", core.CodeHeader, func(t *Token) { t.Head("x5c", []string{}) }),
		spoiled("x5c not certificates", core.CodeHeader, func(t *Token) { t.Head("x5c", []string{"AAAA"}) }),
	}
	for _, typ := range []string{"JWT", "act+jwt", "wit+jwt", "wpt+jwt", "exec+jwt ", "application/application/exec+jwt", "exec\u212a+jwt"} {
		all = append(all, spoiled("typ "+typ, core.CodeType, func(t *Token) { t.Head("typ", typ) }))
	}
	for name, value := range map[string]any{
		"crit": []string{"exp"}, "b64": true, "jku": "https://test.example/keys",
		"x5u": "https://test.example/cert", "jwk": map[string]string{"kty": "EC"}, "zip": "DEF",
	} {
		all = append(all, spoiled("header "+name, core.CodeHeader, func(t *Token) { t.Head(name, value) }))
	}
	return all
}

func badJSON() []BadToken {
	raw := func(name string, edit func(payload string) string) BadToken {
		return BadToken{name, core.CodeMalformed, func(tb testing.TB, _ *Domain, from *Agent, to string) string {
			tb.Helper()
			t := from.Token(to)
			t.RawPayload = edit(t.Payload(tb))
			return t.Sign(tb)
		}}
	}
	member := func(m string) func(string) string {
		return func(p string) string { return "{" + m + "," + p[1:] }
	}
	all := []BadToken{
		raw("payload not JSON", func(p string) string { return p[:len(p)-1] }),
		raw("payload an array", func(p string) string { return "[" + p + "]" }),
		raw("something after the payload", func(p string) string { return p + "{}" }),
		raw("a duplicate claim", member(`"exec_act":"other"`)),
		raw("a duplicate claim, its name escaped", member(`"exec\u005fact":"other"`)),
		raw("a duplicate of an unknown claim", member(`"x":1,"x":1`)),
		raw("a duplicate deep inside", member(`"x":[{"y":{"z":1,"z":2}}]`)),
		raw("invalid UTF-8", member("\"x\":\"\xff\"")),
		raw("a lone surrogate", member(`"x":"\ud800"`)),
		raw("a control character in a text", member("\"x\":\"\n\"")),
		raw("a number out of range", member(`"x":1e999`)),
		raw("a leading zero", member(`"x":01`)),
		raw("nested too deep", member(`"x":`+strings.Repeat("[", 16)+strings.Repeat("]", 16))),
		spoiled("header nested too deep", core.CodeMalformed, func(t *Token) {
			t.Head("x", json.RawMessage(strings.Repeat("[", 16)+strings.Repeat("]", 16)))
		}),
		{"a duplicate header parameter", core.CodeMalformed, func(tb testing.TB, _ *Domain, from *Agent, to string) string {
			tb.Helper()
			t := from.Token(to)
			t.RawHeader = `{"alg":"ES256",` + object(tb, t.Header)[1:]
			return t.Sign(tb)
		}},
	}
	for _, claim := range []string{"iat", "exp"} {
		for _, date := range []string{`"1700000000"`, `1.7e9`, `-1`, `-0`, `9007199254740992`, `null`, `true`, `[]`, `{}`} {
			all = append(all, spoiled(claim+" "+date, core.CodeMalformed, func(t *Token) { t.With(claim, json.RawMessage(date)) }))
		}
	}
	return all
}

func badClaims() []BadToken {
	all := []BadToken{}
	for _, c := range []string{"iss", "aud", "iat", "exp", "jti", "exec_act", "pred"} {
		all = append(all, spoiled(c+" missing", core.CodeClaims, func(t *Token) { t.Without(c) }))
	}
	wrong := map[string][]any{
		"iss":      {1, nil, true, []string{"x"}, map[string]int{}, "", "no uri", "relative/path", "http:", "urn:with space"},
		"aud":      {1, nil, true, map[string]int{}, "", []any{}, []any{1}, []any{""}, []any{[]string{"x"}}},
		"jti":      {1, nil, true, []string{"x"}, map[string]int{}, "", "550e8400e29b41d4a716446655440000", "{550e8400-e29b-41d4-a716-446655440000}", "urn:uuid:550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-44665544000g"},
		"wid":      {1, nil, true, []string{"x"}, map[string]int{}, "", "workflow"},
		"exec_act": {1, nil, true, []string{"x"}, map[string]int{}, "", strings.Repeat("a", core.MaxActionBytes+1), "a\nb", "a\u0085b", "a\u2028b", "a\u2029b", "a\u202eb", "a\u2066b"},
		"pred":     {1, nil, true, "550e8400-e29b-41d4-a716-446655440000", map[string]int{}, []any{1}, []any{nil}, []any{"x"}, ids(core.MaxPred + 1), []string{numbered(1), numbered(1)}, []string{numbered(0xab), strings.ToUpper(numbered(0xab))}},
		"inp_hash": {1, nil, true, []string{"x"}, map[string]int{}, "", "abc", "sha-256:" + hash, hash + "="},
		"out_hash": {1, nil, true, []string{"x"}, map[string]int{}, "", "abc", "sha-256:" + hash, hash + "A"},
	}
	for claim, values := range wrong {
		for n, v := range values {
			all = append(all, spoiled(fmt.Sprintf("%s wrong, %d", claim, n), core.CodeClaims, func(t *Token) { t.With(claim, v) }))
		}
	}
	return append(all,
		spoiled("pred names its own jti", core.CodeClaims, func(t *Token) { t.With("jti", numbered(7)).With("pred", []string{numbered(7)}) }),
		spoiled("pred and par", core.CodeClaims, func(t *Token) { t.With("par", []string{}) }),
		spoiled("ect_ext and ext", core.CodeClaims, func(t *Token) { t.With("ext", map[string]int{}).With("ect_ext", map[string]int{}) }),
		spoiled("exp at iat", core.CodeClaims, func(t *Token) { t.With("exp", t.Claims["iat"]) }),
		spoiled("exp over 24 h after iat", core.CodeClaims, func(t *Token) { t.With("exp", time.Now().Add(24*time.Hour+2*time.Second).Unix()) }),
		spoiled("a hash that is not canonical", core.CodeMalformed, func(t *Token) { t.With("inp_hash", stray(hash)) }),
	)
}

// hash is a SHA-256 in base64url.
const hash = "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg"

// numbered returns a UUID that ends in a number.
func numbered(n int) string { return fmt.Sprintf("550e8400-e29b-41d4-a716-%012x", n) }

func ids(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = numbered(i)
	}
	return all
}

func badExtensions() []BadToken {
	ext := func(name string, code core.Code, value string) BadToken {
		return spoiled(name, code, func(t *Token) { t.With("ect_ext", json.RawMessage(value)) })
	}
	padded := func(total int) string {
		return `{"x":"` + strings.Repeat("a", total-len(`{"x":""}`)) + `"}`
	}
	return []BadToken{
		ext("ect_ext null", core.CodeClaims, `null`),
		ext("ect_ext a text", core.CodeClaims, `"x"`),
		ext("ect_ext an array", core.CodeClaims, `[]`),
		ext("ect_ext too long", core.CodeClaims, padded(core.MaxExtBytes+1)),
		ext("ect_ext nested too deep", core.CodeClaims, `{"a":[[[[[]]]]]}`),
		ext("ect_ext nested too deep under a member of the profile", core.CodeClaims, `{"trace":[[[[[]]]]]}`),
		ext("pol alone", core.CodeClaims, `{"pol":"p"}`),
		ext("pol_decision alone", core.CodeClaims, `{"pol_decision":"approved"}`),
		ext("pol not a text", core.CodeClaims, `{"pol":1,"pol_decision":"approved"}`),
		ext("pol_decision not a decision", core.CodeClaims, `{"pol":"p","pol_decision":"maybe"}`),
		ext("pol_decision null", core.CodeClaims, `{"pol":"p","pol_decision":null}`),
		ext("pred_dig not an array", core.CodeClaims, `{"pred_dig":"x"}`),
		ext("pred_dig longer than pred", core.CodeClaims, `{"pred_dig":["AAAAAAAAAAAAAAAAAAAAAA"]}`),
		ext("pred_dig of the wrong length", core.CodeClaims, `{"pred_dig":["AAAA"]}`),
		ext("pred_dig not canonical", core.CodeMalformed, `{"pred_dig":["AAAAAAAAAAAAAAAAAAAAAB"]}`),
		ext("a duplicate in ect_ext", core.CodeMalformed, `{"a":1,"a":2}`),
	}
}

func badTrust() []BadToken {
	stranger := &Agent{Identity: "spiffe://elsewhere.example/stranger", KeyID: "stranger-key", Algorithm: core.ES256}
	now := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	return []BadToken{
		{"an unknown issuer", core.CodeKeyUnknown, func(tb testing.TB, _ *Domain, _ *Agent, to string) string {
			tb.Helper()
			s := *stranger
			s.Key = NewKey(tb, core.ES256)
			return s.Token(to).Sign(tb)
		}},
		spoiled("an unknown kid", core.CodeKeyUnknown, func(t *Token) { t.Head("kid", "another") }),
		{"another's name", core.CodeKeyUnknown, func(tb testing.TB, d *Domain, from *Agent, to string) string {
			tb.Helper()
			return from.Token(to).With("iss", d.Agent(tb, "victim").Identity).Sign(tb)
		}},
		{"another's name and kid", core.CodeSignature, func(tb testing.TB, d *Domain, from *Agent, to string) string {
			tb.Helper()
			v := d.Agent(tb, "victim")
			return from.Token(to).With("iss", v.Identity).Head("kid", v.KeyID).Sign(tb)
		}},
		{"another key", core.CodeSignature, func(tb testing.TB, _ *Domain, from *Agent, to string) string {
			tb.Helper()
			t := from.Token(to)
			t.Key = NewKey(tb, from.Algorithm)
			return t.Sign(tb)
		}},
		mangled("no signature", core.CodeSignature, func(h, p, _ string) string { return h + "." + p + "." }),
		mangled("a signature of zeros", core.CodeSignature, func(h, p, s string) string { return h + "." + p + "." + strings.Repeat("A", len(s)) }),
		mangled("a signature too long", core.CodeSignature, func(h, p, s string) string { return h + "." + p + "." + s[:84] + strings.Repeat("A", 48) }),
		{"an unsigned token", core.CodeLevel, func(tb testing.TB, _ *Domain, from *Agent, to string) string {
			tb.Helper()
			return from.Token(to).Unsigned(tb)
		}},
		spoiled("another audience", core.CodeAudience, func(t *Token) { t.With("aud", Name+"/elsewhere") }),
		spoiled("an audience of another case", core.CodeAudience, func(t *Token) { t.With("aud", strings.ToUpper(Name)) }),
		spoiled("expired", core.CodeExpired, func(t *Token) { t.With("iat", now(-10*time.Minute)).With("exp", now(-32*time.Second)) }),
		spoiled("too old", core.CodeTooOld, func(t *Token) { t.With("iat", now(-15*time.Minute-2*time.Second)).With("exp", now(time.Hour)) }),
		spoiled("from the future", core.CodeNotYetValid, func(t *Token) { t.With("iat", now(33*time.Second)) }),
		spoiled("a predecessor nobody saw", core.CodePredMissing, func(t *Token) { t.With("pred", []string{numbered(9)}) }),
		spoiled("nothing but a notice", core.CodeNoHead, func(t *Token) { t.With("exec_act", noticeAction) }),
	}
}
