// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

// padded returns a good token of exactly that many bytes.
func (s *scene) padded(t *testing.T, size int, signed bool) string {
	t.Helper()
	tok := s.token()
	for pad := range 3 { // of a header; some lengths no base64url text has
		tok.Head("x", strings.Repeat("h", pad))
		tok.With("x", "")
		over := size - len(written(t, tok, signed))
		for n := over * 3 / 4; n <= over*3/4+3; n++ {
			if text := written(t, tok.With("x", strings.Repeat("p", max(n, 0))), signed); len(text) == size {
				return text
			}
		}
	}
	t.Fatalf("no token has %d bytes", size)
	return ""
}

func TestTokenBytes(t *testing.T) {
	s := newScene(t)
	v := verifier(t, s.Domain, s.loose())
	for _, tt := range []struct {
		size   int
		signed bool
		code   core.Code
	}{
		{8190, true, 0}, {8191, true, 0}, {8192, true, 0}, {8193, true, core.CodeTooLarge}, {8194, true, core.CodeTooLarge},
		{8191, false, 0}, {8192, false, 0}, {8194, false, core.CodeTooLarge},
	} {
		text := s.padded(t, tt.size, tt.signed)
		if got := codeOf(t, v, text); got != tt.code {
			t.Errorf("Verify of %d bytes, signed %t = code %v, want %v", tt.size, tt.signed, got, tt.code)
		}
		if got := codeOf(t, v, " \t"+text+"\t "); got != tt.code { // white space is no part of a token
			t.Errorf("Verify of %d bytes and white space = code %v, want %v", tt.size, got, tt.code)
		}
		if _, err := core.ParseWithoutVerification(text); core.CodeOf(err) != tt.code {
			t.Errorf("ParseWithoutVerification of %d bytes = %v, want code %v", tt.size, err, tt.code)
		}
	}
	// The limit comes first, whatever the text (profile 2.5).
	wantCode(t, v, core.CodeTooLarge, strings.Repeat("%", 8193))
	wantCode(t, v, core.CodeMalformed, strings.Repeat("%", 8192))
}

func TestTokensPerMessage(t *testing.T) {
	s := newScene(t)
	many := []string{}
	for range 17 {
		many = append(many, s.token().Sign(t))
	}
	for _, n := range []int{1, 15, 16} {
		if r := wantAccepted(t, verifier(t, s.Domain, s.policy), many[:n]...); len(r.Heads()) != n {
			t.Errorf("Verify of %d tokens gives %d heads", n, len(r.Heads()))
		}
		wantAccepted(t, verifier(t, s.Domain, s.policy), strings.Join(many[:n], ","))
		wantAccepted(t, verifier(t, s.Domain, s.policy), ",, "+strings.Join(many[:n], " , ,\t")+" ,")
	}
	wantCode(t, verifier(t, s.Domain, s.policy), core.CodeTooLarge, many...)
	wantCode(t, verifier(t, s.Domain, s.policy), core.CodeTooLarge, strings.Join(many, ","))
	same := make([]string, 17)
	for i := range same {
		same[i] = many[0]
	}
	wantCode(t, verifier(t, s.Domain, s.policy), core.CodeTooLarge, same...) // counted before they are compared
}

func TestTotalBytes(t *testing.T) {
	s := newScene(t)
	four := []string{s.padded(t, 8192, true), s.padded(t, 8192, true), s.padded(t, 8192, true), s.padded(t, 8192, true)}
	for _, tt := range []struct {
		name   string
		values []string
		code   core.Code
	}{
		{"at the limit", four, 0},
		{"a space over", append(four[:3:3], four[3]+" "), core.CodeTooLarge},
		{"a comma over", append(four[:3:3], ","+four[3]), core.CodeTooLarge},
		{"joined", []string{strings.Join(four, ",")}, core.CodeTooLarge},
		{"white space alone", []string{strings.Repeat(" ", 32<<10)}, core.CodeRequired},
		{"white space alone, over", []string{strings.Repeat(" ", 32<<10+1)}, core.CodeTooLarge},
		{"commas alone", []string{strings.Repeat(",", 32<<10)}, core.CodeRequired},
		{"empty values", make([]string, 1000), core.CodeRequired},
		{"nothing", nil, core.CodeRequired},
	} {
		if got := codeOf(t, verifier(t, s.Domain, s.policy), tt.values...); got != tt.code {
			t.Errorf("Verify of %s = code %v, want %v", tt.name, got, tt.code)
		}
	}
}

func TestPolicyLimits(t *testing.T) {
	s := newScene(t)
	a, b := s.token().Sign(t), s.token().Sign(t)
	if len(a) != len(b) {
		t.Fatalf("tokens of %d and %d bytes", len(a), len(b))
	}
	n := len(a)
	for _, tt := range []struct {
		limits core.Limits
		values []string
		code   core.Code
	}{
		{core.Limits{TokenBytes: n}, []string{a}, 0},
		{core.Limits{TokenBytes: n - 1}, []string{a}, core.CodeTooLarge},
		{core.Limits{TokenBytes: n + 1}, []string{" " + a + " "}, 0},
		{core.Limits{Tokens: 1}, []string{a}, 0},
		{core.Limits{Tokens: 1}, []string{a, b}, core.CodeTooLarge},
		{core.Limits{Tokens: 2}, []string{a, b}, 0},
		{core.Limits{TotalBytes: 2 * n}, []string{a, b}, 0},
		{core.Limits{TotalBytes: 2 * n}, []string{a + "," + b}, core.CodeTooLarge},
		{core.Limits{TotalBytes: 2*n + 1}, []string{a + "," + b}, 0},
		{core.Limits{TotalBytes: 2*n - 1}, []string{a, b}, core.CodeTooLarge},
		{core.Limits{TokenBytes: 20000, TotalBytes: 20000}, []string{s.padded(t, 20000, true)}, 0},
	} {
		p := s.policy
		p.Limits = tt.limits
		if got := codeOf(t, verifier(t, s.Domain, p), tt.values...); got != tt.code {
			t.Errorf("Verify under %+v = code %v, want %v", tt.limits, got, tt.code)
		}
	}
	for _, l := range []core.Limits{
		{TokenBytes: -1}, {Tokens: -1}, {TotalBytes: -1}, {Tokens: core.MaxTokens + 1},
	} {
		p := s.policy
		p.Limits = l
		if v, err := core.NewVerifier(s, p); err == nil || v != nil || !strings.Contains(err.Error(), "Limits.") {
			t.Errorf("NewVerifier with %+v = %v, %v, want an error that names the limit", l, v, err)
		}
	}
	p := s.policy
	p.Limits = core.Limits{Tokens: core.MaxTokens, TotalBytes: 1 << 20}
	many := []string{}
	for range core.MaxTokens {
		many = append(many, s.token().Sign(t))
	}
	wantAccepted(t, verifier(t, s.Domain, p), many...)
	wantCode(t, verifier(t, s.Domain, p), core.CodeTooLarge, append(many, a)...)
}

// TestClaimLimits holds each claim's limits at, one under and one over.
func TestClaimLimits(t *testing.T) {
	s := newScene(t)
	ext := func(size int, spaces string) string {
		head, tail := `{`+spaces+`"x"`+spaces+`:"`, `"`+spaces+`}`
		return head + strings.Repeat("a", size-len(head)-len(tail)) + tail
	}
	nest := func(depth int, open, end string) string {
		return strings.Repeat(open, depth) + strings.Repeat(end, depth)
	}
	for _, tt := range []struct {
		name, claim string
		value       any
		code        core.Code
	}{
		{"255 bytes", "exec_act", strings.Repeat("a", 255), 0},
		{"256 bytes", "exec_act", strings.Repeat("a", 256), 0},
		{"256 bytes of two each", "exec_act", strings.Repeat("\u00e9", 128), 0},
		{"256 bytes, escaped", "exec_act", raw(`"` + strings.Repeat(`\u00e9`, 128) + `"`), 0},
		{"257 bytes", "exec_act", strings.Repeat("a", 257), core.CodeClaims},
		{"258 bytes of two each", "exec_act", strings.Repeat("\u00e9", 129), core.CodeClaims},
		{"99", "pred", numbers(99), 0},
		{"100", "pred", numbers(100), 0},
		{"101", "pred", numbers(101), core.CodeClaims},
		{"101 of them equal", "pred", append(numbers(100), number(1)), core.CodeClaims},
		{"4095 bytes", "ect_ext", raw(ext(4095, "")), 0},
		{"4096 bytes", "ect_ext", raw(ext(4096, "")), 0},
		{"4097 bytes", "ect_ext", raw(ext(4097, "")), core.CodeClaims},
		{"4096 bytes with white space", "ect_ext", raw(ext(4096, " \n\t\r")), 0},
		{"4097 bytes with white space", "ect_ext", raw(ext(4097, " \n\t\r")), core.CodeClaims},
		{"4096 bytes with white space around", "ect_ext", raw(" \n" + ext(4096, "") + "\t "), 0},
		{"4096 bytes under the old name", "ext", raw(ext(4096, "")), 0},
		{"4097 bytes under the old name", "ext", raw(ext(4097, "")), core.CodeClaims},
		{"depth 5", "ect_ext", raw(`{"x":` + nest(4, "[", "]") + `}`), 0},
		{"depth 6", "ect_ext", raw(`{"x":` + nest(5, "[", "]") + `}`), core.CodeClaims},
		{"depth 5 of objects", "ect_ext", raw(`{"x":{"x":{"x":{"x":{}}}}}`), 0},
		{"depth 6 of objects", "ect_ext", raw(`{"x":{"x":{"x":{"x":{"x":{}}}}}}`), core.CodeClaims},
		{"depth 5 in a member of another type", "ect_ext", raw(`{"status":` + nest(4, "[", "]") + `}`), 0},
		{"depth 6 in a member of another type", "ect_ext", raw(`{"status":` + nest(5, "[", "]") + `}`), core.CodeClaims},
		{"depth 6 before a shallow member", "ect_ext", raw(`{"x":` + nest(5, "[", "]") + `,"y":1}`), core.CodeClaims},
		{"depth 16 in all", "ect_ext", raw(`{"x":` + nest(14, "[", "]") + `}`), core.CodeClaims},
		{"depth 17 in all", "ect_ext", raw(`{"x":` + nest(15, "[", "]") + `}`), core.CodeMalformed},
		{"depth 15", "x", raw(nest(14, "[", "]")), 0},
		{"depth 16", "x", raw(nest(15, "[", "]")), 0},
		{"depth 17", "x", raw(nest(16, "[", "]")), core.CodeMalformed},
		{"depth 16 of objects", "x", raw(nest(14, `{"x":`, "}")[:14*5] + "{}" + strings.Repeat("}", 14)), 0},
		{"depth 17 of objects", "x", raw(strings.Repeat(`{"x":`, 15) + "{}" + strings.Repeat("}", 15)), core.CodeMalformed},
		{"depth 17 in a claim of another type", "iss", raw(nest(16, "[", "]")), core.CodeMalformed},
		{"depth 16 in a claim of another type", "iss", raw(nest(15, "[", "]")), core.CodeClaims},
		{"a scalar number out of range", "x", raw(`1e400`), core.CodeMalformed},
		{"the largest double", "x", raw(`1.7976931348623157e308`), 0},
		{"the smallest double", "x", raw(`5e-324`), 0},
	} {
		for _, signed := range []bool{true, false} {
			text := written(t, s.token().With(tt.claim, tt.value), signed)
			if got := codeOf(t, verifier(t, s.Domain, s.loose()), text); got != tt.code {
				t.Errorf("Verify with %s of %s, signed %t = code %v, want %v", tt.claim, tt.name, signed, got, tt.code)
			}
		}
	}
	for depth, want := range map[int]core.Code{15: 0, 16: 0, 17: core.CodeMalformed} {
		wantHead := s.token().Head("x", raw(nest(depth-1, "[", "]"))).Sign(t)
		if got := codeOf(t, verifier(t, s.Domain, s.policy), wantHead); got != want {
			t.Errorf("Verify with a header of depth %d = code %v, want %v", depth, got, want)
		}
	}
}

// TestActionText holds exec_act against every character that it must not have, and the
// ones beside them (profile 3).
func TestActionText(t *testing.T) {
	s := newScene(t)
	bad := func(r rune) bool {
		return r < 0x20 || r >= 0x80 && r <= 0x9f || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}
	v := verifier(t, s.Domain, s.loose())
	issuer := s.from.Issuer(t)
	for r := rune(0); r <= 0x2070; r++ {
		if r > 0x110 && r < 0x2020 {
			continue
		}
		action := "a" + string(r) + "b"
		want := core.Code(0)
		if bad(r) {
			want = core.CodeClaims
		}
		if got := codeOf(t, v, s.token().With("exec_act", action).Unsigned(t)); got != want {
			t.Errorf("Verify with exec_act %q = code %v, want %v", action, got, want)
		}
		_, err := issuer.Issue(t.Context(), core.IssueRequest{Audience: []string{"urn:x:y"}, Action: action})
		if (err != nil) != bad(r) {
			t.Errorf("Issue with action %q = %v", action, err)
		}
	}
}

// TestDates holds the forms and the ends of NumericDate (profile 2.6), by a clock that
// stands where the date is.
func TestDates(t *testing.T) {
	s := newScene(t)
	const last = 1<<53 - 1
	for _, tt := range []struct {
		iat, exp string
		now      int64
		code     core.Code
	}{
		{"0", "600", 0, 0},
		{"0.0", "600.0", 0, 0},
		{"0.999999999999999999999", "1", 0, 0},
		{"0", "0.999", 0, core.CodeClaims}, // the fraction is dropped: not later
		{"1.9", "2.0", 1, 0},
		{"1.9", "1.99", 1, core.CodeClaims},
		{"9007199254740391", "9007199254740991", last - 600, 0},
		{"9007199254740391", "9007199254740991.9999", last - 600, 0},
		{"9007199254740990", "9007199254740991", last, 0},
		{"9007199254740991", "9007199254740991", last, core.CodeClaims},
		{"9007199254740391", "9007199254740992", last - 600, core.CodeMalformed},
		{"9007199254740391", "9007199254740992.0", last - 600, core.CodeMalformed},
		{"9007199254740391", "18446744073709551616", last - 600, core.CodeMalformed},
		{"9007199254740391", "18446744073709552216", last - 600, core.CodeMalformed}, // 600 more than 2^64
		{"9007199254740391", "9223372036854775807", last - 600, core.CodeMalformed},
		{"9007199254740992", "9007199254740993", last, core.CodeMalformed},
		{"-0", "600", 0, core.CodeMalformed},
		{"-0.0", "600", 0, core.CodeMalformed},
		{"-1", "600", 0, core.CodeMalformed},
		{"0", "6e2", 0, core.CodeMalformed},
		{"0", "600e0", 0, core.CodeMalformed},
		{"0", "600E0", 0, core.CodeMalformed},
		{"0", "600.0e0", 0, core.CodeMalformed},
		{"0e0", "600", 0, core.CodeMalformed},
		{"0", "600.", 0, core.CodeMalformed},
		{"0", ".5", 0, core.CodeMalformed},
		{"0", "+600", 0, core.CodeMalformed},
		{"00", "600", 0, core.CodeMalformed},
		{"0", "0600", 0, core.CodeMalformed},
		{"0", "0x258", 0, core.CodeMalformed},
		{"0", `"600"`, 0, core.CodeMalformed},
		{"0", "NaN", 0, core.CodeMalformed},
		{"0", "Infinity", 0, core.CodeMalformed},
		{"0", "600 ", 0, 0}, // white space is no part of a number
		{"0", "600." + strings.Repeat("0", 1000), 0, 0},
		{"0", "1" + strings.Repeat("0", 400), 0, core.CodeMalformed},
	} {
		now := func() time.Time { return time.Unix(tt.now, 0) }
		for _, signed := range []bool{true, false} {
			text := written(t, s.token().With("iat", raw(tt.iat)).With("exp", raw(tt.exp)), signed)
			p := s.policy
			p.MinLevel = core.L1
			if got := codeOf(t, verifier(t, s.Domain, p, core.WithClock(now)), text); got != tt.code {
				t.Errorf("Verify with iat %s and exp %s, signed %t = code %v, want %v", tt.iat, tt.exp, signed, got, tt.code)
			}
		}
	}
}

func TestLifetimes(t *testing.T) {
	s := newScene(t)
	at := time.Now()
	day := int64(24 * 60 * 60)
	for _, tt := range []struct {
		max      *time.Duration
		lifetime int64
		code     core.Code
	}{
		{nil, day - 1, 0}, {nil, day, 0}, {nil, day + 1, core.CodeClaims},
		{nil, 1, 0}, {nil, 0, core.CodeClaims}, {nil, -1, core.CodeClaims},
		{nil, 1<<53 - 1 - at.Unix(), core.CodeClaims},
		{new(time.Minute), 60, 0}, {new(time.Minute), 61, core.CodeClaims},
		{new(48 * time.Hour), 2 * day, 0}, {new(48 * time.Hour), 2*day + 1, core.CodeClaims},
		{new(time.Duration(0)), 1, core.CodeClaims},
		{new(time.Duration(1<<63 - 1).Truncate(time.Second)), 1<<53 - 1 - at.Unix(), core.CodeClaims},
	} {
		p := s.policy
		p.MaxLifetime = tt.max
		text := s.from.TokenAt(s.to.Identity, at).With("exp", at.Unix()+tt.lifetime).Sign(t)
		if got := codeOf(t, verifier(t, s.Domain, p, core.WithClock(func() time.Time { return at })), text); got != tt.code {
			t.Errorf("Verify with %d seconds from iat to exp, at most %v = code %v, want %v", tt.lifetime, tt.max, got, tt.code)
		}
	}
}

// TestIssuerLength holds the longest iss, as verifier and as issuer.
func TestIssuerLength(t *testing.T) {
	s := newScene(t)
	for _, size := range []int{2047, 2048, 2049} {
		a := s.Agent(t, strings.Repeat("n", size-len(ecttest.Name)-1))
		want := core.Code(0)
		if size > core.MaxURIBytes {
			want = core.CodeClaims
		}
		if got := codeOf(t, verifier(t, s.Domain, s.policy), a.Token(s.to.Identity).Sign(t)); got != want {
			t.Errorf("Verify with an iss of %d bytes = code %v, want %v", size, got, want)
		}
		if _, err := core.NewUnsignedIssuer(a.Identity); (err != nil) != (size > core.MaxURIBytes) {
			t.Errorf("NewUnsignedIssuer with %d bytes = %v", size, err)
		}
	}
}

// TestCertificates holds x5c at its limit, and texts that other decoders let through.
func TestCertificates(t *testing.T) {
	s := newScene(t)
	cert := base64.StdEncoding.EncodeToString(certificate(t, s.from.Key))
	repeat := func(n int) []string {
		all := make([]string, n)
		for i := range all {
			all[i] = cert
		}
		return all
	}
	url := base64.RawURLEncoding.EncodeToString(certificate(t, s.from.Key))
	for _, tt := range []struct {
		name string
		x5c  any
		code core.Code
	}{
		{"one", repeat(1), 0}, {"three", repeat(3), 0}, {"four", repeat(4), 0},
		{"five", repeat(5), core.CodeHeader}, {"none", []string{}, core.CodeHeader}, {"null", nil, core.CodeHeader},
		{"a text", cert, core.CodeHeader},
		{"base64url", []string{url}, core.CodeHeader},
		{"a line break inside", []string{cert[:8] + "\n" + cert[8:]}, core.CodeHeader},
		{"a line break behind", []string{cert + "\r\n"}, core.CodeHeader},
		{"no certificate, and a line break", []string{"AAAA\n"}, core.CodeHeader},
		{"no padding", []string{strings.TrimRight(cert, "=") + "A"}, core.CodeHeader},
		{"a byte behind the certificate", []string{base64.StdEncoding.EncodeToString(append(certificate(t, s.from.Key), 0))}, core.CodeHeader},
		{"one of another type", []any{cert, 1}, core.CodeHeader},
		{"one empty", []string{cert, ""}, core.CodeHeader},
	} {
		if got := codeOf(t, verifier(t, s.Domain, s.policy), s.token().Head("x5c", tt.x5c).Sign(t)); got != tt.code {
			t.Errorf("Verify with x5c, %s = code %v, want %v", tt.name, got, tt.code)
		}
	}
}

func certificate(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<31, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatalf("CreateCertificate: %v", err)
	}
	return der
}
