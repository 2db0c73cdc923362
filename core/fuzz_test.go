// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	json2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

// fuzzScene is a scene whose clock stands still, so that seeds stay good.
type fuzzScene struct {
	*scene
	clock core.ClockOption
	loose core.Policy
}

func newFuzzScene(f *testing.F) *fuzzScene {
	f.Helper()
	s := newScene(f)
	return &fuzzScene{scene: s, clock: core.WithClock(func() time.Time { return epoch }), loose: s.loose()}
}

// seeds are payloads, good ones and bad ones.
func (s *fuzzScene) seeds(tb testing.TB) []string {
	tb.Helper()
	good := s.from.TokenAt(s.to.Identity, epoch)
	full := s.from.TokenAt(s.to.Identity, epoch).With("pred", []string{number(1)}).With("wid", number(2)).
		With("inp_hash", "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg").With("out_hash", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU").
		With("aud", []string{"urn:a:b", s.to.Identity}).With("sub", map[string]any{"a": []any{1.5, nil, true, "\u00e9\U0001f600"}}).
		With("ect_ext", raw(`{"pol":"p","pol_decision":"approved","pol_timestamp":1.5,"pol_enforcer":1,"pred_dig":["AAAAAAAAAAAAAAAAAAAAAA"],"outcome":"error","status":500,"trace":"t","boundary":"b","org.example.x":[{"y":{}}]}`))
	g, p := good.Payload(tb), full.Payload(tb)
	all := []string{g, p, strings.Replace(p, `"pred"`, `"par"`, 1), strings.Replace(p, `"ect_ext"`, `"ext"`, 1), " \n" + g + "\t\r\n"}
	for _, m := range []string{
		`"x":1e400`, `"x":"\ud83d\ude00"`, `"x":"\ud83d"`, "\"x\":\"\xff\"", `"\u0069ss":1`, `"x":{"a":1,"a":1}`, `"x":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]`,
		`"nbf":"x"`, `"":null`, `"iat":1.5`, `"x":-0.0`, `"x":"\/\b\f\n\r\t\"\\"`, `"exec_act":"\u2028"`, `"x":` + strings.Repeat("9", 400),
	} {
		all = append(all, "{"+m+","+g[1:])
	}
	return append(all, `{}`, `[]`, `null`, `""`, ``, `{"a":1}x`, "\ufeff{}")
}

// FuzzEnvelope opens any text: no panic, an error leaves nothing, and what opens is
// canonical, so that no two texts stand for the same parts (profile 2.5 to 2.7).
func FuzzEnvelope(f *testing.F) {
	s := newFuzzScene(f)
	for _, p := range s.seeds(f) {
		f.Add(ecttest.B64(p))
		f.Add(ecttest.B64(`{"alg":"ES256","kid":"k","typ":"exec+jwt"}`) + "." + ecttest.B64(p) + "." + strings.Repeat("A", 86))
	}
	for _, bad := range ecttest.BadTokens() {
		t := bad.Mint(f, s.Domain, s.from, s.to.Identity)
		if len(t) < 4096 {
			f.Add(t)
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "*.txt"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		f.Add(lines[len(lines)-1])
	}
	for _, text := range []string{"", " ", ".", "..", "...", "e30", "e30.e30.", "e30.e30.AA", "e31", "e30=", "\te30 ", "e30,e30", "W10", "bnVsbA"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := core.ParseWithoutVerification(text)
		if err != nil {
			if u != nil {
				t.Fatalf("ParseWithoutVerification(%q) = %v beside %v", text, u, err)
			}
			if c := core.CodeOf(err); c != core.CodeMalformed && c != core.CodeTooLarge {
				t.Fatalf("ParseWithoutVerification(%q) = %v", text, err)
			}
			return
		}
		trimmed := strings.Trim(text, " \t")
		again := []string{}
		for part := range strings.SplitSeq(trimmed, ".") {
			b, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil {
				t.Fatalf("ParseWithoutVerification(%q) accepts %q: %v", text, part, err)
			}
			again = append(again, base64.RawURLEncoding.EncodeToString(b))
		}
		if got := strings.Join(again, "."); got != trimmed {
			t.Fatalf("ParseWithoutVerification(%q): its parts are %q", text, got)
		}
		if want := 1; u.Signed() && len(again) != 3 || !u.Signed() && len(again) != want {
			t.Fatalf("ParseWithoutVerification(%q) is signed %t, of %d parts", text, u.Signed(), len(again))
		}
		payload := again[len(again)/2]
		if got := ecttest.B64(string(u.PayloadWithoutVerification())); got != payload {
			t.Fatalf("ParseWithoutVerification(%q): the payload is %q", text, got)
		}
		_ = u.ClaimsWithoutVerification()
	})
}

// claimsOf is what another decoder reads of the claims.
type claimsOf struct {
	Iss     string                    `json:"iss"`
	Jti     string                    `json:"jti"`
	Wid     *string                   `json:"wid"`
	ExecAct string                    `json:"exec_act"`
	Pred    []string                  `json:"pred"`
	Par     []string                  `json:"par"`
	InpHash string                    `json:"inp_hash"`
	OutHash string                    `json:"out_hash"`
	Iat     jsontext.Value            `json:"iat"`
	Exp     jsontext.Value            `json:"exp"`
	Aud     jsontext.Value            `json:"aud"`
	ECTExt  map[string]jsontext.Value `json:"ect_ext"`
	Ext     map[string]jsontext.Value `json:"ext"`
}

// wholeSeconds reads a date the slow way.
func wholeSeconds(v jsontext.Value) string {
	whole, _, _ := strings.Cut(string(v), ".")
	return whole
}

// FuzzClaims signs any payload. What is accepted, another decoder, which is strict too,
// reads as we do.
func FuzzClaims(f *testing.F) {
	s := newFuzzScene(f)
	for _, p := range s.seeds(f) {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		v := verifier(t, s.Domain, s.loose, s.clock, core.WithSignatureMemory(0))
		tok := s.from.TokenAt(s.to.Identity, epoch)
		tok.RawPayload = string(payload)
		for _, signed := range []bool{true, false} {
			if len(payload) == 0 {
				return
			}
			r, err := v.Verify(t.Context(), presented(written(t, tok, signed)))
			if err != nil {
				if r != nil || core.CodeOf(err) == 0 {
					t.Fatalf("Verify of %q = %v, %v", payload, r, err)
				}
				continue
			}
			sameClaims(t, payload, r.Heads()[0])
		}
	})
}

func sameClaims(t *testing.T, payload []byte, h *core.Verified) {
	t.Helper()
	var o claimsOf
	if err := json2.Unmarshal(payload, &o); err != nil {
		t.Fatalf("Verify accepts %q, and json says %v", payload, err)
	}
	c := h.Claims()
	if o.Iss != h.ClaimedIssuer() || !strings.EqualFold(o.Jti, c.TaskID.String()) || o.ExecAct != c.Action {
		t.Fatalf("of %q, iss is %q, jti %v, exec_act %q", payload, h.ClaimedIssuer(), c.TaskID, c.Action)
	}
	if (o.Wid != nil) != c.Workflow.Present || o.Wid != nil && !strings.EqualFold(*o.Wid, c.Workflow.String()) {
		t.Fatalf("of %q, wid is %q", payload, c.Workflow)
	}
	if o.InpHash != c.InpHash.String() || o.OutHash != c.OutHash.String() {
		t.Fatalf("of %q, the hashes are %q and %q", payload, c.InpHash, c.OutHash)
	}
	preds := slices.Concat(o.Pred, o.Par)
	if len(preds) != len(c.Pred) {
		t.Fatalf("of %q, pred is %v", payload, c.Pred)
	}
	for i, p := range preds {
		if !strings.EqualFold(p, c.Pred[i].String()) {
			t.Fatalf("of %q, pred is %v", payload, c.Pred)
		}
	}
	for _, d := range []struct {
		value jsontext.Value
		time  time.Time
	}{{o.Iat, c.IssuedAt}, {o.Exp, c.Expiry}} {
		b, err := json2.Marshal(d.time.Unix())
		if err != nil || string(b) != wholeSeconds(d.value) || d.time.Nanosecond() != 0 {
			t.Fatalf("of %q, a date is %v", payload, d.time)
		}
	}
	var one string
	var list []string
	if o.Aud != nil && json2.Unmarshal(o.Aud, &one) == nil {
		list = []string{one}
	} else if o.Aud != nil {
		if err := json2.Unmarshal(o.Aud, &list); err != nil {
			t.Fatalf("of %q, aud: %v", payload, err)
		}
	}
	if !slices.Equal(list, c.Audience) {
		t.Fatalf("of %q, aud is %q", payload, c.Audience)
	}
	ext := o.ECTExt
	if ext == nil {
		ext = o.Ext
	}
	for name, value := range ext {
		if got, ok := c.Ext.Member(name); !ok || !bytes.Equal(got, value) {
			t.Fatalf("of %q, member %q is %s", payload, name, got)
		}
	}
	var digests []string
	if v, ok := ext["pred_dig"]; ok {
		if err := json2.Unmarshal(v, &digests); err != nil || len(digests) != len(c.Ext.PredDigests) {
			t.Fatalf("of %q, pred_dig: %v", payload, err)
		}
		for i, d := range digests {
			if c.Ext.PredDigests[i].String() != d {
				t.Fatalf("of %q, pred_dig is %v", payload, c.Ext.PredDigests)
			}
		}
	}
	var all map[string]jsontext.Value
	if err := json2.Unmarshal(payload, &all); err != nil {
		t.Fatal(err)
	}
	for name, value := range all {
		if got, ok := h.Claim(name); !ok || !bytes.Equal(got, value) {
			t.Fatalf("of %q, claim %q is %s", payload, name, got)
		}
	}
}

// FuzzDifferential signs any header and payload. What is accepted, go-jose accepts too,
// under the same key and with the same payload. It knows Ed25519 under one name only, and
// parameters that have no meaning here must be of its types.
func FuzzDifferential(f *testing.F) {
	s := newFuzzScene(f)
	agents := []*ecttest.Agent{s.from, s.AgentWithAlgorithm(f, "p384", core.ES384), s.AgentWithAlgorithm(f, "ed", core.EdDSA)}
	for which, a := range agents {
		tok := a.TokenAt(s.to.Identity, epoch)
		payload := []byte(tok.Payload(f))
		for _, h := range []string{
			`{"alg":"` + a.Algorithm.String() + `","kid":"` + a.KeyID + `","typ":"exec+jwt"}`,
			`{"alg":"` + a.Algorithm.String() + `","kid":"` + a.KeyID + `","typ":"application/wimse-exec+jwt","x":{"a":[1,null]}}`,
			`{"alg":"Ed25519","kid":"` + a.KeyID + `","typ":"exec+jwt"}`,
			`{"\u0061lg":"` + a.Algorithm.String() + `","kid":"` + a.KeyID + `","typ":"EXEC+JWT","ALG":"none"}`,
			`{"alg":"none","kid":"k","typ":"exec+jwt"}`, `{"alg":"HS256"}`, `{}`, `[]`, ``,
			`{"alg":"ES256","alg":"ES256"}`, `{"alg":"ES256","crit":["b64"],"b64":false}`, `{"alg":"ES256","jwk":{"kty":"oct"}}`,
			`{"alg":"ES256","kid":"` + a.KeyID + `","typ":"exec+jwt","nonce":"n","cty":"x","x5t":"y"}`,
			` { "alg" : "ES256" , "kid" : "` + a.KeyID + `" , "typ" : "exec+jwt" } `,
		} {
			f.Add(uint8(which), []byte(h), payload)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, header, payload []byte) {
		a := agents[int(which)%len(agents)]
		in := ecttest.B64(string(header)) + "." + ecttest.B64(string(payload))
		text := in + "." + base64.RawURLEncoding.EncodeToString(ecttest.Sign(t, a.Key, a.Algorithm, in))
		_, err := verifier(t, s.Domain, s.loose, s.clock, core.WithSignatureMemory(0)).Verify(t.Context(), presented(text))
		if err != nil {
			return
		}
		var h map[string]jsontext.Value
		if err := json2.Unmarshal(header, &h); err != nil {
			t.Fatalf("Verify accepts the header %q, and json says %v", header, err)
		}
		if string(h["alg"]) == `"Ed25519"` {
			return
		}
		if n, ok := h["nonce"]; ok && n.Kind() != '"' {
			return
		}
		jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(a.Algorithm.String())})
		if err != nil {
			t.Fatalf("Verify accepts %q . %q, and jose.ParseSignedCompact says %v", header, payload, err)
		}
		got, err := jws.Verify(a.Key.Public())
		if err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("Verify accepts %q . %q, and jose says %q, %v", header, payload, got, err)
		}
		if jws.Signatures[0].Protected.KeyID != a.KeyID {
			t.Fatalf("Verify accepts %q, and jose reads kid %q", header, jws.Signatures[0].Protected.KeyID)
		}
	})
}

// splitSlowly is [core.Split] by the book, without its limits: a value is a list, elements
// are separated by commas and may have SP and HTAB around them, and empty ones do not
// count (RFC 9110, 5.6.1).
func splitSlowly(values []string) []string {
	all := []string{}
	for _, v := range values {
		element := ""
		end := func() {
			for element != "" && (element[0] == ' ' || element[0] == '\t') {
				element = element[1:]
			}
			for element != "" && (element[len(element)-1] == ' ' || element[len(element)-1] == '\t') {
				element = element[:len(element)-1]
			}
			if element != "" {
				all = append(all, element)
			}
			element = ""
		}
		for i := range len(v) {
			if v[i] == ',' {
				end()
			} else {
				element += v[i : i+1]
			}
		}
		end()
	}
	return all
}

// FuzzFieldValues takes field values apart, against the slow way.
func FuzzFieldValues(f *testing.F) {
	for _, text := range []string{
		"", ",", " , ,\t,", "a", "a,b", " a , b ", "a b", "a;b", "\"a,b\"", "a\n,b", "\u00a0a\u00a0,\u2003b", "a,,b,", "a\x00b", "\xff,\xfe",
		strings.Repeat("a,", 20), strings.Repeat("a", 100), "a|b", "a|,|b", "|", "a,b|c , d|",
	} {
		f.Add(text, 16, 64)
		f.Add(text, 2, 5)
	}
	f.Fuzz(func(t *testing.T, text string, tokens, total int) {
		if tokens < 1 || tokens > core.MaxTokens || total < 1 {
			return
		}
		values := strings.Split(text, "|")
		bytes := len(text) - (len(values) - 1)
		got, code := core.Split(values, core.Limits{Tokens: tokens, TotalBytes: total, TokenBytes: 1 << 20})
		want := splitSlowly(values)
		if tooLarge := bytes > total || len(want) > tokens; tooLarge != (code == core.CodeTooLarge) || !tooLarge && code != 0 {
			t.Fatalf("Split(%q) under %d tokens and %d bytes = %q, code %v; want %q", values, tokens, total, got, code, want)
		}
		if code == 0 && !slices.Equal(got, want) {
			t.Fatalf("Split(%q) = %q, want %q", values, got, want)
		}
		if code != 0 && got != nil {
			t.Fatalf("Split(%q) = %q beside code %v", values, got, code)
		}
	})
}
