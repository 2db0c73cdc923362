// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"encoding/base64"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

const tokenAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// fullToken returns a token that makes use of every claim.
func (s *scene) fullToken(t *testing.T) *ecttest.Token {
	t.Helper()
	pred := s.token().With("wid", number(7)).Sign(t)
	tok := s.token().After(t, true, pred).
		With("inp_hash", "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg").
		With("out_hash", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU").
		With("sub", "ignored")
	ext, ok := tok.Claims["ect_ext"].(map[string]any)
	if !ok {
		t.Fatal("the token has no ect_ext")
	}
	ext["pol"], ext["pol_decision"], ext["org.example.x"] = "p", "approved", []int{1, 2}
	return tok
}

// mangling is a text that a good token was turned into.
type mangling struct {
	text string
	// code is what it must be refused with; 0 if any will do.
	code core.Code
}

// TestManglings changes every byte of a token into every other byte that tokens are made
// of, cuts it everywhere, and puts foreign bytes in everywhere. Each result must be
// refused, by a verifier that remembers the good token's signature as by one that does
// not, unless it is the one other spelling of the same token (profile 2.8). The race
// detector gets every seventh substitution, the step being prime to the alphabet.
func TestManglings(t *testing.T) {
	s := newScene(t)
	good := s.fullToken(t).Sign(t)
	stride := 1
	if raceEnabled || testing.Short() {
		stride = 7
	}
	all := substitutions(good, stride)
	all = append(all, cuts(good)...)
	all = append(all, insertions(good)...)
	for _, tt := range []struct {
		name   string
		memory int
	}{
		{"without signature memory", 0},
		{"with signature memory", 1 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := verifier(t, s.Domain, s.loose(), core.WithSignatureMemory(tt.memory))
			if tt.memory > 0 {
				wantAccepted(t, v, good)
			}
			inParallel(all, func(m mangling) {
				code := codeOf(t, v, m.text)
				switch {
				case code == 0 && !sameToken(t, good, m.text):
					t.Errorf("Verify(%q) = nil, want it refused", m.text)
				case m.code != 0 && code != m.code:
					t.Errorf("Verify(%q) = code %v, want %v", m.text, code, m.code)
				}
			})
			if tt.memory == 0 {
				wantAccepted(t, v, good)
			}
		})
	}
	t.Run("without verification", func(t *testing.T) {
		inParallel(all, func(m mangling) {
			u, err := core.ParseWithoutVerification(m.text)
			if (err == nil) != (u != nil) {
				t.Errorf("ParseWithoutVerification(%q) = %v, %v", m.text, u, err)
			}
			if m.code == core.CodeMalformed && core.CodeOf(err) != m.code {
				t.Errorf("ParseWithoutVerification(%q) = %v, want code %v", m.text, err, m.code)
			}
		})
	})
}

// inParallel calls f for all, on every core.
func inParallel(all []mangling, f func(mangling)) {
	var wg sync.WaitGroup
	n := runtime.GOMAXPROCS(0)
	for w := range n {
		wg.Go(func() {
			for i := w; i < len(all); i += n {
				f(all[i])
			}
		})
	}
	wg.Wait()
}

func substitutions(good string, stride int) []mangling {
	all := make([]mangling, 0, len(good)*len(tokenAlphabet)/stride)
	n := 0
	for i := range len(good) {
		for _, c := range []byte(tokenAlphabet) {
			if n++; c == good[i] || n%stride != 0 {
				continue
			}
			all = append(all, mangling{text: good[:i] + string(c) + good[i+1:]})
		}
	}
	return all
}

// cuts returns every proper prefix and suffix.
func cuts(good string) []mangling {
	all := []mangling{}
	for i := 1; i < len(good); i++ {
		all = append(all, mangling{text: good[:i]}, mangling{text: good[i:]})
	}
	return append(all, mangling{text: "", code: core.CodeRequired})
}

// insertions puts bytes that no token has in everywhere, and bytes that any token may
// have at both ends. White space around a value is no part of it.
func insertions(good string) []mangling {
	all := []mangling{}
	for i := 0; i <= len(good); i++ {
		for _, c := range []string{"\r", "\n", "\r\n", " ", "\t", "=", "==", "\x00", "\x0b", "+", "/", "%", "\u00e9", "\xff"} {
			if (i == 0 || i == len(good)) && strings.Trim(c, " \t") == "" {
				continue
			}
			all = append(all, mangling{good[:i] + c + good[i:], core.CodeMalformed})
		}
	}
	for _, pad := range []string{"A", "AA", "AAA", "AAAA", "AAAAAAAA", ".", "..", strings.Repeat("A", 42), strings.Repeat("A", 44), "_", "____"} {
		all = append(all, mangling{text: good + pad}, mangling{text: pad + good})
	}
	return all
}

// sameToken tells whether a text is another spelling of a token, by the one freedom
// that is left: r and s, or r and n-s.
func sameToken(tb testing.TB, good, other string) bool {
	other = strings.Trim(other, " \t")
	return other == good || other == ecttest.Twin(tb, good)
}

// TestTwin holds the one spelling that is left to a stranger: it is accepted, and what
// is stored and forwarded is the low one (profile 2.8).
func TestTwin(t *testing.T) {
	s := newScene(t)
	for range 8 { // both halves come up
		text := s.token().Sign(t)
		twin := ecttest.Twin(t, text)
		if text == twin || ecttest.HighS(t, text) == ecttest.HighS(t, twin) {
			t.Fatalf("Twin(%q) = %q", text, twin)
		}
		low := text
		if ecttest.HighS(t, text) {
			low = twin
		}
		for _, presentedText := range []string{text, twin} {
			h := wantAccepted(t, verifier(t, s.Domain, s.policy), presentedText).Heads()[0]
			if h.Text() != low {
				t.Errorf("Verify(%q).Text() = %q, want %q", presentedText, h.Text(), low)
			}
			if h.Digest() != unverified(t, text).Digest() || unverified(t, twin).Digest() != h.Digest() {
				t.Errorf("the digests of %q and %q differ", text, twin)
			}
		}
	}
}

// TestRememberedSignature presents spellings of a signature whose bytes, filled up with
// zeros, are those of one that was verified. A signature has one length (RFC 7518, 3.4),
// so they are refused whether it is remembered or not.
func TestRememberedSignature(t *testing.T) {
	for _, alg := range []core.Algorithm{core.ES256, core.ES384, core.EdDSA} {
		t.Run(alg.String(), func(t *testing.T) {
			s := newScene(t)
			from := s.AgentWithAlgorithm(t, "signer", alg)
			v := verifier(t, s.Domain, s.loose())
			for range 4 {
				good := from.Token(s.to.Identity).Sign(t)
				wantAccepted(t, v, good)
				h, p, sig := parts(t, good)
				b, err := base64.RawURLEncoding.DecodeString(sig)
				if err != nil {
					t.Fatal(err)
				}
				accepted := []int{}
				for n := 0; n <= 130; n++ {
					other := make([]byte, n)
					copy(other, b)
					code := codeOf(t, v, h+"."+p+"."+base64.RawURLEncoding.EncodeToString(other))
					if code == 0 {
						accepted = append(accepted, n)
					} else if code != core.CodeSignature {
						t.Errorf("Verify with %d bytes of signature = code %v, want %v", n, code, core.CodeSignature)
					}
				}
				if diff := cmp.Diff([]int{len(b)}, accepted); diff != "" {
					t.Errorf("signatures of these lengths are accepted once the right one is remembered (-want +got):\n%s", diff)
				}
				wantAccepted(t, v, good)
			}
			if from.Algorithm != core.ES256 {
				return // Ed25519 signatures end in zeros too seldom, and ES384 takes long
			}
			t.Run("that ends in zeros", func(t *testing.T) {
				good, b := endsInZero(t, from, s.to.Identity)
				wantAccepted(t, v, good)
				h, p, _ := parts(t, good)
				wantCode(t, v, core.CodeSignature, h+"."+p+"."+base64.RawURLEncoding.EncodeToString(b[:len(b)-1]))
			})
		})
	}
}

// endsInZero signs tokens until a signature ends in a zero byte.
func endsInZero(t *testing.T, from *ecttest.Agent, to string) (string, []byte) {
	t.Helper()
	tok := from.Token(to)
	for {
		in := tok.SigningInput(t)
		sig := ecttest.Sign(t, tok.Key, tok.Algorithm, in)
		if sig[len(sig)-1] == 0 {
			return in + "." + base64.RawURLEncoding.EncodeToString(sig), sig
		}
	}
}

// TestManglingsUnsigned does the same to an unsigned token. Nothing protects its
// content, so some results are good tokens; but each is one of its own, with one spelling.
func TestManglingsUnsigned(t *testing.T) {
	s := newScene(t)
	good := s.fullToken(t).Unsigned(t)
	v := verifier(t, s.Domain, s.loose())
	wantAccepted(t, v, good)
	stride := 1
	if raceEnabled || testing.Short() {
		stride = 7
	}
	all := append(substitutions(good, stride), cuts(good)...)
	digest := unverified(t, good).Digest()
	inParallel(append(all, insertions(good)...), func(m mangling) {
		code := codeOf(t, v, m.text)
		if m.code != 0 && code != m.code {
			t.Errorf("Verify(%q) = code %v, want %v", m.text, code, m.code)
		}
		if code != 0 {
			return
		}
		b, err := base64.RawURLEncoding.DecodeString(m.text)
		if err != nil || base64.RawURLEncoding.EncodeToString(b) != m.text {
			t.Errorf("Verify(%q) = nil, and it is not canonical", m.text)
		}
		if unverified(t, m.text).Digest() == digest {
			t.Errorf("Verify(%q) = nil, with the digest of another text", m.text)
		}
	})
}

// TestNeverUnsigned spoils signed tokens in a way that leaves a payload that would do at
// L1, where L1 is enough. A JWS that fails anything is never looked at as L1 (profile 2.5).
func TestNeverUnsigned(t *testing.T) {
	s := newScene(t)
	v := verifier(t, s.Domain, s.loose())
	good := s.token().Sign(t)
	h, p, sig := parts(t, good)
	wantAccepted(t, v, p) // the payload alone is a good L1 token
	for _, tt := range []struct {
		text string
		code core.Code
	}{
		{p + ".", core.CodeMalformed}, {"." + p, core.CodeMalformed}, {"." + p + ".", core.CodeMalformed},
		{p + "..", core.CodeMalformed}, {".." + p, core.CodeMalformed}, {h + "." + p, core.CodeMalformed},
		{p + "." + sig, core.CodeMalformed}, {h + "." + p + ".", core.CodeSignature},
		{ecttest.B64(`{"alg":"none"}`) + "." + p + ".", core.CodeType},
		{ecttest.B64(`{"alg":"none","typ":"exec+jwt","kid":"k"}`) + "." + p + ".", core.CodeAlgorithm},
		{p + "." + p + "." + p, core.CodeType}, {"e30." + p + ".", core.CodeType},
		{h + "." + p + "." + sig + ".", core.CodeMalformed},
	} {
		wantCode(t, v, tt.code, tt.text)
	}
}
