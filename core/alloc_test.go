// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package core_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
)

// maxAllocations is how many allocations a verification, or a request with all that
// belongs to it, may have beyond those of crypto/ecdsa.
const maxAllocations = 40

// TestAllocations holds verification against the allocations of the signature check alone.
func TestAllocations(t *testing.T) {
	s := newScene(t)
	agent, text, preds := typical(t, s, core.ES256)
	key, ok := agent.Key.Public().(*ecdsa.PublicKey)
	if !ok {
		t.Fatal("the key is none of ECDSA")
	}
	dot := strings.LastIndexByte(text, '.')
	sig, err := base64.RawURLEncoding.DecodeString(text[dot+1:])
	if err != nil {
		t.Fatal(err)
	}
	sum, der := sha256.Sum256([]byte(text[:dot])), derOf(t, sig)
	floor := testing.AllocsPerRun(200, func() {
		if !ecdsa.VerifyASN1(key, sum[:], der) {
			t.Error("the signature does not verify")
		}
	})
	for name, memory := range map[string]int{"verified each time": 0, "remembered": 100} {
		v := verifier(t, s.Domain, benchPolicy(s), core.WithSignatureMemory(memory))
		for _, p := range preds {
			wantAccepted(t, v, p)
		}
		in := presented(text)
		got := testing.AllocsPerRun(200, func() {
			if _, err := v.Verify(t.Context(), in); err != nil {
				t.Error(err)
			}
		})
		beyond := got
		if memory == 0 {
			beyond -= floor
		}
		if beyond > maxAllocations {
			t.Errorf("%s: %v allocations, %v of them beyond those of crypto/ecdsa, want at most %d", name, got, beyond, maxAllocations)
		}
		t.Logf("%s: %v allocations, crypto/ecdsa has %v", name, got, floor)
	}
}
