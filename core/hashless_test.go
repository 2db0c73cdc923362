// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
)

// TestContextWithoutHashes: to a peer that gets no hashes, tokens that hold some do not
// go as context, nor what only they lead to; what another way leads to does (profile
// 10.3).
func TestContextWithoutHashes(t *testing.T) {
	sum := core.Hash{Sum: [32]byte{1}, Present: true}
	for _, tt := range []struct {
		name         string
		hashed       core.StepInput
		with, hashes string // what goes without hashes, and with
	}{
		{"none", core.StepInput{}, "last beside amid under head", "last beside amid under head"},
		{"inp_hash", core.StepInput{InpHash: sum}, "last beside", "last beside amid under head"},
		{"out_hash", core.StepInput{OutHash: sum}, "last beside", "last beside amid under head"},
		{"both", core.StepInput{InpHash: sum, OutHash: sum}, "last beside", "last beside amid under head"},
	} {
		for _, hashes := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				p := newTaskPair(t, func(p *taskPair) {
					p.fromTo.Context, p.fromTo.Hashes = core.MaxContext, hashes
				})
				ctx, task := p.accept(t, p.heads(t, "head")...)
				step := func(ctx context.Context, action string, in core.StepInput) {
					t.Helper()
					if _, err := task.Step(ctx, action, in); err != nil {
						t.Fatalf("Step(%q): %v", action, err)
					}
				}
				// under is reached through amid alone, head also through under alone.
				step(ctx, "under", core.StepInput{})
				step(ctx, "amid", tt.hashed)
				step(ctx, "beside", core.StepInput{})
				want := tt.with
				if hashes {
					want = tt.hashes
				}
				d := p.dispatch(ctx, t, task, "last")
				if got := strings.Join(p.actions(t, d.Tokens()), " "); got != want {
					t.Errorf("to a peer with hashes=%t goes %q, want %q", hashes, got, want)
				}
				if _, err := p.to.Verifier().Verify(t.Context(), presented(d.Tokens()...)); err != nil {
					t.Errorf("Verify of the message: %v", err)
				}
			})
		}
	}
	t.Run("another way", func(t *testing.T) {
		p := newTaskPair(t, func(p *taskPair) { p.fromTo.Context, p.fromTo.Hashes = core.MaxContext, false })
		ctx, task := p.start(t)
		taskStep(ctx, t, task, "under")
		hashed, left := task.Branch(ctx)
		plain, right := task.Branch(ctx)
		if _, err := task.Step(hashed, "hashed", core.StepInput{OutHash: sum}); err != nil {
			t.Fatal(err)
		}
		taskStep(plain, t, task, "plain")
		left.Join()
		right.Join()
		if got := strings.Join(p.actions(t, p.dispatch(ctx, t, task, "last").Tokens()), " "); got != "last plain under" {
			t.Errorf("what goes is %q, want all but the one with a hash", got)
		}
	})
	t.Run("an answer", func(t *testing.T) {
		p := newTaskPair(t, func(p *taskPair) { p.fromTo.Context, p.fromTo.Hashes = core.MaxContext, false })
		ctx, task := p.accept(t, p.heads(t, "head")...)
		taskStep(ctx, t, task, "under")
		if _, err := task.Step(ctx, "hashed", core.StepInput{InpHash: sum}); err != nil {
			t.Fatal(err)
		}
		a := taskFinish(ctx, t, task, core.Completion{InpHash: sum, OutHash: sum})
		if got := strings.Join(p.actions(t, a.Tokens), " "); got != "task" {
			t.Errorf("the answer is %q, want the task token alone", got)
		}
		if c := a.Issued.Claims(); c.InpHash.Present || c.OutHash.Present {
			t.Errorf("the answer says %v, %v to a peer that gets no hashes", c.InpHash, c.OutHash)
		}
	})
}
