// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

// values are one or two of each type that JSON has.
var values = []string{
	`null`, `true`, `false`, `0`, `-1`, `1.5`, `1e3`, `""`, `"x"`, `[]`, `[1]`, `[""]`, `["x"]`, `[null]`, `{}`, `{"a":1}`,
}

// claimCodes says with which code each claim with each of the values is refused; a value
// that is not listed has the code under "". Code 0 is acceptance.
var claimCodes = map[string]map[string]core.Code{
	"iss": {"": core.CodeClaims},
	"aud": {"": core.CodeClaims, `"x"`: core.CodeAudience, `["x"]`: core.CodeAudience},
	// A date of another type is malformed (docs/profile.md, where the text left a choice).
	"iat":      {"": core.CodeMalformed, `0`: core.CodeClaims, `1.5`: core.CodeClaims},
	"exp":      {"": core.CodeMalformed, `0`: core.CodeClaims, `1.5`: core.CodeClaims},
	"jti":      {"": core.CodeClaims},
	"wid":      {"": core.CodeClaims},
	"exec_act": {"": core.CodeClaims, `"x"`: 0},
	"pred":     {"": core.CodeClaims, `[]`: 0},
	"par":      {"": core.CodeClaims, `[]`: 0},
	"inp_hash": {"": core.CodeClaims},
	"out_hash": {"": core.CodeClaims},
	"ect_ext":  {"": core.CodeClaims, `{}`: 0, `{"a":1}`: 0},
	"ext":      {"": core.CodeClaims, `{}`: 0, `{"a":1}`: 0},
	// What the profile gives no meaning is ignored, and names have a case (profile 2.6, 3.2).
	"sub": {"": 0}, "nbf": {"": 0}, "unknown": {"": 0}, "": {"": 0}, "ISS": {"": 0}, "Exp": {"": 0}, "Pred": {"": 0},
	"EXT": {"": 0}, "crit": {"": 0}, "alg": {"": 0}, "cnf": {"": 0},
}

// extCodes is the same for the members of ect_ext. Those that decide are refused, the
// rest counts as absent (profile 3.5).
var extCodes = map[string]map[string]core.Code{
	"pol":           {"": core.CodeClaims, `"x"`: 0},
	"pol_decision":  {"": core.CodeClaims},
	"pred_dig":      {"": core.CodeClaims, `[]`: 0},
	"pol_enforcer":  {"": 0},
	"pol_timestamp": {"": 0},
	"outcome":       {"": 0},
	"status":        {"": 0},
	"trace":         {"": 0},
	"boundary":      {"": 0},
	"org.example.x": {"": 0},
	"POL":           {"": 0},
}

// headerCodes is the same for header parameters.
var headerCodes = map[string]map[string]core.Code{
	"alg": {"": core.CodeAlgorithm}, "typ": {"": core.CodeType}, "kid": {"": core.CodeHeader, `"x"`: core.CodeKeyUnknown},
	"x5c":  {"": core.CodeHeader},
	"crit": {"": core.CodeHeader}, "b64": {"": core.CodeHeader}, "jku": {"": core.CodeHeader},
	"x5u": {"": core.CodeHeader}, "jwk": {"": core.CodeHeader}, "zip": {"": core.CodeHeader},
	"cty": {"": 0}, "x5t": {"": 0}, "x5t#S256": {"": 0}, "iat": {"": 0}, "unknown": {"": 0}, "": {"": 0},
	"ALG": {"": 0}, "Kid": {"": 0}, "CRIT": {"": 0},
}

func expected(codes map[string]core.Code, value string) core.Code {
	if c, ok := codes[value]; ok {
		return c
	}
	return codes[""]
}

// written signs a token, or not.
func written(t *testing.T, tok *ecttest.Token, signed bool) string {
	t.Helper()
	if signed {
		return tok.Sign(t)
	}
	return tok.Unsigned(t)
}

// TestClaimTypes gives every claim a value of every type, at both level classes.
func TestClaimTypes(t *testing.T) {
	s := newScene(t)
	for claim, codes := range claimCodes {
		for _, value := range values {
			for _, signed := range []bool{true, false} {
				v := verifier(t, s.Domain, s.loose())
				tok := s.token()
				if claim == "par" {
					tok.Without("pred")
				}
				text := written(t, tok.With(claim, raw(value)), signed)
				if got, want := codeOf(t, v, text), expected(codes, value); got != want {
					t.Errorf("Verify with %s %s, signed %t = code %v, want %v", claim, value, signed, got, want)
				}
			}
		}
	}
}

// TestExtTypes gives every member of ect_ext a value of every type.
func TestExtTypes(t *testing.T) {
	s := newScene(t)
	for member, codes := range extCodes {
		for _, value := range values {
			for _, signed := range []bool{true, false} {
				ext := map[string]any{"pol": "p", "pol_decision": "approved", "org.example.y": 1}
				ext[member] = raw(value)
				text := written(t, s.token().With("ect_ext", ext), signed)
				if got, want := codeOf(t, verifier(t, s.Domain, s.loose()), text), expected(codes, value); got != want {
					t.Errorf("Verify with ect_ext %s %s, signed %t = code %v, want %v", member, value, signed, got, want)
				}
			}
		}
	}
}

// TestExtAbsent holds what members of another type or value count as.
func TestExtAbsent(t *testing.T) {
	s := newScene(t)
	for _, tt := range []struct {
		member, value string
		want          core.Ext
	}{
		{"outcome", `"error"`, core.Ext{Outcome: core.OutcomeError}},
		{"outcome", `"cancelled"`, core.Ext{Outcome: core.OutcomeCancelled}},
		{"outcome", `"ok"`, core.Ext{}},
		{"outcome", `"ERROR"`, core.Ext{}},
		{"outcome", `2`, core.Ext{}},
		{"status", `503`, core.Ext{Status: 503}},
		{"status", `65535`, core.Ext{Status: 65535}},
		{"status", `65536`, core.Ext{}},
		{"status", `-1`, core.Ext{}},
		{"status", `2e2`, core.Ext{}},
		{"status", `200.0`, core.Ext{}},
		{"status", `"200"`, core.Ext{}},
		{"trace", `"00-x"`, core.Ext{Trace: "00-x"}},
		{"trace", `["00-x"]`, core.Ext{}},
		{"boundary", `"b"`, core.Ext{Boundary: "b"}},
		{"boundary", `{"b":"b"}`, core.Ext{}},
		{"pol_enforcer", `"e"`, core.Ext{}},
		{"pol_timestamp", `1`, core.Ext{}},
	} {
		tok := s.token().With("ect_ext", map[string]any{tt.member: raw(tt.value)})
		h := wantAccepted(t, verifier(t, s.Domain, s.policy), tok.Sign(t)).Heads()[0]
		if diff := cmp.Diff(tt.want, h.Claims().Ext, cmp.AllowUnexported(core.Ext{}), ignoreRaw); diff != "" {
			t.Errorf("ect_ext of %s %s (-want +got):\n%s", tt.member, tt.value, diff)
		}
		if got, ok := h.Claims().Ext.Member(tt.member); !ok || string(got) != tt.value {
			t.Errorf("Member(%q) = %s, %t, want %s", tt.member, got, ok, tt.value)
		}
	}
}

// ignoreRaw passes over what [core.Ext.Member] reads.
var ignoreRaw = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".raw" }, cmp.Ignore())

// TestPolicyCheckpointValues holds optional members of a policy checkpoint.
func TestPolicyCheckpointValues(t *testing.T) {
	s := newScene(t)
	for _, tt := range []struct {
		enforcer, timestamp string
		want                core.PolicyCheckpoint
	}{
		{`"e"`, `1700000000`, core.PolicyCheckpoint{Enforcer: "e", Time: time.Unix(1700000000, 0)}},
		{`"e"`, `1700000000.999`, core.PolicyCheckpoint{Enforcer: "e", Time: time.Unix(1700000000, 0)}},
		{`1`, `"1700000000"`, core.PolicyCheckpoint{}},
		{`null`, `1e9`, core.PolicyCheckpoint{}},
		{`[]`, `-1`, core.PolicyCheckpoint{}},
		{`{}`, `9007199254740992`, core.PolicyCheckpoint{}},
	} {
		for _, d := range []core.Decision{core.Approved, core.Rejected, core.PendingHumanReview} {
			tok := s.token().With("ect_ext", map[string]any{
				"pol": "p", "pol_decision": d, "pol_enforcer": raw(tt.enforcer), "pol_timestamp": raw(tt.timestamp),
			})
			tt.want.Policy, tt.want.Decision = "p", d
			got := wantAccepted(t, verifier(t, s.Domain, s.policy), tok.Sign(t)).Heads()[0].Claims().Ext.Policy
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("policy checkpoint of %s, %s (-want +got):\n%s", tt.enforcer, tt.timestamp, diff)
			}
		}
	}
}

// TestHeaderTypes gives every header parameter a value of every type.
func TestHeaderTypes(t *testing.T) {
	s := newScene(t)
	for name, codes := range headerCodes {
		for _, value := range values {
			v := verifier(t, s.Domain, s.policy)
			if got, want := codeOf(t, v, s.token().Head(name, raw(value)).Sign(t)), expected(codes, value); got != want {
				t.Errorf("Verify with header %s %s = code %v, want %v", name, value, got, want)
			}
		}
	}
}

// TestDropped leaves out every claim and every header parameter.
func TestDropped(t *testing.T) {
	s := newScene(t)
	full := s.fullToken(t)
	type key struct {
		claim  string
		signed bool
	}
	want := map[key]core.Code{}
	for _, c := range []string{"iat", "exp", "jti", "exec_act", "pred"} {
		want[key{c, true}], want[key{c, false}] = core.CodeClaims, core.CodeClaims
	}
	want[key{"iss", true}], want[key{"aud", true}] = core.CodeClaims, core.CodeClaims
	for _, signed := range []bool{true, false} {
		for claim := range full.Claims {
			tok := *full
			tok.Claims = map[string]any{}
			for name, value := range full.Claims {
				if name != claim {
					tok.Claims[name] = value
				}
			}
			if got, want := codeOf(t, verifier(t, s.Domain, s.loose()), written(t, &tok, signed)), want[key{claim, signed}]; got != want {
				t.Errorf("Verify without %s, signed %t = code %v, want %v", claim, signed, got, want)
			}
		}
	}
	for name, want := range map[string]core.Code{"alg": core.CodeAlgorithm, "typ": core.CodeType, "kid": core.CodeHeader} {
		tok := s.token()
		delete(tok.Header, name)
		wantCode(t, verifier(t, s.Domain, s.policy), want, tok.Sign(t))
	}
}

// TestRepeated repeats every claim and every header parameter, as it stands and with
// another value, at the begin and at the end, its name escaped or not.
func TestRepeated(t *testing.T) {
	s := newScene(t)
	full := s.fullToken(t)
	full.Claims["unknown"] = 1
	payload := full.Payload(t)
	repeat := func(object, name string, escaped bool, value string, front bool) string {
		if escaped && name != "" {
			name = fmt.Sprintf(`\u%04x%s`, name[0], name[1:])
		}
		m := `"` + name + `":` + value
		if front {
			return "{" + m + "," + object[1:]
		}
		return object[:len(object)-1] + "," + m + "}"
	}
	for _, value := range []string{`"x"`, `null`, `1`, `[]`, `{}`, `""`} {
		for _, front := range []bool{true, false} {
			for _, escaped := range []bool{true, false} {
				for claim := range full.Claims {
					tok := *full
					tok.RawPayload = repeat(payload, claim, escaped, value, front)
					for _, signed := range []bool{true, false} {
						wantCode(t, verifier(t, s.Domain, s.loose()), core.CodeMalformed, written(t, &tok, signed))
					}
				}
				for name := range full.Header {
					tok := *full
					tok.RawHeader = repeat(fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"exec+jwt"}`, s.from.KeyID), name, escaped, value, front)
					wantCode(t, verifier(t, s.Domain, s.loose()), core.CodeMalformed, tok.Sign(t))
				}
			}
		}
	}
}

// TestDuplicateAtDepth puts a duplicate member into objects at every depth that JSON may
// have, and one without a duplicate beside it (profile 2.6).
func TestDuplicateAtDepth(t *testing.T) {
	s := newScene(t)
	nested := func(depth int, innermost string) string {
		return strings.Repeat(`{"n":`, depth-1) + innermost + strings.Repeat(`}`, depth-1)
	}
	arrays := func(depth int, innermost string) string {
		return strings.Repeat(`[0,`, depth-1) + innermost + strings.Repeat(`]`, depth-1)
	}
	for depth := 1; depth <= 15; depth++ { // with the payload or header around it, to 16
		for _, nest := range []func(int, string) string{nested, arrays} {
			for _, dup := range []string{`{"a":1,"a":1}`, `{"a":1,"b":2,"a":{}}`, `{"a":1,"\u0061":2}`, `{"":0,"":0}`, many(40) + `,"m7":0}`} {
				bad, good := nest(depth, dup), nest(depth, `{"a":1,"A":1}`)
				v := verifier(t, s.Domain, s.loose())
				wantCode(t, v, core.CodeMalformed, s.token().With("x", raw(bad)).Sign(t))
				wantCode(t, v, core.CodeMalformed, s.token().With("x", raw(bad)).Unsigned(t))
				wantCode(t, v, core.CodeMalformed, s.token().Head("x", raw(bad)).Sign(t))
				wantCode(t, v, core.CodeMalformed, s.token().With("ect_ext", raw(`{"x":`+bad+`}`)).Sign(t))
				wantCode(t, v, core.CodeMalformed, s.token().With("ect_ext", raw(`{"trace":`+bad+`}`)).Sign(t))
				wantCode(t, v, core.CodeMalformed, s.token().With("iss", raw(bad)).Sign(t))
				wantAccepted(t, v, s.token().With("x", raw(good)).Sign(t))
				wantAccepted(t, v, s.token().With("x", raw(good)).Unsigned(t))
				wantAccepted(t, v, s.token().Head("x", raw(good)).Sign(t))
			}
		}
	}
}

// many returns an object of n members that is not closed.
func many(n int) string {
	var b strings.Builder
	b.WriteString(`{"m0":0`)
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return b.String()
}

// TestClaimIsReadable holds that every claim can be read as sent, an unknown one
// included, and that the issuer of an unsigned token is a claim alone (profile 1.6, 3.2).
func TestClaimIsReadable(t *testing.T) {
	s := newScene(t)
	tok := s.token().With("org.example.y", raw(` [ 1 , {"a" : null}]`))
	for _, signed := range []bool{true, false} {
		h := wantAccepted(t, verifier(t, s.Domain, s.loose()), written(t, tok, signed)).Heads()[0]
		if got, ok := h.Claim("org.example.y"); !ok || string(got) != `[ 1 , {"a" : null}]` {
			t.Errorf("Claim = %s, %t", got, ok)
		}
		if _, ok := h.Claim("none"); ok {
			t.Error("Claim of a name that is not there is true")
		}
		want := ""
		if signed {
			want = s.from.Identity
		}
		if h.Issuer() != want || h.ClaimedIssuer() != s.from.Identity {
			t.Errorf("Issuer = %q, ClaimedIssuer = %q, signed %t", h.Issuer(), h.ClaimedIssuer(), signed)
		}
	}
}
