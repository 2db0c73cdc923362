// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/ecttest"
)

// TestCrossWorkflowIssuers: what a policy is told of an edge between workflows names the
// issuers of signed tokens, and none of unsigned ones, which anyone can write.
func TestCrossWorkflowIssuers(t *testing.T) {
	const other = "6f1d3a0e-74b9-4a3b-8f0e-6b1d6a3f0c11"
	d := ecttest.NewDomain()
	from, to := d.Agent(t, "from"), d.Agent(t, "to")
	for _, tt := range []struct {
		name string
		mint func(*ecttest.Token) string
		want string
	}{
		{"signed", func(tok *ecttest.Token) string { return tok.Sign(t) }, from.Identity},
		{"unsigned", func(tok *ecttest.Token) string { return tok.Unsigned(t) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var edges []core.CrossWorkflowEdge
			p := to.Policy()
			p.MinLevel = core.L1
			p.CrossWorkflow = func(e core.CrossWorkflowEdge) (core.Workflow, bool) {
				edges = append(edges, e)
				return core.Workflow{}, true
			}
			v := verifier(t, d, p)
			pred := tt.mint(from.Token(to.Identity).With("wid", other))
			child := tt.mint(from.Token(to.Identity).After(t, true, pred).Without("wid"))
			r, err := v.Verify(t.Context(), presented(child, pred))
			if err != nil {
				t.Fatalf("Verify: %v", err)
			}
			if len(edges) == 0 {
				t.Fatal("the policy was not asked")
			}
			for _, e := range edges {
				if e.PredIssuer != tt.want || e.ChildIssuer != tt.want || e.PredWorkflow.String() != other || e.ChildWorkflow.Present {
					t.Errorf("the policy was told %+v", e)
				}
			}
			if h := r.Heads()[0]; h.CrossesWorkflow() != core.Yes || r.Workflow().Present {
				t.Errorf("crosses: %v, goes on as %v", h.CrossesWorkflow(), r.Workflow())
			}
		})
	}
}

// TestCrossWorkflowAskedAgain lets a token come between check and admission that names
// the one under judgement, so that it is judged again: a policy that answers otherwise
// now refuses it, as which workflow goes on is settled.
func TestCrossWorkflowAskedAgain(t *testing.T) {
	const other, third = "6f1d3a0e-74b9-4a3b-8f0e-6b1d6a3f0c11", "0d9a3f62-92f5-4dd2-a1b2-52f1c3d4e5f6"
	named := func(u string) core.Workflow { return core.Workflow{ID: uuid(t, u), Present: true} }
	for _, tt := range []struct {
		name    string
		between bool
		second  core.Workflow
		admits  bool
		asked   int
		code    core.Code
	}{
		{"nothing in between", false, core.Workflow{}, false, 1, 0},
		{"the same answer", true, named(other), true, 2, 0},
		{"another workflow", true, named(third), true, 2, core.CodeWorkflow},
		{"no workflow", true, core.Workflow{}, true, 2, core.CodeWorkflow},
		{"not admitted any more", true, named(other), false, 2, core.CodeWorkflow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			store := taskStore(t, dag.MemoryConfig{})
			pred := s.token().With("wid", other).Sign(t)
			child := s.token().After(t, true, pred).Without("wid").Sign(t)
			asked := 0
			p := s.policy
			p.CrossWorkflow = func(core.CrossWorkflowEdge) (core.Workflow, bool) {
				if asked++; asked > 1 {
					return tt.second, tt.admits
				}
				return named(other), true
			}
			neighbour := verifier(t, s.Domain, s.loose(), core.WithTaskStore(store))
			wantAccepted(t, neighbour, pred)
			v := verifier(t, s.Domain, p, core.WithTaskStore(&admitter{store, func() error {
				if tt.between {
					wantAccepted(t, neighbour, s.token().After(t, true, child).Without("wid").Sign(t))
				}
				return nil
			}}))
			if tt.code != 0 {
				wantCode(t, v, tt.code, child)
			} else if r := wantAccepted(t, v, child); r.Workflow() != named(other) {
				t.Errorf("%v goes on, want %v", r.Workflow(), other)
			}
			if asked != tt.asked {
				t.Errorf("the policy was asked %d times, want %d", asked, tt.asked)
			}
		})
	}
}
