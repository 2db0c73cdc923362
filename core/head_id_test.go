// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/replay"
)

// TestHeadsOfOneID: no successor could name two heads that bear one id, so they are
// refused together, in either order, before anything is claimed or stored: alone each is
// good (profile 3, 5.1).
func TestHeadsOfOneID(t *testing.T) {
	s := newScene(t)
	to := s.to.Identity
	other := s.Agent(t, "other")
	id := number(1)
	for name, tt := range map[string]struct {
		tokens [2]string
		code   core.Code
	}{
		"two issuers": {
			[2]string{s.token().With("jti", id).Sign(t), other.Token(to).With("jti", id).Sign(t)}, core.CodePredAmbiguous,
		},
		"two level classes": {
			[2]string{s.token().With("jti", id).Sign(t), s.token().With("jti", id).Unsigned(t)}, core.CodePredAmbiguous,
		},
		"two issuers, unsigned": {
			[2]string{s.token().With("jti", id).Unsigned(t), other.Token(to).With("jti", id).Unsigned(t)}, core.CodePredAmbiguous,
		},
		"one issuer and class": {
			[2]string{s.token().With("jti", id).Sign(t), s.token().With("jti", id).With("exec_act", "x").Sign(t)}, core.CodeEquivocation,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for order := range permutations(2) {
				p := s.policy
				p.MinLevel = core.L1
				claims := 0
				memory := memoryStore(t, replay.Config{})
				store := &replayStore{claim: func(batch []replay.Claim) ([]replay.Outcome, error) {
					claims++
					return memory.Claim(t.Context(), batch, true)
				}}
				tasks := taskStore(t, dag.MemoryConfig{})
				v := verifier(t, s.Domain, p, core.WithReplayStore(store), core.WithTaskStore(tasks))
				first, second := tt.tokens[order[0]], tt.tokens[order[1]]
				wantCode(t, v, tt.code, first, second, s.token().Sign(t))
				if n, _ := tasks.Len(); claims > 0 || n > 0 {
					t.Errorf("%d batches claimed and %d tasks stored for a message that was refused", claims, n)
				}
				wantAccepted(t, v, first)
				if got := codeOf(t, v, second); tt.code == core.CodePredAmbiguous && got != 0 {
					t.Errorf("Verify of the other one alone = code %v", got)
				}
			}
		})
	}
}
