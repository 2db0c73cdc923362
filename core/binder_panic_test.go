// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"fmt"
	"testing"

	"github.com/go-ect/ect/core"
)

// TestBinderPanics: what a binder panics with reaches who called Verify, where a server
// recovers it, however many tokens came: the process lives, and nothing is claimed.
func TestBinderPanics(t *testing.T) {
	s := newScene(t)
	for _, n := range []int{1, 2, core.DefaultTokens} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var texts []string
			for range n {
				texts = append(texts, s.token().Sign(t))
			}
			broken := true
			v, err := core.NewVerifier(binderFunc(func(u *core.Unverified) (core.BoundKey, error) {
				if broken && u.ClaimsWithoutVerification().TaskID.String() == taskID(t, texts[n-1]) {
					panic("the binder is broken")
				}
				return s.Bind(t.Context(), u, core.Evidence{})
			}), s.policy)
			if err != nil {
				t.Fatal(err)
			}
			func() {
				defer func() {
					if p := recover(); p != "the binder is broken" {
						t.Errorf("Verify panics with %v, want the binder's panic", p)
					}
				}()
				v.Verify(t.Context(), presented(texts...)) //nolint:errcheck // it panics
			}()
			broken = false
			wantAccepted(t, v, texts...)
		})
	}
}
