// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
)

// TestEveryValue: every value of the metadata key counts, and every element of one, in
// whatever way they came (profile 9.1).
func TestEveryValue(t *testing.T) {
	heads := func(n int) func(*testing.T, *world) []string {
		return func(t *testing.T, w *world) (all []string) {
			for range n {
				all = append(all, w.head(t))
			}
			return all
		}
	}
	for _, c := range []struct {
		name   string
		tokens func(*testing.T, *world) []string
		// values puts them into metadata; the tokens are the values without it.
		values func([]string) []string
		heads  int
		code   core.Code
	}{
		{name: "one", tokens: heads(1), heads: 1},
		{name: "two values", tokens: heads(2), heads: 2},
		{name: "two in one value", tokens: heads(2), values: joined(","), heads: 2},
		{name: "with spaces", tokens: heads(3), values: joined(" ,  "), heads: 3},
		{name: "joined and apart", tokens: heads(3), values: func(s []string) []string { return []string{s[0] + "," + s[1], s[2]} }, heads: 3},
		{name: "empty elements", tokens: heads(2), values: func(s []string) []string { return []string{"", "," + s[0] + ",,", " ", s[1] + ", "} }, heads: 2},
		{name: "the same twice", tokens: heads(1), values: func(s []string) []string { return []string{s[0], s[0] + "," + s[0]} }, heads: 1},
		{name: "as many as may be", tokens: heads(core.DefaultTokens), heads: core.DefaultTokens},
		{name: "one more", tokens: heads(core.DefaultTokens + 1), code: core.CodeTooLarge},
		{name: "one more, joined", tokens: heads(core.DefaultTokens + 1), values: joined(","), code: core.CodeTooLarge},
		{name: "the last is bad", tokens: heads(3), values: func(s []string) []string { return []string{s[0], s[1], s[2] + "."} }, code: core.CodeMalformed},
		{name: "the last of a list is bad", tokens: heads(3), values: func(s []string) []string { return []string{s[0], s[1] + "," + s[2] + "."} }, code: core.CodeMalformed},
		{name: "another separator", tokens: heads(2), values: joined(";"), code: core.CodeMalformed},
		{name: "one is another's", tokens: func(t *testing.T, w *world) []string {
			return []string{w.head(t), w.from.agent.Token("spiffe://test.example/another").Sign(t)}
		}, code: core.CodeAudience},
	} {
		for _, k := range kinds {
			t.Run(c.name+"/"+k.name, func(t *testing.T) {
				w := newWorld(t)
				var got *core.Received
				cc := w.bare(t, hooked(talk(), func(ctx context.Context) error {
					got, _ = core.ReceivedFromContext(ctx)
					return nil
				}))
				tokens := c.tokens(t, w)
				values := tokens
				if c.values != nil {
					values = c.values(tokens)
				}
				o := present(t, cc, k.call, values...)
				if c.code != 0 {
					o.refused(t, c.code)
					return
				}
				if o.err != nil || len(got.Heads()) != c.heads || len(got.Context()) > 0 {
					t.Fatalf("%v, received %v", o.err, got)
				}
				var want []core.UUID
				for _, token := range tokens {
					want = append(want, taskOf(t, token))
				}
				if diff := cmp.Diff(want, w.answer(t, o).Claims().Pred); diff != "" {
					t.Errorf("pred (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func joined(by string) func([]string) []string {
	return func(s []string) []string { return []string{strings.Join(s, by)} }
}

// TestContextTokens: history that comes along is no head, whatever the order, and needs not be
// addressed to the service (profile 4.1).
func TestContextTokens(t *testing.T) {
	for _, k := range kinds {
		for name, order := range map[string]func(head, before string) []string{
			"after the head":  func(head, before string) []string { return []string{head, before} },
			"before the head": func(head, before string) []string { return []string{before, head} },
			"in one value":    func(head, before string) []string { return []string{before + ", " + head} },
		} {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				w := newWorld(t)
				before := w.domain.Agent(t, "another").Token(w.from.agent.Identity).With("wid", someWorkflow).Sign(t)
				head := w.from.agent.Token(w.to.agent.Identity).After(t, true, before).Sign(t)
				var got *core.Received
				cc := w.bare(t, hooked(talk(), func(ctx context.Context) error {
					got, _ = core.ReceivedFromContext(ctx)
					return nil
				}))
				o := present(t, cc, k.call, order(head, before)...)
				if o.err != nil {
					t.Fatal(o.err)
				}
				h := got.Heads()
				if len(h) != 1 || h[0].Digest() != parse(t, head).Digest() || len(got.Context()) != 1 || len(h[0].Predecessors()) != 1 ||
					h[0].Predecessors()[0].Digest() != parse(t, before).Digest() || h[0].Complete() != core.Yes {
					t.Errorf("heads %v, context %v", h, got.Context())
				}
				c := w.answer(t, o).Claims()
				if len(c.Pred) != 1 || c.Pred[0] != taskOf(t, head) || c.Workflow.String() != someWorkflow {
					t.Errorf("recorded %+v", c)
				}
				// Without the history the head stands alone, and is refused.
				next := w.from.agent.Token(w.to.agent.Identity).After(t, true, w.from.agent.Token(w.from.agent.Identity).With("wid", someWorkflow).Sign(t)).Sign(t)
				present(t, cc, k.call, next).refused(t, core.CodePredMissing)
			})
		}
	}
}

// someWorkflow is a workflow of tokens that a test mints.
const someWorkflow = "7f1d7a36-52a4-4d7a-9f30-0c6ff1f2a001"
