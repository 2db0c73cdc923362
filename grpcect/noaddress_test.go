// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/go-ect/ect/core"
)

// TestMessageWithoutAddress: what cannot be told from others is never taken for what a record
// names: such a call is refused where the messages matter, and nothing is claimed of it.
func TestMessageWithoutAddress(t *testing.T) {
	for _, c := range []struct {
		name    string
		body    core.BodyBinding
		named   bool
		refused bool
	}{
		{"ignored", core.BodyIgnore, true, false},
		{"nothing to match", core.BodyMatch, false, false},
		{"to be matched", core.BodyMatch, true, true},
		{"required", core.BodyRequire, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.to.policy.Body = c.body })
			var states []core.BodyState
			_, cc := dialTables(t, w, func(s core.BodyState) { states = append(states, s) })
			token := w.from.agent.Token(w.to.agent.Identity)
			if c.named {
				sum := sha256.Sum256(make([]byte, 8)) // one message of no bytes
				token = token.With("out_hash", base64.RawURLEncoding.EncodeToString(sum[:]))
			}
			ctx := metadata.AppendToOutgoingContext(t.Context(), core.CarrierTokens, token.Sign(t))
			err := cc.Invoke(ctx, voidMethod, void{}, new(void))
			if c.refused {
				outcome{err: err}.refused(t, core.CodeBody)
			} else if err != nil || !slices.Equal(states, []core.BodyState{core.BodyNotBound}) {
				t.Errorf("the call = %v, the body is %v", err, states)
			}
		})
	}
}
