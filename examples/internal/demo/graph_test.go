// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package demo_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/examples/internal/demo"
)

// run is what a caller and two others issue: the caller calls both, side by side or one
// after the other, and each answers. Right says that it read what read is the hash of.
type run struct {
	parties []demo.Party
	tokens  []*core.Issued
}

func newRun(t *testing.T, sideBySide bool, read ...core.Hash) *run {
	t.Helper()
	r := &run{}
	d := ecttest.NewDomain()
	keep := core.WithObserver(core.Observer{Issued: func(_ context.Context, i *core.Issued) { r.tokens = append(r.tokens, i) }})
	names := []string{"caller", "left", "right"}
	var told []core.Audience
	for _, name := range names {
		a := d.Agent(t, name)
		r.parties = append(r.parties, demo.Party{Name: name, Identity: a.Identity, Key: a.Key.Public()})
		told = append(told, core.Audience{ID: a.Identity, Tokens: true, Hashes: true, Context: 1})
	}
	services := map[string]*core.Service{}
	for _, name := range names {
		a := d.Agent(t, name)
		services[name] = d.ServiceWithPolicy(t, a, a.Policy(), told, keep)
	}
	ctx, task, err := services["caller"].StartTask(t.Context(), "order")
	if err != nil {
		t.Fatal(err)
	}
	fork := task.Fork(ctx)
	for n, name := range names[1:] {
		on := ctx
		if sideBySide {
			on = fork.Branch(ctx)
		}
		sent := core.HashOf([]byte(name))
		dispatch, err := task.Dispatch(on, told[n+1], core.DispatchInput{OutHash: sent})
		if err != nil {
			t.Fatal(err)
		}
		at, work, err := core.Extract(t.Context(), services[name], core.MapCarrier{core.CarrierTokens: dispatch.Tokens()},
			core.ExtractInput{Action: "work", Content: sent})
		if err != nil {
			t.Fatal(err)
		}
		got := sent
		if name == "right" && len(read) > 0 {
			got = read[0]
		}
		answer, err := work.Finish(at, core.Completion{Outcome: core.OutcomeOK, InpHash: got})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dispatch.Verify(on, core.Presented{Values: answer.Tokens}); err != nil {
			t.Fatal(err)
		}
	}
	fork.Join()
	if _, err := task.Finish(ctx, core.Completion{Outcome: core.OutcomeOK}); err != nil {
		t.Fatal(err)
	}
	return r
}

// shape is what a run is held against.
func shape(g *demo.Graph, besides ...string) error {
	return g.SideBySide([2]string{"caller calls left", "caller calls right"}, [2]string{"left: work", "right: work"}, "caller: order", besides...)
}

func TestGraph(t *testing.T) {
	r := newRun(t, true)
	g := demo.NewGraph(r.parties, r.tokens)
	if err := g.Check(); err != nil {
		t.Errorf("Check: %v", err)
	}
	if err := shape(g); err != nil {
		t.Errorf("SideBySide: %v", err)
	}
	var out bytes.Buffer
	if err := g.Mermaid(&out); err != nil {
		t.Fatal(err)
	}
	const want = "```mermaid\nflowchart TD\n" +
		"  t1[\"1 caller calls left\"]\n  t2[\"2 left: work\"]\n  t3[\"3 caller calls right\"]\n" +
		"  t4[\"4 right: work\"]\n  t5[\"5 caller: order\"]\n" +
		"  t1 --> t2\n  t3 --> t4\n  t2 --> t5\n  t4 --> t5\n```\n"
	if out.String() != want {
		t.Errorf("Mermaid wrote\n%s\nwant\n%s", &out, want)
	}
}

func TestGraphOfOther(t *testing.T) {
	r, other := newRun(t, true), newRun(t, true)
	differs := newRun(t, true, core.HashOf([]byte("something else")))
	swapped := slices.Clone(r.parties)
	swapped[1].Key = other.parties[1].Key
	tests := []struct {
		name    string
		parties []demo.Party
		tokens  []*core.Issued
		want    string
	}{
		{"one is missing", r.parties, slices.Delete(slices.Clone(r.tokens), 1, 2), "token 4: a predecessor is missing"},
		{"an issuer is unknown", r.parties[:2], r.tokens, "token 4: nobody knows its issuer"},
		{"another key", swapped, r.tokens, "token 2: go-jose/go-jose: error in cryptographic primitive"},
		{"another input", differs.parties, differs.tokens, "token 4: it was called with something else than its input"},
		{"two runs", r.parties, slices.Concat(r.tokens, other.tokens), "token 6: go-jose/go-jose: error in cryptographic primitive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := demo.NewGraph(tt.parties, tt.tokens).Check()
			if err == nil || err.Error() != tt.want {
				t.Errorf("Check = %v, want %s", err, tt.want)
			}
		})
	}
}

func TestSideBySide(t *testing.T) {
	r := newRun(t, true)
	tests := []struct {
		name    string
		tokens  []*core.Issued
		besides []string
		want    string
	}{
		{"one after the other", newRun(t, false).tokens, nil, "do not begin at the same place"},
		{"a branch is missing", r.tokens[2:], nil, `no "caller calls left"`},
		{"something besides", r.tokens, []string{"caller calls left"}, "comes after [2 4], not after [1 2 4]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := shape(demo.NewGraph(r.parties, tt.tokens), tt.besides...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("SideBySide = %v, want it to say %q", err, tt.want)
			}
		})
	}
}
