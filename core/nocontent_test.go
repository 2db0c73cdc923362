// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"testing"

	"github.com/go-ect/ect/core"
)

// TestNoContent: where no content came at all, a record that names some is refused, and
// no policy asks for a hash of it (profile 9.6).
func TestNoContent(t *testing.T) {
	named := core.Hash{Sum: [32]byte{1}, Present: true}
	for _, tt := range []struct {
		name    string
		binding core.BodyBinding
		out     core.Hash
		want    core.Code
	}{
		{"ignored, none named", core.BodyIgnore, core.Hash{}, 0},
		{"ignored, some named", core.BodyIgnore, named, 0},
		{"matched, none named", core.BodyMatch, core.Hash{}, 0},
		{"matched, some named", core.BodyMatch, named, core.CodeBody},
		{"required, none named", core.BodyRequire, core.Hash{}, 0},
		{"required, some named", core.BodyRequire, named, core.CodeBody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newTaskPair(t, func(p *taskPair) { p.policyA.Body = tt.binding })
			ctx, task := p.start(t)
			d := p.dispatch(ctx, t, task, "call")
			_, answering := taskAccept(t.Context(), t, p.to, d.Tokens()...)
			a, err := answering.Finish(t.Context(), core.Completion{OutHash: tt.out})
			if err != nil {
				t.Fatal(err)
			}
			if _, err = d.Verify(ctx, core.Presented{Values: a.Tokens, NoContent: true}); core.CodeOf(err) != tt.want {
				t.Errorf("Verify = %v, want the code %v", err, tt.want)
			}
			// The same said of a request.
			in, err := p.a.Issuer(t).Issue(t.Context(), core.IssueRequest{Audience: []string{p.a.Identity}, Action: "ask", OutHash: tt.out})
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.from.Verifier().Verify(t.Context(), core.Presented{Values: []string{in.Text()}, NoContent: true})
			if core.CodeOf(err) != tt.want {
				t.Errorf("Verify of a request = %v, want the code %v", err, tt.want)
			}
		})
	}
}
