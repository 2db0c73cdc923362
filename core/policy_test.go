// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

// TestPolicyErrors leaves out every required field and sets every field to a value that
// is wrong. The error names the field.
func TestPolicyErrors(t *testing.T) {
	s := newScene(t)
	type edit = func(*core.Policy)
	times := map[string]func(*core.Policy) **time.Duration{
		"MaxAge":      func(p *core.Policy) **time.Duration { return &p.MaxAge },
		"MaxFuture":   func(p *core.Policy) **time.Duration { return &p.MaxFuture },
		"Leeway":      func(p *core.Policy) **time.Duration { return &p.Leeway },
		"MaxLifetime": func(p *core.Policy) **time.Duration { return &p.MaxLifetime },
		"PredSkew":    func(p *core.Policy) **time.Duration { return &p.PredSkew },
	}
	bad := map[string][]edit{
		"MinLevel":      {func(p *core.Policy) { p.MinLevel = 0 }, func(p *core.Policy) { p.MinLevel = core.L3 + 1 }, func(p *core.Policy) { p.MinLevel = 255 }},
		"Audience":      {func(p *core.Policy) { p.Audience = "" }},
		"Missing":       {func(p *core.Policy) { p.Missing = 0 }, func(p *core.Policy) { p.Missing = core.AllowPartial + 1 }},
		"Replay":        {func(p *core.Policy) { p.Replay = 0 }, func(p *core.Policy) { p.Replay = core.ReplayOff + 1 }},
		"Body":          {func(p *core.Policy) { p.Body = 0 }, func(p *core.Policy) { p.Body = core.BodyRequire + 1 }},
		"MinChainLevel": {func(p *core.Policy) { p.MinChainLevel = core.L3 + 1 }},
		"Algorithms": {
			func(p *core.Policy) { p.Algorithms = []core.Algorithm{} },
			func(p *core.Policy) { p.Algorithms = []core.Algorithm{0} },
			func(p *core.Policy) { p.Algorithms = []core.Algorithm{core.ES256, core.Ed25519 + 1} },
			func(p *core.Policy) { p.Algorithms = []core.Algorithm{core.ES256, 255} },
		},
		"Limits.TokenBytes": {func(p *core.Policy) { p.Limits.TokenBytes = -1 }},
		"Limits.Tokens":     {func(p *core.Policy) { p.Limits.Tokens = -1 }, func(p *core.Policy) { p.Limits.Tokens = core.MaxTokens + 1 }},
		"Limits.TotalBytes": {func(p *core.Policy) { p.Limits.TotalBytes = -1 }},
	}
	for name, field := range times {
		for _, d := range []time.Duration{-1, -time.Second, time.Nanosecond, 1500 * time.Millisecond, time.Second - 1, 1<<63 - 1, -1 << 63} {
			bad[name] = append(bad[name], func(p *core.Policy) { *field(p) = &d })
		}
		for _, d := range []time.Duration{0, time.Second, time.Hour} {
			p := s.policy
			*field(&p) = &d
			if _, err := core.NewVerifier(s, p); err != nil {
				t.Errorf("NewVerifier with %s %v = %v", name, d, err)
			}
		}
	}
	for field, edits := range bad {
		for n, e := range edits {
			p := s.policy
			e(&p)
			v, err := core.NewVerifier(s, p)
			if err == nil || v != nil || !strings.Contains(err.Error(), field) || !strings.HasPrefix(err.Error(), "ect: ") {
				t.Errorf("NewVerifier with %s wrong, %d = %v, %v, want an error that names it", field, n, v, err)
			}
		}
	}
	if v, err := core.NewVerifier(s, core.Policy{}); err == nil || v != nil {
		t.Errorf("NewVerifier of a zero policy = %v, %v", v, err)
	}
	if v, err := core.NewVerifier(nil, s.policy); err == nil || v != nil || !strings.Contains(err.Error(), "binder") {
		t.Errorf("NewVerifier without a binder = %v, %v", v, err)
	}
	for entries, want := range map[int]bool{-1: false, 0: true, 1: true, core.MaxSignatureMemory: true, core.MaxSignatureMemory + 1: false, 1 << 62: false} {
		if v, err := core.NewVerifier(s, s.policy, core.WithSignatureMemory(entries)); (err == nil) != want || (v != nil) != want {
			t.Errorf("NewVerifier remembering %d = %v, %v", entries, v, err)
		}
	}
}

// TestAlgorithms presents tokens of every algorithm under every allow-list.
func TestAlgorithms(t *testing.T) {
	s := newScene(t)
	all := []core.Algorithm{core.ES256, core.ES384, core.EdDSA, core.Ed25519}
	tokens := map[core.Algorithm]string{}
	for _, a := range all {
		tok := s.AgentWithAlgorithm(t, "agent-"+a.String(), a).Token(s.to.Identity)
		tokens[a] = tok.Head("alg", a.String()).Sign(t)
	}
	for set := range 1 << len(all) {
		p := s.policy
		p.Algorithms = nil
		allowed := map[core.Algorithm]bool{}
		for i, a := range all {
			if set&(1<<i) != 0 {
				p.Algorithms = append(p.Algorithms, a)
				allowed[a] = true
			}
		}
		if set == 0 {
			allowed[core.ES256] = true // the default
		}
		for a, text := range tokens {
			want := core.CodeAlgorithm
			if allowed[a] {
				want = 0
			}
			if got := codeOf(t, verifier(t, s.Domain, p), text); got != want {
				t.Errorf("Verify of %v where %v are allowed = code %v, want %v", a, p.Algorithms, got, want)
			}
		}
	}
	// Every name for which there is no value of the type, over a good signature.
	for _, name := range []string{
		"none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
		"ES512", "ES256K", "Ed448", "EdDSA ", " ES256", "es256", "ES256\x00", "ESP256", "ML-DSA-44", "dir", "A128KW", "", "none of ours",
	} {
		wantCode(t, verifier(t, s.Domain, s.policy), core.CodeAlgorithm, s.token().Head("alg", name).Sign(t))
	}
	for a := range core.Algorithm(255) {
		if n := a.String(); n == "none" || strings.HasPrefix(n, "HS") {
			t.Errorf("algorithm %d is %q", uint8(a), n)
		}
	}
}

// TestAlgorithmFitsKey presents tokens under keys of every type with every name of an
// algorithm: type, curve and the key's own alg must fit (profile 2.4).
func TestAlgorithmFitsKey(t *testing.T) {
	d := ecttest.NewDomain()
	const issuer, audience = "https://issuer.example", "https://audience.example"
	all := []core.Algorithm{core.ES256, core.ES384, core.EdDSA, core.Ed25519}
	family := map[core.Algorithm]core.Algorithm{core.ES256: core.ES256, core.ES384: core.ES384, core.EdDSA: core.EdDSA, core.Ed25519: core.EdDSA}
	policy := d.Agent(t, "any").Policy()
	policy.Audience = audience
	for _, kind := range []core.Algorithm{core.ES256, core.ES384, core.EdDSA} {
		key := ecttest.NewKey(t, kind)
		for _, stated := range append([]core.Algorithm{0}, all...) {
			jwk := jose.JSONWebKey{Key: key.Public(), KeyID: "k", Use: "sig"}
			if stated != 0 {
				jwk.Algorithm = stated.String()
			}
			set, err := core.ParseKeySet(keySet(t, jwk))
			if fits := stated == 0 || family[stated] == kind; (err == nil) != fits {
				t.Errorf("ParseKeySet of a %v key for %v = %v", kind, stated, err)
			}
			if err != nil {
				continue
			}
			binder, err := core.NewStaticBinder(map[string]*core.KeySet{issuer: set})
			if err != nil {
				t.Fatal(err)
			}
			for _, alg := range all {
				v, err := core.NewVerifier(binder, policy)
				if err != nil {
					t.Fatal(err)
				}
				tok := (&ecttest.Agent{Identity: issuer, KeyID: "k", Key: key, Algorithm: kind}).Token(audience)
				want := core.CodeAlgorithm
				if family[alg] == kind {
					want = 0
				}
				if got := codeOf(t, v, tok.Head("alg", alg.String()).Sign(t)); got != want {
					t.Errorf("Verify of %v under a %v key for %v = code %v, want %v", alg, kind, stated, got, want)
				}
			}
		}
	}
}

func keySet(tb testing.TB, keys ...jose.JSONWebKey) []byte {
	tb.Helper()
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// TestKeySetEntries holds which entries of a JWK Set are used; one that is not spoils
// none of the others.
func TestKeySetEntries(t *testing.T) {
	good := jose.JSONWebKey{Key: ecttest.NewKey(t, core.ES256).Public(), KeyID: "good"}
	other := ecttest.NewKey(t, core.ES256)
	entry := func(k jose.JSONWebKey) string {
		b, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, tt := range []struct {
		name, entry string
		len         int
	}{
		{"another", entry(jose.JSONWebKey{Key: other.Public(), KeyID: "other"}), 2},
		{"for signatures", entry(jose.JSONWebKey{Key: other.Public(), KeyID: "other", Use: "sig"}), 2},
		{"private", entry(jose.JSONWebKey{Key: other, KeyID: "other"}), 1},
		{"symmetric", entry(jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "other"}), 1},
		{"symmetric for HS256", entry(jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "other", Algorithm: "HS256"}), 1},
		{"for none", entry(jose.JSONWebKey{Key: other.Public(), KeyID: "other", Algorithm: "none"}), 1},
		{"for HS256", entry(jose.JSONWebKey{Key: other.Public(), KeyID: "other", Algorithm: "HS256"}), 1},
		{"for ES384", entry(jose.JSONWebKey{Key: other.Public(), KeyID: "other", Algorithm: "ES384"}), 1},
		{"without kid", entry(jose.JSONWebKey{Key: other.Public()}), 1},
		{"for encryption", entry(jose.JSONWebKey{Key: other.Public(), KeyID: "other", Use: "enc"}), 1},
		{"of a type nobody knows", `{"kty":"PQ","kid":"other"}`, 1},
		{"not on the curve", `{"kty":"EC","crv":"P-256","kid":"other","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}`, 1},
		{"not an object", `7`, 1},
		{"of the same kid", entry(jose.JSONWebKey{Key: other.Public(), KeyID: "good"}), 0},
	} {
		set, err := core.ParseKeySet([]byte(`{"keys":[` + entry(good) + `,` + tt.entry + `]}`))
		if tt.len == 0 {
			if err == nil {
				t.Errorf("ParseKeySet with a key %s = %d keys, want an error", tt.name, set.Len())
			}
			continue
		}
		if err != nil || set.Len() != tt.len || len(set.Skipped()) != 2-tt.len {
			t.Errorf("ParseKeySet with a key %s = %v, %v, want %d keys", tt.name, set, err, tt.len)
		}
	}
	for _, data := range []string{``, `{}`, `[]`, `{"keys":[]}`, `{"keys":{}}`, `null`, `{"keys":[7]}`} {
		if set, err := core.ParseKeySet([]byte(data)); err == nil || set != nil {
			t.Errorf("ParseKeySet(%s) = %v, %v, want an error", data, set, err)
		}
	}
	set, err := core.ParseKeySet(keySet(t, good))
	if err != nil {
		t.Fatal(err)
	}
	for _, sets := range []map[string]*core.KeySet{{"": set}, {"no uri": set}, {"https://x.example": nil}, {"https://x.example": {}}} {
		if b, err := core.NewStaticBinder(sets); err == nil || b != nil {
			t.Errorf("NewStaticBinder(%v) = %v, %v, want an error", sets, b, err)
		}
	}
}

// TestCodes walks every code: a name and a class of its own, and a sentence for each
// class (profile 9.4).
func TestCodes(t *testing.T) {
	label := regexp.MustCompile(`^[a-z]+([_-][a-z]+)*$`)
	names, sentences := map[string]core.Code{}, map[string]core.Class{}
	classes := map[core.Class]bool{}
	for _, c := range core.Codes() {
		name := c.String()
		if o, twice := names[name]; twice || !label.MatchString(name) || name == "unknown" || strings.Contains(name, "-") {
			t.Errorf("code %d has the name %q, and so has %d", uint8(c), name, uint8(o))
		}
		names[name] = c
		class := c.Class()
		if class == 0 || class.String() == "unknown" || !label.MatchString(class.String()) {
			t.Errorf("code %v is of class %v", c, class)
		}
		if o, ok := sentences[class.Sentence()]; ok && o != class || !strings.HasSuffix(class.Sentence(), ".") {
			t.Errorf("class %v has the sentence %q, and so has %v", class, class.Sentence(), o)
		}
		sentences[class.Sentence()] = class
		classes[class] = true
		err := core.NewError(c, io.ErrUnexpectedEOF)
		wrapped := fmt.Errorf("a: %w", errors.Join(errors.New("b"), err))
		for _, e := range []error{err, wrapped} {
			if core.CodeOf(e) != c || !errors.Is(e, io.ErrUnexpectedEOF) {
				t.Errorf("CodeOf(%v) = %v, want %v", e, core.CodeOf(e), c)
			}
			for _, o := range core.Codes() {
				if errors.Is(e, &core.Error{Code: o}) != (o == c) {
					t.Errorf("errors.Is(%v, code %v) = %t", e, o, o != c)
				}
			}
		}
		if got, want := err.Error(), "ect: "+name+": "+io.ErrUnexpectedEOF.Error(); got != want {
			t.Errorf("Error() = %q, want %q", got, want)
		}
		if got := err.ErrorType(); got != name {
			t.Errorf("ErrorType() = %q, want %q", got, name)
		}
		if got, want := core.NewError(c, nil).Error(), "ect: "+name; got != want {
			t.Errorf("Error() = %q, want %q", got, want)
		}
	}
	for class := core.ClassMalformed; class <= core.ClassUnrecorded; class++ {
		if !classes[class] {
			t.Errorf("no code is of class %v", class)
		}
	}
	for _, c := range []core.Code{0, core.CodeUnrecorded + 1, 255} {
		if c.String() != "unknown" || c.Class() != 0 || c.Class().String() != "unknown" {
			t.Errorf("code %d is %v of class %v", uint8(c), c, c.Class())
		}
	}
	for _, c := range []core.Class{0, core.ClassUnrecorded + 1, 255} {
		if c.String() != "unknown" || c.Sentence() == "" {
			t.Errorf("class %d is %v, %q", uint8(c), c, c.Sentence())
		}
	}
	for _, err := range []error{nil, io.EOF, fmt.Errorf("x: %w", io.EOF)} {
		if core.CodeOf(err) != 0 {
			t.Errorf("CodeOf(%v) = %v", err, core.CodeOf(err))
		}
	}
}

// TestNames holds the stable names of the small types.
func TestNames(t *testing.T) {
	for l := core.L1; l <= core.L3; l++ {
		if got, err := core.ParseLevel(l.String()); err != nil || got != l {
			t.Errorf("ParseLevel(%q) = %v, %v", l, got, err)
		}
	}
	for _, s := range []string{"", "none", "l1", "L0", "L4", "L1 ", "1"} {
		if l, err := core.ParseLevel(s); err == nil {
			t.Errorf("ParseLevel(%q) = %v", s, l)
		}
	}
	for want, got := range map[string]fmt.Stringer{
		"none": core.Level(0), "none of ours": core.Algorithm(0), "head": core.Head, "context": core.Context, "notice": core.Notice,
		"not checked": core.NotChecked, "no": core.No, "yes": core.Yes, "jwk_set": core.BindingJWKSet,
		"ok": core.OutcomeOK, "error": core.OutcomeError, "cancelled": core.OutcomeCancelled,
		"ES256": core.ES256, "ES384": core.ES384, "EdDSA": core.EdDSA, "Ed25519": core.Ed25519,
	} {
		if got.String() != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

// TestCrossWorkflow holds edges and heads of several workflows (profile 5.5, 9.9).
func TestCrossWorkflow(t *testing.T) {
	s := newScene(t)
	w1, w2, none := number(1), number(2), ""
	in := func(wid string, tok *ecttest.Token) *ecttest.Token {
		delete(tok.Claims, "wid")
		if wid != "" {
			tok.With("wid", wid)
		}
		return tok
	}
	admitChild := func(e core.CrossWorkflowEdge) (core.Workflow, bool) { return e.ChildWorkflow, true }
	var ours core.Workflow
	if err := ours.ID.UnmarshalText([]byte(number(3))); err != nil {
		t.Fatal(err)
	}
	ours.Present = true
	admitOurs := func(core.CrossWorkflowEdge) (core.Workflow, bool) { return ours, true }
	refuse := func(core.CrossWorkflowEdge) (core.Workflow, bool) { return ours, false }
	for _, pair := range [][2]string{{w1, w1}, {w1, w2}, {w1, none}, {none, w1}, {none, none}} {
		root := in(pair[0], s.token()).Sign(t)
		child := in(pair[1], s.token().After(t, true, root)).Sign(t)
		alone := in(pair[1], s.token()).Sign(t)
		for name, cross := range map[string]core.CrossWorkflowFunc{"nil": nil, "refuse": refuse, "child": admitChild, "ours": admitOurs} {
			p := s.policy
			p.CrossWorkflow = cross
			fresh := func() *core.Verifier { return verifier(t, s.Domain, p) }
			want := core.Code(0)
			workflow := pair[1]
			if pair[0] != pair[1] {
				switch name {
				case "nil", "refuse":
					want = core.CodeWorkflow
				case "ours":
					workflow = number(3)
				}
			}
			got := anyOrder(t, fresh, root, child)
			if shapeOf(got).Code != want || want == 0 && got.Workflow != workflow {
				t.Errorf("an edge from %q to %q under %s: %v, workflow %q, want code %v, workflow %q", pair[0], pair[1], name, got.Code, got.Workflow, want, workflow)
			}
			if want == 0 && strings.Contains(got.Heads[0], "cross=yes") != (pair[0] != pair[1]) {
				t.Errorf("an edge from %q to %q: %s", pair[0], pair[1], got.Heads[0])
			}
			if name == "child" {
				continue // heads have no child yet, so this names none
			}
			got = anyOrder(t, fresh, root, alone)
			if shapeOf(got).Code != want || want == 0 && got.Workflow != workflow {
				t.Errorf("heads of %q and %q under %s: %v, workflow %q, want code %v, workflow %q", pair[0], pair[1], name, got.Code, got.Workflow, want, workflow)
			}
		}
	}
}
