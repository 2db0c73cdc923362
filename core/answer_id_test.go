// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"slices"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
)

// TestAnswerBearsTakenID: `pred` holds no id twice, so an answer that bears the id of
// another token of the task is none, and takes nothing from the task: the dispatch
// stands, and what comes after it is issued (profile 3, 5.1).
func TestAnswerBearsTakenID(t *testing.T) {
	for _, name := range []string{"the head", "a step", "another dispatch", "the task", "an earlier answer"} {
		for _, missing := range []core.MissingPolicy{core.RejectMissing, core.AllowPartial} {
			t.Run(name, func(t *testing.T) {
				p := newTaskPair(t, func(p *taskPair) { p.policyA.Missing = missing })
				third := p.domain.Agent(t, "third")
				audience := core.Audience{ID: third.Identity, Tokens: true}
				p.from = p.domain.ServiceWithPolicy(t, p.a, p.policyA, []core.Audience{p.fromTo, audience})
				wid := id.NewWorkflow().String()
				head := third.Token(p.a.Identity).With("wid", wid).Sign(t)
				ctx, task := p.accept(t, head)
				step := taskStep(ctx, t, task, "s")
				toThird, err := task.Dispatch(ctx, audience, core.DispatchInput{Action: "third"})
				if err != nil {
					t.Fatalf("Dispatch: %v", err)
				}
				d, other := p.dispatch(ctx, t, task, "d"), p.dispatch(ctx, t, task, "other")
				earlier := third.Token(p.a.Identity).After(t, true, toThird.Issued().Text()).Sign(t)
				if _, err := toThird.Verify(ctx, presented(earlier)); err != nil {
					t.Fatalf("Verify of the answer before: %v", err)
				}
				taken := map[string]string{
					"the head": taskID(t, head), "a step": step.Claims().TaskID.String(),
					"another dispatch": other.Issued().Claims().TaskID.String(), "the task": task.ID().String(),
					"an earlier answer": taskID(t, earlier),
				}[name]
				answer := p.b.Token(p.a.Identity).After(t, true, d.Issued().Text()).With("jti", taken).Sign(t)
				if r, err := d.Verify(ctx, presented(answer)); core.CodeOf(err) != core.CodeAnswer || r != nil {
					t.Errorf("Verify of an answer that bears the id of %s = %v, %v, want code %v", name, r, err, core.CodeAnswer)
				}
				d.Done()
				other.Done()
				next := p.dispatch(ctx, t, task, "next")
				var got []string
				for _, pred := range next.Issued().Claims().Pred {
					got = append(got, pred.String())
				}
				want := []string{taskID(t, earlier), taskID(t, d.Issued().Text()), taskID(t, other.Issued().Text())}
				if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
					t.Errorf("what comes next names %v, want %v", got, want)
				}
				p.answer(ctx, t, next)
				taskFinish(ctx, t, task, core.Completion{})
			})
		}
	}
}
