// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/go-jose/go-jose/v4"

	"github.com/go-ect/ect/core"
)

// Party is who may have issued a token, as an auditor knows it.
type Party struct {
	Name, Identity string
	Key            crypto.PublicKey
}

// Graph is the tokens of one run, in the order they were issued.
type Graph struct {
	tokens  []*core.Issued
	parties map[string]Party // by identity
	number  map[core.UUID]int
}

// NewGraph returns the graph of what these parties issued.
func NewGraph(parties []Party, tokens []*core.Issued) *Graph {
	g := &Graph{tokens: tokens, parties: map[string]Party{}, number: map[core.UUID]int{}}
	for _, p := range parties {
		g.parties[p.Identity] = p
	}
	for n, t := range tokens {
		g.number[t.Claims().TaskID] = n + 1
	}
	return g
}

// Len returns the number of tokens.
func (g *Graph) Len() int { return len(g.tokens) }

// Check does what an auditor would who has the tokens and the public keys and nothing
// else: it verifies every signature with another JOSE library, every edge by digest, and
// that who was called recorded the input that the caller recorded as its output.
func (g *Graph) Check() error {
	for n, t := range g.tokens {
		if err := g.check(t); err != nil {
			return fmt.Errorf("token %d: %w", n+1, err)
		}
	}
	return nil
}

func (g *Graph) check(t *core.Issued) error {
	jws, err := jose.ParseSignedCompact(t.Text(), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return err
	}
	p, ok := g.parties[t.Issuer()]
	if !ok {
		return errors.New("nobody knows its issuer")
	}
	if _, err := jws.Verify(p.Key); err != nil {
		return err
	}
	c := t.Claims()
	for i, id := range c.Pred {
		n := g.number[id]
		if n == 0 {
			return errors.New("a predecessor is missing")
		}
		pred := g.tokens[n-1]
		before := pred.Claims()
		switch {
		case pred.Digest().Short() != c.Ext.PredDigests[i]:
			return errors.New("a predecessor is another token")
		case before.Workflow != c.Workflow:
			return errors.New("a predecessor is of another workflow")
		case before.Action == dispatch && slices.Equal(before.Audience, []string{t.Issuer()}) &&
			before.OutHash.Present && c.InpHash.Present && before.OutHash != c.InpHash:
			return errors.New("it was called with something else than its input")
		}
	}
	return nil
}

// dispatch is the action of a call.
const dispatch = "dispatch"

// Label says who did what.
func (g *Graph) Label(t *core.Issued) string {
	c := t.Claims()
	name := g.parties[t.Issuer()].Name
	if c.Action == dispatch {
		return name + " calls " + g.parties[c.Audience[0]].Name
	}
	return name + ": " + c.Action
}

// Find returns the number of the first token of a label, counted from 1, and those of the
// tokens that it comes after, sorted.
func (g *Graph) Find(label string) (number int, after []int, err error) {
	for n, t := range g.tokens {
		if g.Label(t) == label {
			return n + 1, g.preds(t), nil
		}
	}
	return 0, nil, fmt.Errorf("the graph has no %q", label)
}

// preds is the numbers of the predecessors, sorted.
func (g *Graph) preds(t *core.Issued) []int {
	var all []int
	for _, p := range t.Claims().Pred {
		all = append(all, g.number[p])
	}
	slices.Sort(all)
	return all
}

// Table writes a line a token.
func (g *Graph) Table(w io.Writer) error {
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
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n+1, t.Level(), c.TaskID, //nolint:errcheck // Flush tells
			g.Label(t), after, short(c.InpHash), short(c.OutHash), policy)
	}
	return tw.Flush()
}

func short(h core.Hash) string {
	if !h.Present {
		return "-"
	}
	return h.String()[:8]
}

// Mermaid writes the graph for a Markdown page.
func (g *Graph) Mermaid(w io.Writer) error {
	var b strings.Builder
	b.WriteString("```mermaid\nflowchart TD\n")
	for n, t := range g.tokens {
		fmt.Fprintf(&b, "  t%d[\"%d %s\"]\n", n+1, n+1, g.Label(t))
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

// SideBySide tells whether two branches stand apart and meet: both calls begin at the same
// place, each piece of work comes after its call alone, and what joins them comes after both
// and, besides, after what is named, and nothing else. It is told labels, see [Graph.Label].
func (g *Graph) SideBySide(calls, works [2]string, join string, besides ...string) error {
	var errs []error
	find := func(label string) (int, []int) {
		n, after, err := g.Find(label)
		errs = append(errs, err)
		return n, after
	}
	call0, begin0 := find(calls[0])
	call1, begin1 := find(calls[1])
	work0, after0 := find(works[0])
	work1, after1 := find(works[1])
	_, joined := find(join)
	due := []int{work0, work1}
	for _, label := range besides {
		n, _ := find(label)
		due = append(due, n)
	}
	slices.Sort(due)
	switch err := errors.Join(errs...); {
	case err != nil:
		return err
	case !slices.Equal(begin0, begin1):
		return errors.New("the two branches do not begin at the same place")
	case !slices.Equal(after0, []int{call0}) || !slices.Equal(after1, []int{call1}):
		return errors.New("an answer does not come after its call alone")
	case !slices.Equal(joined, due):
		return fmt.Errorf("%q comes after %v, not after %v", join, joined, due)
	}
	return nil
}
