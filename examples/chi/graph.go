// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/go-jose/go-jose/v4"

	"github.com/go-ect/ect/core"
)

// graph is the tokens of one run, in the order they were issued.
type graph struct {
	tokens []*core.Issued
	names  map[string]string // identity to agent
	number map[core.UUID]int
}

func newGraph(agents []*agent, tokens []*core.Issued) *graph {
	g := &graph{tokens: tokens, names: map[string]string{}, number: map[core.UUID]int{}}
	for _, a := range agents {
		g.names[a.identity] = a.name
	}
	for n, t := range tokens {
		g.number[t.Claims().TaskID] = n + 1
	}
	return g
}

// check does what an auditor would who has the tokens and the public keys and nothing
// else: it verifies every signature with another JOSE library, and every edge by digest.
func (g *graph) check(agents []*agent) error {
	keys := map[string]*agent{}
	for _, a := range agents {
		keys[a.identity] = a
	}
	byID := map[core.UUID]*core.Issued{}
	for _, t := range g.tokens {
		byID[t.Claims().TaskID] = t
	}
	for n, t := range g.tokens {
		jws, err := jose.ParseSignedCompact(t.Text(), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			return fmt.Errorf("token %d: %w", n+1, err)
		}
		a := keys[t.Issuer()]
		if a == nil {
			return fmt.Errorf("token %d: nobody knows its issuer", n+1)
		}
		if _, err := jws.Verify(a.key.Public()); err != nil {
			return fmt.Errorf("token %d: %w", n+1, err)
		}
		c := t.Claims()
		for i, p := range c.Pred {
			pred := byID[p]
			switch {
			case pred == nil:
				return fmt.Errorf("token %d: a predecessor is missing", n+1)
			case pred.Digest().Short() != c.Ext.PredDigests[i]:
				return fmt.Errorf("token %d: a predecessor is another token", n+1)
			case pred.Claims().Workflow != c.Workflow:
				return fmt.Errorf("token %d: a predecessor is of another workflow", n+1)
			}
		}
	}
	return nil
}

// label is who did what.
func (g *graph) label(t *core.Issued) string {
	name := g.names[t.Issuer()] + ": " + t.Claims().Action
	if t.Claims().Action == "dispatch" {
		name = g.names[t.Issuer()] + " calls " + g.names[t.Claims().Audience[0]]
	}
	return name
}

// preds is the numbers of the predecessors, sorted.
func (g *graph) preds(t *core.Issued) []int {
	var all []int
	for _, p := range t.Claims().Pred {
		all = append(all, g.number[p])
	}
	slices.Sort(all)
	return all
}

// printTable writes a line a token.
func (g *graph) printTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "#\tlevel\ttask id\twho did what\tafter\tinput\toutput\tpolicy") //nolint:errcheck // Flush tells
	for n, t := range g.tokens {
		c := t.Claims()
		after := strings.Trim(fmt.Sprint(g.preds(t)), "[]")
		if after == "" {
			after = "-"
		}
		policy := ""
		if c.Ext.Policy != nil {
			policy = c.Ext.Policy.Policy + ": " + string(c.Ext.Policy.Decision)
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n+1, t.Level(), c.TaskID.String()[:8], //nolint:errcheck // Flush tells
			g.label(t), after, short(c.InpHash), short(c.OutHash), policy)
	}
	return tw.Flush()
}

func short(h core.Hash) string {
	if !h.Present {
		return "-"
	}
	return h.String()[:8]
}

// printMermaid writes the graph for a Markdown page.
func (g *graph) printMermaid(w io.Writer) error {
	var b strings.Builder
	b.WriteString("```mermaid\nflowchart TD\n")
	for n, t := range g.tokens {
		fmt.Fprintf(&b, "  t%d[\"%d %s\"]\n", n+1, n+1, g.label(t))
	}
	for n, t := range g.tokens {
		for _, p := range g.preds(t) {
			fmt.Fprintf(&b, "  t%d --> t%d\n", p, n+1)
		}
	}
	b.WriteString("```\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// joined tells whether the two parallel branches stand apart and meet in the call to
// approve: neither answer comes after the other, and that call comes after both.
func (g *graph) joined() error {
	find := func(label string) (*core.Issued, error) {
		for _, t := range g.tokens {
			if g.label(t) == label {
				return t, nil
			}
		}
		return nil, fmt.Errorf("the graph has no %q", label)
	}
	labels, err1 := find("classify: POST /labels")
	redactions, err2 := find("redact: POST /redactions")
	approve, err3 := find("intake calls approve")
	toLabels, err4 := find("intake calls classify")
	toRedactions, err5 := find("intake calls redact")
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	number := func(t *core.Issued) int { return g.number[t.Claims().TaskID] }
	both := []int{number(labels), number(redactions)}
	slices.Sort(both)
	switch {
	case !slices.Equal(g.preds(approve), both):
		return fmt.Errorf("the call to approve comes after %v, not after the two branches %v", g.preds(approve), both)
	case !slices.Equal(g.preds(toLabels), g.preds(toRedactions)):
		return errors.New("the two branches do not begin at the same place")
	case !slices.Equal(g.preds(labels), []int{number(toLabels)}) || !slices.Equal(g.preds(redactions), []int{number(toRedactions)}):
		return errors.New("an answer does not come after its call alone")
	}
	return nil
}
