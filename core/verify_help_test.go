// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

// scene is a domain with two agents and a policy for the second as verifier.
type scene struct {
	*ecttest.Domain
	from, to *ecttest.Agent
	policy   core.Policy
}

func newScene(tb testing.TB) *scene {
	tb.Helper()
	d := ecttest.NewDomain()
	s := &scene{Domain: d, from: d.Agent(tb, "from"), to: d.Agent(tb, "to")}
	s.policy = s.to.Policy()
	return s
}

// loose is the scene's policy with all that refuses good tokens switched off: L1 is
// enough, predecessors may be missing, and nothing is claimed.
func (s *scene) loose() core.Policy {
	p := s.policy
	p.MinLevel, p.Missing, p.Replay = core.L1, core.AllowPartial, core.ReplayOff
	return p
}

// token begins a good root token from the one agent to the other.
func (s *scene) token() *ecttest.Token { return s.from.Token(s.to.Identity) }

// wantAccepted presents tokens that must be accepted.
func wantAccepted(tb testing.TB, v *core.Verifier, tokens ...string) *core.Received {
	tb.Helper()
	r, err := v.Verify(tb.Context(), presented(tokens...))
	if err != nil {
		tb.Fatalf("Verify(%q) = %v, want it accepted", tokens, err)
	}
	return r
}

// wantCode presents tokens that must be refused with a code.
func wantCode(tb testing.TB, v *core.Verifier, code core.Code, tokens ...string) {
	tb.Helper()
	r, err := v.Verify(tb.Context(), presented(tokens...))
	if got := core.CodeOf(err); got != code {
		tb.Errorf("Verify(%q) = %v, want code %v", tokens, err, code)
	}
	if err != nil && r != nil {
		tb.Errorf("Verify(%q) = %v beside an error", tokens, r)
	}
}

// codeOf is the code that tokens are refused with, 0 if they are accepted.
func codeOf(tb testing.TB, v *core.Verifier, tokens ...string) core.Code {
	tb.Helper()
	_, err := v.Verify(tb.Context(), presented(tokens...))
	if err != nil && core.CodeOf(err) == 0 {
		tb.Errorf("Verify(%q) = %v, an error without a code", tokens, err)
	}
	return core.CodeOf(err)
}

// raw is a JSON value as it stands.
func raw(s string) json.RawMessage { return json.RawMessage(s) }

// taskID returns the jti of a token, by no more than its form.
func taskID(tb testing.TB, text string) string {
	tb.Helper()
	return unverified(tb, text).ClaimsWithoutVerification().TaskID.String()
}

func unverified(tb testing.TB, text string) *core.Unverified {
	tb.Helper()
	u, err := core.ParseWithoutVerification(text)
	if err != nil {
		tb.Fatalf("ParseWithoutVerification(%q): %v", text, err)
	}
	return u
}

// number returns a UUID that ends in a number.
func number(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }

// numbers returns n such UUIDs, from 1 on.
func numbers(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = number(i + 1)
	}
	return all
}

// clock is a clock that stands still until it is set.
type clock struct{ unixNano atomic.Int64 }

func newClock(t time.Time) *clock {
	c := &clock{}
	c.set(t)
	return c
}

func (c *clock) set(t time.Time)          { c.unixNano.Store(t.UnixNano()) }
func (c *clock) now() time.Time           { return time.Unix(0, c.unixNano.Load()) }
func (c *clock) option() core.ClockOption { return core.WithClock(c.now) }

// outcome is what a message came to, but for the order of its tokens.
type outcome struct {
	Code                    string
	Heads, Context, Notices []string
	NotCarried              int
	Workflow                string
}

// outcomeOf presents tokens and describes what came of it.
func outcomeOf(tb testing.TB, v *core.Verifier, tokens ...string) outcome {
	tb.Helper()
	r, err := v.Verify(tb.Context(), presented(tokens...))
	if err != nil {
		return outcome{Code: core.CodeOf(err).String()}
	}
	return outcome{
		Heads: describe(r.Heads()), Context: describe(r.Context()), Notices: describe(r.Notices()),
		NotCarried: r.NotCarried(), Workflow: r.Workflow().String(),
	}
}

func describe(all []*core.Verified) []string {
	lines := make([]string, 0, len(all))
	for _, v := range all {
		preds := []string{}
		for _, p := range v.Predecessors() {
			preds = append(preds, p.Digest().String())
		}
		slices.Sort(preds)
		lines = append(lines, fmt.Sprintf("%v %v %v issuer=%q lowest=%v complete=%v bound=%v cross=%v missing=%v preds=%v text=%s",
			v.Digest(), v.Role(), v.Level(), v.Issuer(), v.LowestLevel(), v.Complete(), v.EdgesBound(),
			v.CrossesWorkflow(), v.Missing(), preds, v.Text()))
	}
	slices.Sort(lines)
	return lines
}

// anyOrder presents tokens in every order, each to a new verifier, and returns what came
// of it, which must be the same.
func anyOrder(t *testing.T, fresh func() *core.Verifier, tokens ...string) outcome {
	t.Helper()
	var first *outcome
	for order := range permutations(len(tokens)) {
		texts := []string{}
		for _, i := range order {
			texts = append(texts, tokens[i])
		}
		got := outcomeOf(t, fresh(), texts...)
		if first == nil {
			first = &got
		} else if diff := cmp.Diff(*first, got); diff != "" {
			t.Errorf("Verify in the order %v differs from the order given (-given +other):\n%s", order, diff)
		}
	}
	return *first
}

// permutations yields every order of n things, the given one first.
func permutations(n int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		var walk func(done, left []int) bool
		walk = func(done, left []int) bool {
			if len(left) == 0 {
				return yield(done)
			}
			for i := range left {
				rest := append(slices.Clone(left[:i]), left[i+1:]...)
				if !walk(append(slices.Clone(done), left[i]), rest) {
					return false
				}
			}
			return true
		}
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		walk(nil, all)
	}
}

// parts takes a JWS apart.
func parts(tb testing.TB, token string) (header, payload, signature string) {
	tb.Helper()
	p := strings.Split(token, ".")
	if len(p) != 3 {
		tb.Fatalf("%q is no JWS", token)
	}
	return p[0], p[1], p[2]
}
