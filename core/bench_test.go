// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

// benchPolicy claims nothing, so that one token can be presented again and again.
func benchPolicy(s *scene) core.Policy {
	p := s.policy
	p.MinLevel, p.Replay = core.L1, core.ReplayOff
	return p
}

// typical is a token of the size that our issuers write: a workflow, two predecessors
// with their digests, and both hashes.
func typical(b testing.TB, s *scene, alg core.Algorithm) (agent *ecttest.Agent, text string, preds []string) {
	b.Helper()
	agent = s.AgentWithAlgorithm(b, "bench-"+alg.String(), alg)
	for range 2 {
		preds = append(preds, agent.Token(s.to.Identity).With("wid", number(1)).Sign(b))
	}
	tok := agent.Token(s.to.Identity).After(b, true, preds...).
		With("inp_hash", "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg").With("out_hash", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")
	return agent, tok.Sign(b), preds
}

// derOf is a signature of JWS in the form that crypto/ecdsa takes.
func derOf(tb testing.TB, sig []byte) []byte {
	tb.Helper()
	half := len(sig) / 2
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:half]), new(big.Int).SetBytes(sig[half:])})
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// benchVerify presents tokens again and again, after those before them.
func benchVerify(b *testing.B, s *scene, p core.Policy, memory int, before []string, values ...string) {
	b.Helper()
	v := verifier(b, s.Domain, p, core.WithSignatureMemory(memory))
	for _, text := range before {
		wantAccepted(b, v, text)
	}
	in := presented(values...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify holds verification against its floor: the hash and the signature check
// that no verifier can do without.
func BenchmarkVerify(b *testing.B) {
	s := newScene(b)
	for _, alg := range []core.Algorithm{core.ES256, core.ES384, core.EdDSA} {
		agent, text, preds := typical(b, s, alg)
		dot := strings.LastIndexByte(text, '.')
		input := []byte(text[:dot])
		sig, err := base64.RawURLEncoding.DecodeString(text[dot+1:])
		if err != nil {
			b.Fatal(err)
		}
		b.Run("floor/"+alg.String(), func(b *testing.B) {
			switch key := agent.Key.Public().(type) {
			case ed25519.PublicKey:
				b.ReportAllocs()
				for b.Loop() {
					if !ed25519.Verify(key, input, sig) {
						b.Fatal("not verified")
					}
				}
			case *ecdsa.PublicKey:
				der := derOf(b, sig)
				b.ReportAllocs()
				for b.Loop() {
					if !ecdsa.VerifyASN1(key, digestFor(alg, input), der) {
						b.Fatal("not verified")
					}
				}
			}
		})
		b.Run("verify/"+alg.String(), func(b *testing.B) { benchVerify(b, s, benchPolicy(s), 0, preds, text) })
		b.Run("remembered/"+alg.String(), func(b *testing.B) {
			benchVerify(b, s, benchPolicy(s), core.DefaultSignatureMemory, preds, text)
		})
	}
	b.Run("unsigned", func(b *testing.B) {
		tok := s.token().With("wid", number(1))
		benchVerify(b, s, benchPolicy(s), 0, nil, tok.Unsigned(b))
	})
	b.Run("idempotent/ES256", func(b *testing.B) { // with a claim in the replay store each time
		p := benchPolicy(s)
		p.Replay = core.ReplayIdempotent
		_, text, preds := typical(b, s, core.ES256)
		benchVerify(b, s, p, 0, preds, text)
	})
	b.Run("remembered and idempotent/ES256", func(b *testing.B) {
		p := benchPolicy(s)
		p.Replay = core.ReplayIdempotent
		_, text, preds := typical(b, s, core.ES256)
		benchVerify(b, s, p, core.DefaultSignatureMemory, preds, text)
	})
}

func digestFor(alg core.Algorithm, input []byte) []byte {
	if alg == core.ES384 {
		d := sha512.Sum384(input)
		return d[:]
	}
	d := sha256.Sum256(input)
	return d[:]
}

// BenchmarkVerifyMessage verifies messages of several tokens, a chain of which all but
// one is context.
func BenchmarkVerifyMessage(b *testing.B) {
	s := newScene(b)
	for _, n := range []int{1, 2, 4, 8, 16} {
		texts := []string{s.token().Sign(b)}
		for len(texts) < n {
			texts = append(texts, s.token().After(b, true, texts[len(texts)-1]).Sign(b))
		}
		b.Run(fmt.Sprintf("verify/n=%d", n), func(b *testing.B) { benchVerify(b, s, benchPolicy(s), 0, nil, texts...) })
		b.Run(fmt.Sprintf("remembered/n=%d", n), func(b *testing.B) {
			benchVerify(b, s, benchPolicy(s), core.DefaultSignatureMemory, nil, texts...)
		})
	}
}

// BenchmarkRefuse refuses tokens: what an attacker can make a verifier do for nothing.
func BenchmarkRefuse(b *testing.B) {
	s := newScene(b)
	old := s.from.TokenAt(s.to.Identity, time.Now().Add(-time.Hour)).Sign(b)
	good := s.token().Sign(b)
	big := func(claim string, value any) string { return s.token().With(claim, value).Sign(b) }
	for _, tt := range []struct {
		name string
		text string
	}{
		{"malformed", good + "."}, {"too large", strings.Repeat("A", 8193)}, {"8 KiB of rubbish", strings.Repeat("A", 8192)},
		{"bad signature", forge(b, good)}, {"unknown issuer", s.token().With("iss", "urn:x:y").Sign(b)},
		{"expired", old}, {"another audience", s.from.Token("urn:x:y").Sign(b)},
		{"5000 bytes of brackets", big("x", raw("["+strings.Repeat("[],", 1600)+"[]]"))},
		{"members", big("x", raw(manyMembers(500)))}, {"pred of 101", big("pred", numbers(101))},
	} {
		b.Run(tt.name, func(b *testing.B) {
			p := s.policy
			p.Audience = "urn:refuses:all"
			v := verifier(b, s.Domain, p, core.WithSignatureMemory(0))
			in := presented(tt.text)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), in); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

// manyMembers returns an object of n members.
func manyMembers(n int) string { return many(n) + "}" }

// BenchmarkIssue holds issuing against its floor, a bare signature over as many bytes.
func BenchmarkIssue(b *testing.B) {
	s := newScene(b)
	r := core.IssueRequest{
		Audience: []string{s.to.Identity}, Action: "bench", Workflow: core.Workflow{ID: uuid(b, number(1)), Present: true},
		Pred:    []core.Predecessor{{TaskID: uuid(b, number(2))}, {TaskID: uuid(b, number(3))}},
		InpHash: core.Hash{Present: true}, OutHash: core.Hash{Present: true},
	}
	for _, alg := range []core.Algorithm{core.ES256, core.ES384, core.EdDSA} {
		agent := s.AgentWithAlgorithm(b, "bench-"+alg.String(), alg)
		issuer := agent.Issuer(b)
		issued, err := issuer.Issue(b.Context(), r)
		if err != nil {
			b.Fatal(err)
		}
		input := []byte(issued.Text()[:strings.LastIndexByte(issued.Text(), '.')])
		b.Run("floor/"+alg.String(), func(b *testing.B) {
			b.ReportAllocs()
			switch key := agent.Key.(type) {
			case ed25519.PrivateKey:
				for b.Loop() {
					ed25519.Sign(key, input)
				}
			case *ecdsa.PrivateKey:
				for b.Loop() {
					if _, err := ecdsa.SignASN1(rand.Reader, key, digestFor(alg, input)); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		b.Run("issue/"+alg.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := issuer.Issue(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	unsigned, err := core.NewUnsignedIssuer(s.from.Identity)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("unsigned", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := unsigned.Issue(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkParse opens a token and believes nothing.
func BenchmarkParse(b *testing.B) {
	s := newScene(b)
	_, text, _ := typical(b, s, core.ES256)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := core.ParseWithoutVerification(text); err != nil {
			b.Fatal(err)
		}
	}
}
