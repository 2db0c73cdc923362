// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"testing"

	"github.com/go-ect/ect/core"
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
