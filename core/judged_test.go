// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

// TestJudged: what a verifier says is told apart from what an adapter does, also where the
// clock stands still and no time passes.
func TestJudged(t *testing.T) {
	now := time.Now()
	for name, clock := range map[string]func() time.Time{"a clock": time.Now, "a clock that stands": func() time.Time { return now }} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			var told []core.VerifyInfo
			keep := func(_ context.Context, _ *core.Error, info core.VerifyInfo) { told = append(told, info) }
			service := s.ServiceWithPolicy(t, s.to, s.policy, nil, core.WithClock(clock), core.WithObserver(core.Observer{
				Verified: func(_ context.Context, _ *core.Received, info core.VerifyInfo) { told = append(told, info) },
				Rejected: keep, BodyDiffered: keep,
			}))
			var accepted, refused core.Entry
			if bad := accepted.Verify(t.Context(), service, core.Enforce, presented(s.token().Sign(t))); bad != nil {
				t.Fatal(bad)
			}
			if bad := refused.Verify(t.Context(), service, core.Enforce, presented("?")); bad == nil {
				t.Fatal("what is no token is accepted")
			}
			service.Rejected(t.Context(), core.NewError(core.CodeUnsupported, nil), core.VerifyInfo{Transport: core.TransportHTTP})
			service.BodyDiffered(t.Context(), core.NewError(core.CodeBody, nil), core.VerifyInfo{Transport: core.TransportHTTP})
			want := []bool{true, true, false, false}
			if len(told) != len(want) {
				t.Fatalf("observers were told %d times, want %d", len(told), len(want))
			}
			for n, info := range told {
				if info.Judged() != want[n] {
					t.Errorf("%d: Judged = %t, want %t", n, info.Judged(), want[n])
				}
				if !want[n] && info.Duration() != 0 {
					t.Errorf("%d: Duration = %v of what no verifier judged", n, info.Duration())
				}
			}
		})
	}
}

func TestWeakest(t *testing.T) {
	s := newScene(t)
	v := verifier(t, s.Domain, s.loose())
	other := s.Agent(t, "other")
	signed := func(a *ecttest.Agent) string { return a.Token(s.to.Identity).Sign(t) }
	unsigned := func(a *ecttest.Agent) string { return a.Token(s.to.Identity).Unsigned(t) }
	for _, c := range []struct {
		name   string
		tokens []string
		level  core.Level
		nth    int
	}{
		{"one", []string{signed(s.from)}, core.L2, 0},
		{"one unsigned", []string{unsigned(s.from)}, core.L1, 0},
		{"two alike", []string{signed(s.from), signed(other)}, core.L2, 0},
		{"the unsigned first", []string{unsigned(s.from), signed(other)}, core.L1, 0},
		{"the unsigned last", []string{signed(s.from), unsigned(other)}, core.L1, 1},
		{"two unsigned of three", []string{signed(s.from), unsigned(other), unsigned(s.from)}, core.L1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := wantAccepted(t, v, c.tokens...)
			if got, want := r.Weakest(), r.Heads()[c.nth]; got != want || got.Level() != c.level {
				t.Errorf("Weakest = %v at %v, want %v at %v", got.TaskID(), got.Level(), want.TaskID(), c.level)
			}
		})
	}
	if w := new(core.Received).Weakest(); w != nil {
		t.Errorf("Weakest of nothing = %v", w)
	}
}
