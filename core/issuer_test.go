// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
	"github.com/go-ect/ect/ecttest"
)

func uuid(tb testing.TB, s string) core.UUID {
	tb.Helper()
	u, err := id.ParseUUID(s)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// request is a request that uses everything.
func request(tb testing.TB, audience ...string) core.IssueRequest {
	tb.Helper()
	return core.IssueRequest{
		TaskID:   uuid(tb, number(1)),
		Workflow: core.Workflow{ID: uuid(tb, number(2)), Present: true},
		Audience: audience,
		Action:   "caf\u00e9 \"quoted\" \\ / <b>&\u2027",
		InpHash:  core.Hash{Sum: [32]byte{1, 2, 3}, Present: true},
		OutHash:  core.Hash{Sum: [32]byte{0xff, 31: 0xff}, Present: true},
		Ext: core.Ext{
			Policy:  &core.PolicyCheckpoint{Policy: "p \"1\"", Decision: core.PendingHumanReview, Enforcer: "e", Time: time.Unix(1_700_000_000, 0)},
			Outcome: core.OutcomeCancelled, Status: 499, Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Boundary: "b",
		},
		Members: map[string]json.RawMessage{
			"org.example.b": raw(`[1, {"x": null}]`), "org.example.a": raw(`"\u00e9"`), "org.example.\"q\"": raw(`-0.5e1`),
		},
	}
}

// TestIssueVerify issues with every algorithm, revision and option, verifies with our
// verifier and with go-jose, and compares what comes out with what went in.
func TestIssueVerify(t *testing.T) {
	for _, alg := range []core.Algorithm{core.ES256, core.ES384, core.EdDSA} {
		for _, rev := range []core.Revision{core.Revision01, core.Revision00} {
			t.Run(fmt.Sprintf("%v,%d", alg, rev), func(t *testing.T) {
				s := newScene(t)
				from := s.AgentWithAlgorithm(t, "issuer", alg)
				issuer := from.Issuer(t, core.WithLifetime(time.Hour))
				root := s.token().With("wid", number(2)).Sign(t)
				r := request(t, "https://ledger.example", s.to.Identity)
				r.Revision = rev
				u := unverified(t, root)
				r.Pred = []core.Predecessor{{TaskID: u.ClaimsWithoutVerification().TaskID, Digest: u.Digest()}}
				issued, err := issuer.Issue(t.Context(), r)
				if err != nil {
					t.Fatalf("Issue: %v", err)
				}
				h := wantAccepted(t, verifier(t, s.Domain, s.policy), root, issued.Text()).Heads()[0]
				if h.Text() != issued.Text() || h.Digest() != issued.Digest() || h.Level() != core.L2 || issued.Level() != core.L2 {
					t.Errorf("Verify = %q, %v, %v", h.Text(), h.Digest(), h.Level())
				}
				if h.Issuer() != from.Identity || issued.Issuer() != from.Identity || issuer.Identity() != from.Identity || issuer.Level() != core.L2 {
					t.Errorf("the issuer is %q, %q, %q", h.Issuer(), issued.Issuer(), issuer.Identity())
				}
				if h.EdgesBound() != core.Yes || h.Complete() != core.Yes {
					t.Errorf("edges bound %v, complete %v", h.EdgesBound(), h.Complete())
				}
				if diff := cmp.Diff(issued.Claims(), h.Claims(), cmp.AllowUnexported(core.Ext{}), ignoreRaw); diff != "" {
					t.Errorf("claims (-issued +verified):\n%s", diff)
				}
				c := h.Claims()
				c.Ext.PredDigests = nil
				want := core.Claims{
					Audience: r.Audience, IssuedAt: c.IssuedAt, Expiry: c.IssuedAt.Add(time.Hour), TaskID: r.TaskID, Workflow: r.Workflow,
					Action: r.Action, Pred: []core.UUID{r.Pred[0].TaskID}, InpHash: r.InpHash, OutHash: r.OutHash, Ext: r.Ext,
				}
				if diff := cmp.Diff(want, c, cmp.AllowUnexported(core.Ext{}), ignoreRaw); diff != "" {
					t.Errorf("claims (-requested +verified):\n%s", diff)
				}
				for name, value := range r.Members {
					if got, ok := h.Claims().Ext.Member(name); !ok || !bytes.Equal(got, value) {
						t.Errorf("Member(%q) = %s, %t, want %s", name, got, ok, value)
					}
				}
				joseVerify(t, from, issued.Text())
				names(t, rev, issued.Text())
			})
		}
	}
}

// joseVerify holds a token against another implementation.
func joseVerify(t *testing.T, from *ecttest.Agent, text string) {
	t.Helper()
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(from.Algorithm.String())})
	if err != nil {
		t.Fatalf("jose.ParseSignedCompact(%q): %v", text, err)
	}
	payload, err := jws.Verify(from.Key.Public())
	if err != nil {
		t.Fatalf("jose: Verify(%q): %v", text, err)
	}
	if want := unverified(t, text).PayloadWithoutVerification(); !bytes.Equal(payload, want) {
		t.Errorf("jose reads %s and not %s", payload, want)
	}
}

// names holds the names on the wire of a revision (profile 3.1).
func names(t *testing.T, rev core.Revision, text string) {
	t.Helper()
	head, payload, _ := parts(t, text)
	want := map[string]bool{"pred": true, "ect_ext": true, "par": false, "ext": false}
	typ := "exec+jwt"
	if rev == core.Revision00 {
		want = map[string]bool{"pred": false, "ect_ext": false, "par": true, "ext": true}
		typ = "wimse-exec+jwt"
	}
	var claims, header map[string]any
	for part, into := range map[string]*map[string]any{head: &header, payload: &claims} {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err == nil {
			err = json.Unmarshal(b, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, there := range want {
		if _, ok := claims[name]; ok != there {
			t.Errorf("revision %d: claim %s is there: %t", rev, name, ok)
		}
	}
	if header["typ"] != typ || len(header) != 3 {
		t.Errorf("revision %d: header %v", rev, header)
	}
}

// TestIssueUnsigned does the same at L1, where the audience is optional.
func TestIssueUnsigned(t *testing.T) {
	s := newScene(t)
	issuer, err := core.NewUnsignedIssuer(s.from.Identity)
	if err != nil || issuer.Level() != core.L1 {
		t.Fatalf("NewUnsignedIssuer = %v, %v", issuer, err)
	}
	for _, audience := range [][]string{nil, {s.to.Identity}, {"urn:a:b", s.to.Identity}} {
		for _, rev := range []core.Revision{core.Revision01, core.Revision00} {
			r := request(t, audience...)
			r.Revision = rev
			issued, err := issuer.Issue(t.Context(), r)
			if err != nil {
				t.Fatalf("Issue: %v", err)
			}
			p := s.policy
			p.MinLevel = core.L1
			h := wantAccepted(t, verifier(t, s.Domain, p), issued.Text()).Heads()[0]
			if h.Level() != core.L1 || h.Issuer() != "" || h.ClaimedIssuer() != s.from.Identity || h.Digest() != issued.Digest() || h.Text() != issued.Text() {
				t.Errorf("Verify = %v, %q, %q", h.Level(), h.Issuer(), h.ClaimedIssuer())
			}
			if diff := cmp.Diff(issued.Claims(), h.Claims(), cmp.AllowUnexported(core.Ext{}), ignoreRaw, equateEmpty); diff != "" {
				t.Errorf("claims (-issued +verified):\n%s", diff)
			}
			wantCode(t, verifier(t, s.Domain, s.policy), core.CodeLevel, issued.Text())
		}
	}
}

// equateEmpty takes an empty list for no list.
var equateEmpty = cmp.FilterValues(func(a, b []core.UUID) bool { return len(a)+len(b) == 0 }, cmp.Ignore())

// TestIssueDefaults holds what a request may leave out.
func TestIssueDefaults(t *testing.T) {
	s := newScene(t)
	c := newClock(epoch.Add(999 * time.Millisecond))
	issuer := s.from.Issuer(t, c.option())
	seen := map[core.UUID]bool{}
	for range 100 {
		issued, err := issuer.Issue(t.Context(), core.IssueRequest{Audience: []string{s.to.Identity}, Action: "a"})
		if err != nil {
			t.Fatalf("Issue: %v", err)
		}
		got := issued.Claims()
		if seen[got.TaskID] || got.TaskID[6]>>4 != 4 || got.TaskID[8]>>6 != 2 {
			t.Errorf("jti %v is not a new random one", got.TaskID)
		}
		seen[got.TaskID] = true
		if got.Workflow.Present || got.InpHash.Present || got.OutHash.Present || len(got.Pred) != 0 || got.Ext.Policy != nil {
			t.Errorf("claims %+v", got)
		}
		if !got.IssuedAt.Equal(epoch) || !got.Expiry.Equal(epoch.Add(10*time.Minute)) {
			t.Errorf("iat %v, exp %v", got.IssuedAt, got.Expiry)
		}
		h := wantAccepted(t, verifier(t, s.Domain, s.policy, c.option()), issued.Text()).Heads()[0]
		if h.EdgesBound() != core.Yes || h.Complete() != core.Yes {
			t.Errorf("a root: edges bound %v, complete %v", h.EdgesBound(), h.Complete())
		}
	}
}

// TestIssueLowS writes s in the low half always, whatever the signer gave (profile 2.8).
func TestIssueLowS(t *testing.T) {
	s := newScene(t)
	half := map[core.Algorithm]*big.Int{
		core.ES256: new(big.Int).Rsh(elliptic.P256().Params().N, 1), core.ES384: new(big.Int).Rsh(elliptic.P384().Params().N, 1),
	}
	for alg, bound := range half {
		a := s.AgentWithAlgorithm(t, "low-"+alg.String(), alg)
		issuer := a.Issuer(t)
		for range 200 {
			issued, err := issuer.Issue(t.Context(), core.IssueRequest{Audience: []string{s.to.Identity}, Action: "a"})
			if err != nil {
				t.Fatal(err)
			}
			_, _, text := parts(t, issued.Text())
			sig, err := base64.RawURLEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			if new(big.Int).SetBytes(sig[len(sig)/2:]).Cmp(bound) > 0 {
				t.Fatalf("%v: %q has s in the high half", alg, issued.Text())
			}
			joseVerify(t, a, issued.Text())
		}
	}
}

// TestLowS holds the halves at their border: half the order is low, one more is high.
func TestLowS(t *testing.T) {
	for alg, curve := range map[core.Algorithm]elliptic.Curve{core.ES256: elliptic.P256(), core.ES384: elliptic.P384()} {
		n := curve.Params().N
		half := new(big.Int).Rsh(n, 1)
		size := (curve.Params().BitSize + 7) / 8
		for _, tt := range []struct {
			s    *big.Int
			high bool
		}{
			{big.NewInt(1), false}, {big.NewInt(0), false}, {new(big.Int).Sub(half, big.NewInt(1)), false}, {half, false},
			{new(big.Int).Add(half, big.NewInt(1)), true}, {new(big.Int).Sub(n, big.NewInt(1)), true},
		} {
			sig := make([]byte, 2*size)
			sig[0] = 0xff
			tt.s.FillBytes(sig[size:])
			if got := core.LowS(alg, sig); got != tt.high {
				t.Errorf("LowS(%v, %v) = %t, want %t", alg, tt.s, got, tt.high)
			}
			want := tt.s
			if tt.high {
				want = new(big.Int).Sub(n, tt.s)
			}
			if got := new(big.Int).SetBytes(sig[size:]); got.Cmp(want) != 0 || sig[0] != 0xff {
				t.Errorf("LowS(%v, %v) leaves %v, want %v", alg, tt.s, got, want)
			}
		}
	}
	sig := bytes.Repeat([]byte{0xff}, 64)
	if core.LowS(core.EdDSA, sig) || !bytes.Equal(sig, bytes.Repeat([]byte{0xff}, 64)) {
		t.Error("LowS changes an EdDSA signature")
	}
}

// TestIssueLimits holds what an issuer refuses: whatever verifiers would.
func TestIssueLimits(t *testing.T) {
	s := newScene(t)
	issuer := s.from.Issuer(t)
	unsigned, err := core.NewUnsignedIssuer(s.from.Identity)
	if err != nil {
		t.Fatal(err)
	}
	preds := func(n int) []core.Predecessor {
		all := make([]core.Predecessor, n)
		for i := range all {
			all[i].TaskID = uuid(t, number(i+10))
		}
		return all
	}
	long := func(n int) json.RawMessage { return raw(`"` + strings.Repeat("x", n) + `"`) }
	for _, tt := range []struct {
		name string
		edit func(*core.IssueRequest)
		ok   bool
	}{
		{"nothing", func(*core.IssueRequest) {}, true},
		{"64 predecessors", func(r *core.IssueRequest) { r.Pred = preds(64) }, true},
		{"65 predecessors", func(r *core.IssueRequest) { r.Pred = preds(65) }, false},
		{"a predecessor twice", func(r *core.IssueRequest) { r.Pred = append(preds(3), preds(1)...) }, false},
		{"itself as predecessor", func(r *core.IssueRequest) { r.TaskID = uuid(t, number(10)); r.Pred = preds(1) }, false},
		{"no action", func(r *core.IssueRequest) { r.Action = "" }, false},
		{"an action of 256 bytes", func(r *core.IssueRequest) { r.Action = strings.Repeat("a", 256) }, true},
		{"an action of 257 bytes", func(r *core.IssueRequest) { r.Action = strings.Repeat("a", 257) }, false},
		{"an action that is not UTF-8", func(r *core.IssueRequest) { r.Action = "a\xff" }, false},
		{"an action with a line break", func(r *core.IssueRequest) { r.Action = "a\nb" }, false},
		{"an empty audience", func(r *core.IssueRequest) { r.Audience = []string{s.to.Identity, ""} }, false},
		{"an audience that is not UTF-8", func(r *core.IssueRequest) { r.Audience = []string{s.to.Identity, "\xff"} }, false},
		{"a revision nobody knows", func(r *core.IssueRequest) { r.Revision = core.Revision00 + 1 }, false},
		{"digests of its own", func(r *core.IssueRequest) { r.Ext.PredDigests = []id.Short{} }, false},
		{"a policy without a decision", func(r *core.IssueRequest) { r.Ext.Policy = &core.PolicyCheckpoint{Policy: "p"} }, false},
		{"a decision without a policy", func(r *core.IssueRequest) { r.Ext.Policy = &core.PolicyCheckpoint{Decision: core.Approved} }, false},
		{"a decision nobody knows", func(r *core.IssueRequest) { r.Ext.Policy = &core.PolicyCheckpoint{Policy: "p", Decision: "maybe"} }, false},
		{"a policy that is not UTF-8", func(r *core.IssueRequest) {
			r.Ext.Policy = &core.PolicyCheckpoint{Policy: "\xff", Decision: core.Approved}
		}, false},
		{"a status that is negative", func(r *core.IssueRequest) { r.Ext.Status = -1 }, false},
		{"a status of 65536", func(r *core.IssueRequest) { r.Ext.Status = 65536 }, false},
		{"a status of 65535", func(r *core.IssueRequest) { r.Ext.Status = 65535 }, true},
		{"a trace that is not UTF-8", func(r *core.IssueRequest) { r.Ext.Trace = "\xff" }, false},
		{"an extension of 4096 bytes", func(r *core.IssueRequest) {
			r.Members = map[string]json.RawMessage{"a.b": long(4096 - len(`{"pred_dig":[],"a.b":""}`))}
		}, true},
		{"an extension of 4097 bytes", func(r *core.IssueRequest) {
			r.Members = map[string]json.RawMessage{"a.b": long(4097 - len(`{"pred_dig":[],"a.b":""}`))}
		}, false},
		{"an extension of depth 5", func(r *core.IssueRequest) { r.Members = map[string]json.RawMessage{"a.b": raw(`[[[[]]]]`)} }, true},
		{"an extension of depth 6", func(r *core.IssueRequest) { r.Members = map[string]json.RawMessage{"a.b": raw(`[[[[[]]]]]`)} }, false},
		{"a token over 8192 bytes", func(r *core.IssueRequest) { r.Audience = []string{s.to.Identity, strings.Repeat("a", 6000)} }, false},
	} {
		for _, i := range []*core.Issuer{issuer, unsigned} {
			r := core.IssueRequest{Audience: []string{s.to.Identity}, Action: "a"}
			tt.edit(&r)
			issued, err := i.Issue(t.Context(), r)
			if (err == nil) != tt.ok || (issued != nil) != tt.ok {
				t.Errorf("Issue with %s at %v = %v, %v, want ok %t", tt.name, i.Level(), issued, err, tt.ok)
			}
			if issued != nil {
				wantAccepted(t, verifier(t, s.Domain, s.loose()), issued.Text())
			}
		}
	}
	if _, err := issuer.Issue(t.Context(), core.IssueRequest{Action: "a"}); err == nil {
		t.Error("Issue signs a token without audience")
	}
}

// TestMembers holds further members of ect_ext: names with a dot, each with one JSON
// value and nothing else.
func TestMembers(t *testing.T) {
	s := newScene(t)
	issuer := s.from.Issuer(t)
	for _, tt := range []struct {
		name, value string
		ok          bool
	}{
		{"org.example.x", `1`, true}, {"org.example.x", ` {"a" : [] } `, true}, {"org.example.\u00e9", `""`, true},
		{"", `1`, false}, {"x", `1`, false}, {"pol", `"p"`, false}, {"pol_decision", `"approved"`, false}, {"pred_dig", `[]`, false},
		{"outcome", `"ok"`, false}, {"status", `1`, false}, {"trace", `""`, false}, {"boundary", `""`, false}, {"org.\xff", `1`, false},
		{"org.example.x", ``, false}, {"org.example.x", ` `, false}, {"org.example.x", `{`, false}, {"org.example.x", `1 1`, false},
		{"org.example.x", `{"a":1,"a":2}`, false}, {"org.example.x", `"\ud800"`, false}, {"org.example.x", "\"\xff\"", false},
		{"org.example.x", `1e999`, false}, {"org.example.x", `NaN`, false}, {"org.example.x", `1}`, false}, {"org.example.x", `1,`, false},
		{"org.example.x", `1},"x":{"a":1`, false}, {"org.example.x", `1}{"a":1`, false}, {"org.example.x", `]`, false},
		// A value must not smuggle further members in.
		{"org.example.x", `1,"outcome":"error"`, false}, {"org.example.x", `1,"pol":"p","pol_decision":"approved"`, false},
		{"org.example.x", `1,"y":2`, false}, {"org.example.x", `1,"org.example.y":2`, false}, {"org.example.x", `1,"trace":"t"`, false},
	} {
		for _, rev := range []core.Revision{core.Revision01, core.Revision00} {
			issued, err := issuer.Issue(t.Context(), core.IssueRequest{
				Audience: []string{s.to.Identity}, Action: "a", Revision: rev, Members: map[string]json.RawMessage{tt.name: raw(tt.value)},
			})
			if (err == nil) != tt.ok {
				t.Errorf("Issue with member %q of %s = %v, want ok %t", tt.name, tt.value, err, tt.ok)
			}
			if issued == nil {
				continue
			}
			got, ok := wantAccepted(t, verifier(t, s.Domain, s.policy), issued.Text()).Heads()[0].Claims().Ext.Member(tt.name)
			if !ok || string(got) != strings.TrimSpace(tt.value) {
				t.Errorf("Member(%q) = %s, %t, want %s", tt.name, got, ok, tt.value)
			}
		}
	}
}

// fakeSigner is a signer that does as a test wants.
type fakeSigner struct {
	alg  core.Algorithm
	kid  string
	sign func([]byte) ([]byte, error)
}

func (f *fakeSigner) Algorithm() core.Algorithm { return f.alg }
func (f *fakeSigner) KeyID() string             { return f.kid }
func (f *fakeSigner) Sign(_ context.Context, in []byte) ([]byte, error) {
	return f.sign(in)
}

// TestSignerFails holds that what a signer does wrong is seen at once.
func TestSignerFails(t *testing.T) {
	broken := errors.New("the key service is away")
	for _, tt := range []struct {
		name string
		alg  core.Algorithm
		sig  []byte
		err  error
	}{
		{"an error", core.ES256, nil, broken}, {"a signature and an error", core.ES256, make([]byte, 64), broken},
		{"nothing", core.ES256, nil, nil}, {"63 bytes", core.ES256, make([]byte, 63), nil}, {"65 bytes", core.ES256, make([]byte, 65), nil},
		{"DER", core.ES256, make([]byte, 71), nil}, {"a signature of ES384", core.ES256, make([]byte, 96), nil},
		{"a signature of ES256", core.ES384, make([]byte, 64), nil}, {"95 bytes", core.ES384, make([]byte, 95), nil},
		{"a very long one", core.ES384, make([]byte, 10_000), nil}, {"63 bytes", core.EdDSA, make([]byte, 63), nil},
	} {
		issuer, err := core.NewIssuer("urn:x:y", &fakeSigner{tt.alg, "k", func([]byte) ([]byte, error) { return tt.sig, tt.err }})
		if err != nil {
			t.Fatal(err)
		}
		issued, err := issuer.Issue(t.Context(), core.IssueRequest{Audience: []string{"urn:a:b"}, Action: "a"})
		if err == nil || issued != nil || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("Issue with a signer that gives %s = %v, %v", tt.name, issued, err)
		}
	}
}

// TestSignerKeepsItsHands lets a signer write behind and into what it was given: the
// token is what was meant, or does not verify, but never another.
func TestSignerKeepsItsHands(t *testing.T) {
	s := newScene(t)
	inner, err := core.NewSigner(s.from.Key, s.from.KeyID)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := core.NewIssuer(s.from.Identity, &fakeSigner{core.ES256, s.from.KeyID, func(in []byte) ([]byte, error) {
		sig, err := inner.Sign(t.Context(), in)
		_ = append(in, "overwritten"...)
		return sig, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := issuer.Issue(t.Context(), core.IssueRequest{Audience: []string{s.to.Identity}, Action: "a"})
	if err != nil {
		t.Fatal(err)
	}
	wantAccepted(t, verifier(t, s.Domain, s.policy), issued.Text())
}

// hardwareKey hides that a key is in this process.
type hardwareKey struct {
	crypto.Signer
	sign func(digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

func (h hardwareKey) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if h.sign != nil {
		return h.sign(digest, opts)
	}
	return h.Signer.Sign(r, digest, opts)
}

// TestNewSigner makes signers of keys of every kind, behind crypto.Signer as well.
func TestNewSigner(t *testing.T) {
	s := newScene(t)
	for _, alg := range []core.Algorithm{core.ES256, core.ES384, core.EdDSA} {
		a := s.AgentWithAlgorithm(t, "hardware-"+alg.String(), alg)
		a.Key = hardwareKey{Signer: a.Key}
		issued, err := a.Issuer(t).Issue(t.Context(), core.IssueRequest{Audience: []string{s.to.Identity}, Action: "a"})
		if err != nil {
			t.Errorf("Issue with %v = %v", alg, err)
			continue
		}
		wantAccepted(t, verifier(t, s.Domain, s.policy), issued.Text())
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{rsaKey, p521, nil} {
		if signer, err := core.NewSigner(key, "k"); err == nil || signer != nil {
			t.Errorf("NewSigner(%T) = %v, %v, want an error", key, signer, err)
		}
	}
	if signer, err := core.NewSigner(s.from.Key, ""); err == nil || signer != nil {
		t.Errorf("NewSigner without a key id = %v, %v", signer, err)
	}
	n := elliptic.P256().Params().N
	der := func(r, s *big.Int) []byte {
		b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one := big.NewInt(1)
	for name, sig := range map[string][]byte{
		"no DER": {1, 2, 3}, "nothing": nil, "something behind it": append(der(one, one), 0),
		"r of 0": der(new(big.Int), one), "s of 0": der(one, new(big.Int)), "r negative": der(big.NewInt(-1), one),
		"s of the order": der(one, n), "r of the order": der(n, one), "a huge s": der(one, new(big.Int).Lsh(one, 4000)),
	} {
		signer, err := core.NewSigner(hardwareKey{s.from.Key, func([]byte, crypto.SignerOpts) ([]byte, error) { return sig, nil }}, "k")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := signer.Sign(t.Context(), []byte("x")); err == nil {
			t.Errorf("Sign with a key that gives %s = %x", name, b)
		}
	}
}

// TestNewIssuer holds what makes no issuer.
func TestNewIssuer(t *testing.T) {
	good := &fakeSigner{core.ES256, "k", nil}
	for _, tt := range []struct {
		name, identity string
		signer         core.Signer
		opts           []core.IssuerOption
		ok             bool
	}{
		{"good", "urn:x:y", good, nil, true},
		{"no signer", "urn:x:y", nil, nil, false},
		{"a signer without key id", "urn:x:y", &fakeSigner{core.ES256, "", nil}, nil, false},
		{"a key id that is not UTF-8", "urn:x:y", &fakeSigner{core.ES256, "\xff", nil}, nil, false},
		{"a signer without algorithm", "urn:x:y", &fakeSigner{0, "k", nil}, nil, false},
		{"the other name of EdDSA", "urn:x:y", &fakeSigner{core.Ed25519, "k", nil}, nil, false},
		{"no identity", "", good, nil, false},
		{"an identity that is no URI", "service", good, nil, false},
		{"an identity with a space", "urn:x:y z", good, nil, false},
		{"an identity with a quotation mark", `urn:x:"`, good, nil, false},
		{"an identity of another script", "urn:x:\u00e9", good, nil, false},
		{"a lifetime of nothing", "urn:x:y", good, []core.IssuerOption{core.WithLifetime(0)}, false},
		{"a lifetime under a second", "urn:x:y", good, []core.IssuerOption{core.WithLifetime(time.Second - 1)}, false},
		{"a lifetime of a second", "urn:x:y", good, []core.IssuerOption{core.WithLifetime(time.Second)}, true},
		{"a lifetime of a day", "urn:x:y", good, []core.IssuerOption{core.WithLifetime(24 * time.Hour)}, true},
		{"a lifetime over a day", "urn:x:y", good, []core.IssuerOption{core.WithLifetime(24*time.Hour + 1)}, false},
		{"no clock", "urn:x:y", good, []core.IssuerOption{core.WithClock(nil)}, true},
	} {
		i, err := core.NewIssuer(tt.identity, tt.signer, tt.opts...)
		if (err == nil) != tt.ok || (i != nil) != tt.ok {
			t.Errorf("NewIssuer, %s = %v, %v, want ok %t", tt.name, i, err, tt.ok)
		}
	}
}

// TestIssueLifetimes moves the clock through a second: exp has whole seconds, is later
// than iat, and never later than the lifetime says.
func TestIssueLifetimes(t *testing.T) {
	s := newScene(t)
	c := newClock(epoch)
	for _, lifetime := range []time.Duration{time.Second, 1999 * time.Millisecond, 10 * time.Minute, 24 * time.Hour} {
		issuer := s.from.Issuer(t, core.WithLifetime(lifetime), c.option())
		for _, at := range []time.Duration{0, 1, 500 * time.Millisecond, time.Second - 1} {
			c.set(epoch.Add(at))
			issued, err := issuer.Issue(t.Context(), core.IssueRequest{Audience: []string{s.to.Identity}, Action: "a"})
			if err != nil {
				t.Fatal(err)
			}
			if got := issued.Claims(); got.Expiry.Sub(got.IssuedAt) != lifetime.Truncate(time.Second) {
				t.Errorf("Issue with lifetime %v at %v: from %v to %v", lifetime, at, got.IssuedAt, got.Expiry)
			}
			wantAccepted(t, verifier(t, s.Domain, s.policy, c.option()), issued.Text())
		}
	}
}
