// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
)

// TestLongCall: a call takes longer than the task store keeps what is quiet. Its answer
// names a dispatch that was forgotten, and is good all the same.
func TestLongCall(t *testing.T) {
	for _, missing := range []core.MissingPolicy{core.RejectMissing, core.AllowPartial} {
		c := newClock(time.Now())
		tasks := taskStore(t, dag.MemoryConfig{Quiet: time.Minute, Now: c.now})
		p := newTaskPair(t)
		policy := p.policyA
		policy.Missing = missing
		p.from = p.domain.ServiceWithPolicy(t, p.a, policy, []core.Audience{p.fromTo}, core.WithTaskStore(tasks))
		ctx, task := p.start(t)
		taskStep(ctx, t, task, "s")
		d := p.dispatch(ctx, t, task, "d")
		answer := p.serve(ctx, t, d)

		c.set(c.now().Add(2 * time.Minute))
		wantAccepted(t, p.from.Verifier(), p.b.Token(p.a.Identity).Sign(t)) // somebody else's, which tidies up
		if n, _ := tasks.Len(); n != 1 {
			t.Fatalf("%d tasks are kept, want that of the newcomer alone", n)
		}
		r, err := d.Verify(ctx, presented(answer...))
		if err != nil {
			t.Fatalf("Verify of the answer: %v", err)
		}
		a := taskFinish(ctx, t, task, core.Completion{})
		if got, want := a.Issued.Claims().Pred, r.Heads()[0].Claims().TaskID; len(got) != 1 || got[0] != want {
			t.Errorf("the task token names %v, want %v", got, want)
		}
	}
}
