// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/replay"
	"github.com/go-ect/ect/ecttest"
)

// replayStore is a replay store that answers as a test wants.
type replayStore struct {
	replay.Store
	claim    func(batch []replay.Claim) ([]replay.Outcome, error)
	released atomic.Int64
}

func (r *replayStore) Claim(ctx context.Context, batch []replay.Claim, once bool) ([]replay.Outcome, error) {
	if r.claim != nil {
		return r.claim(batch)
	}
	return r.Store.Claim(ctx, batch, once)
}

func (r *replayStore) Release(ctx context.Context, batch []replay.Claim) error {
	if r.Store == nil {
		r.released.Add(int64(len(batch)))
		return nil
	}
	err := r.Store.Release(ctx, batch)
	if err == nil {
		r.released.Add(int64(len(batch)))
	}
	return err
}

func memoryStore(tb testing.TB, c replay.Config) *replay.Memory {
	tb.Helper()
	m, err := replay.NewMemory(c)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func taskStore(tb testing.TB, c dag.MemoryConfig) *dag.Memory {
	tb.Helper()
	m, err := dag.NewMemory(c)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// TestReplayModes presents a token three times, at both level classes (profile 7.1, 7.2).
func TestReplayModes(t *testing.T) {
	s := newScene(t)
	for mode, want := range map[core.ReplayMode]core.Code{
		core.ReplayOncePerInstance: core.CodeReplayed, core.ReplayIdempotent: 0, core.ReplayOff: 0,
	} {
		for _, signed := range []bool{true, false} {
			p := s.policy
			p.MinLevel, p.Replay = core.L1, mode
			v := verifier(t, s.Domain, p)
			text := written(t, s.token(), signed)
			first := outcomeOf(t, v, text)
			for range 2 {
				got := outcomeOf(t, v, text)
				if want != 0 {
					first = outcome{Code: want.String()}
				}
				same(t, fmt.Sprintf("mode %d, signed %t, again", mode, signed), first, got)
			}
			// Another instance has a memory of its own.
			wantAccepted(t, verifier(t, s.Domain, p), text)
		}
	}
}

// TestReplayAllOrNone presents several heads of which one stands in the way: none of the
// others is used up (profile 7.3).
func TestReplayAllOrNone(t *testing.T) {
	s := newScene(t)
	for _, mode := range []core.ReplayMode{core.ReplayOncePerInstance, core.ReplayIdempotent} {
		for _, tt := range []struct {
			name string
			bad  func(seen *ecttest.Token) string
			code map[core.ReplayMode]core.Code
		}{
			{"the same again", func(seen *ecttest.Token) string { return seen.Sign(t) }, map[core.ReplayMode]core.Code{core.ReplayOncePerInstance: core.CodeReplayed}},
			{"another", func(seen *ecttest.Token) string { return seen.With("exec_act", "other").Sign(t) }, map[core.ReplayMode]core.Code{
				core.ReplayOncePerInstance: core.CodeEquivocation, core.ReplayIdempotent: core.CodeEquivocation,
			}},
		} {
			for _, forget := range []bool{false, true} {
				for place := range 4 {
					p := s.policy
					p.Replay = mode
					opts := []core.VerifierOption{}
					if forget {
						opts = append(opts, core.WithTaskStore(newForgetful(t)))
					}
					v := verifier(t, s.Domain, p, opts...)
					seen := s.token()
					wantAccepted(t, v, seen.Sign(t))
					fresh := []string{s.token().Sign(t), s.token().Sign(t), s.token().Sign(t)}
					values := append(append(append([]string{}, fresh[:place]...), tt.bad(seen)), fresh[place:]...)
					wantCode(t, v, tt.code[mode], values...)
					if tt.code[mode] == 0 {
						continue
					}
					for _, f := range fresh {
						wantAccepted(t, v, f)
					}
				}
			}
		}
	}
}

// TestReplayedAndEquivocation holds which of two that stand in the way is said: in any
// order the graver one.
func TestReplayedAndEquivocation(t *testing.T) {
	s := newScene(t)
	one, two := s.token(), s.token()
	a, b := one.Sign(t), two.Sign(t)
	got := anyOrder(t, func() *core.Verifier {
		v := verifier(t, s.Domain, s.policy, core.WithTaskStore(newForgetful(t)))
		wantAccepted(t, v, a, b)
		return v
	}, a, two.With("exec_act", "other").Sign(t), s.token().Sign(t))
	if want := core.CodeEquivocation.String(); got.Code != want {
		t.Errorf("Verify = %v, want %v", got.Code, want)
	}
}

// TestRelease gives claims back (profile 7.3).
func TestRelease(t *testing.T) {
	s := newScene(t)
	v := verifier(t, s.Domain, s.policy)
	a, b := s.token().Sign(t), s.token().Sign(t)
	r := wantAccepted(t, v, a, b)
	wantCode(t, v, core.CodeReplayed, a)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 { // also when the sender has gone, and again
		if err := r.Release(done); err != nil {
			t.Fatalf("Release: %v", err)
		}
	}
	wantAccepted(t, v, a)
	wantAccepted(t, v, b)
	wantCode(t, v, core.CodeReplayed, a)
	wantCode(t, v, core.CodeReplayed, b)
}

// TestReleaseIdempotent releases messages whose tokens another message may be acting on,
// before or after: every claim stays.
func TestReleaseIdempotent(t *testing.T) {
	s := newScene(t)
	p := s.policy
	p.Replay = core.ReplayIdempotent
	for first := range 2 {
		v := verifier(t, s.Domain, p, core.WithTaskStore(newForgetful(t)))
		tok, beside := s.token(), s.token()
		text := tok.Sign(t)
		messages := []*core.Received{wantAccepted(t, v, text), wantAccepted(t, v, text, beside.Sign(t))}
		if err := messages[first].Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantAccepted(t, v, text)
		wantCode(t, v, core.CodeEquivocation, tok.With("exec_act", "other").Sign(t))
	}
}

// TestReleaseNothing releases messages that claimed nothing.
func TestReleaseNothing(t *testing.T) {
	s := newScene(t)
	p := s.policy
	p.Replay = core.ReplayOff
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := wantAccepted(t, verifier(t, s.Domain, p), s.token().Sign(t)).Release(done); err != nil {
		t.Errorf("Release = %v", err)
	}
}

// TestReplayStoreFails holds that nothing passes a store that does not answer, answers
// for something else, or has no room (profile 7.4).
func TestReplayStoreFails(t *testing.T) {
	s := newScene(t)
	down := errors.New("the store is down")
	outcomes := func(all ...replay.Outcome) func([]replay.Claim) ([]replay.Outcome, error) {
		return func([]replay.Claim) ([]replay.Outcome, error) { return all, nil }
	}
	for _, tt := range []struct {
		name  string
		claim func([]replay.Claim) ([]replay.Outcome, error)
		cause error
	}{
		{"down", func([]replay.Claim) ([]replay.Outcome, error) { return nil, down }, down},
		{"full", func([]replay.Claim) ([]replay.Outcome, error) { return nil, fmt.Errorf("x: %w", replay.ErrFull) }, replay.ErrFull},
		{"expired", func([]replay.Claim) ([]replay.Outcome, error) { return nil, replay.ErrExpired }, replay.ErrExpired},
		{"down, with outcomes", func([]replay.Claim) ([]replay.Outcome, error) { return []replay.Outcome{replay.Fresh}, down }, down},
		{"no outcome", outcomes(), nil},
		{"too many outcomes, fresh", outcomes(replay.Fresh, replay.Fresh), nil},
		{"too many outcomes, same", outcomes(replay.Fresh, replay.Same), nil},
		{"too many outcomes, conflict", outcomes(replay.Fresh, replay.Conflict), nil},
		{"an outcome of zero", outcomes(0), nil},
		{"an unknown outcome", outcomes(99), nil},
	} {
		for _, mode := range []core.ReplayMode{core.ReplayOncePerInstance, core.ReplayIdempotent} {
			t.Run(fmt.Sprintf("%s, mode %d", tt.name, mode), func(t *testing.T) {
				defer func() {
					if p := recover(); p != nil {
						t.Errorf("Verify panics: %v", p)
					}
				}()
				p := s.policy
				p.Replay = mode
				tasks := taskStore(t, dag.MemoryConfig{})
				v := verifier(t, s.Domain, p, core.WithReplayStore(&replayStore{claim: tt.claim}), core.WithTaskStore(tasks))
				text := s.token().Sign(t)
				_, err := v.Verify(t.Context(), presented(text))
				if core.CodeOf(err) != core.CodeUnavailable || tt.cause != nil && !errors.Is(err, tt.cause) {
					t.Errorf("Verify = %v, want code %v and cause %v", err, core.CodeUnavailable, tt.cause)
				}
				if n, _ := tasks.Len(); n != 0 {
					t.Errorf("%d tasks are in the task store", n)
				}
			})
		}
	}
}

// TestClaims holds what the store is told of a head: a key, a digest and a domain, and to
// live until the earlier of exp and iat plus maximum age, plus leeway, and no longer
// (profile 7.1, 7.3).
func TestClaims(t *testing.T) {
	s := newScene(t)
	for _, tt := range []struct {
		lifetime, maxAge, leeway, want time.Duration
	}{
		{10 * time.Minute, 15 * time.Minute, 30 * time.Second, 10*time.Minute + 30*time.Second},
		{20 * time.Minute, 15 * time.Minute, 30 * time.Second, 15*time.Minute + 30*time.Second},
		{15 * time.Minute, 15 * time.Minute, 0, 15 * time.Minute},
		{time.Second, 15 * time.Minute, 0, time.Second},
		{time.Hour, 0, time.Second, time.Second},
	} {
		for _, signed := range []bool{true, false} {
			p := s.policy
			p.MinLevel, p.MaxAge, p.Leeway = core.L1, &tt.maxAge, &tt.leeway
			var got []replay.Claim
			store := &replayStore{claim: func(batch []replay.Claim) ([]replay.Outcome, error) {
				got = append(got, batch...)
				return []replay.Outcome{replay.Fresh}, nil
			}}
			text := s.lifeOf(t, tt.lifetime, signed)
			wantAccepted(t, verifier(t, s.Domain, p, core.WithReplayStore(store), newClock(epoch).option()), text)
			u := unverified(t, text)
			want := replay.Claim{
				Key:    replay.NewKey(signed, s.from.Identity, u.ClaimsWithoutVerification().TaskID),
				Digest: replay.Digest(u.Digest().Short()), Signed: signed, NotAfter: epoch.Add(tt.want).Unix(),
			}
			if signed {
				want.Domain = ecttest.Name
			}
			if diff := cmp.Diff([]replay.Claim{want}, got); diff != "" {
				t.Errorf("claims of a token that lives %v, signed %t (-want +got):\n%s", tt.lifetime, signed, diff)
			}
		}
	}
}

// TestReplayFull fills a store: what comes then is told to come again, and what is in
// stays in. Unsigned traffic takes no room of signed (profile 7.4).
func TestReplayFull(t *testing.T) {
	s := newScene(t)
	p := s.policy
	p.MinLevel = core.L1
	v := verifier(t, s.Domain, p, core.WithReplayStore(memoryStore(t, replay.Config{MaxSigned: 2, MaxUnsigned: 1, MaxPerDomain: 2})))
	unsigned := s.token().Unsigned(t)
	wantAccepted(t, v, unsigned)
	wantCode(t, v, core.CodeUnavailable, s.token().Unsigned(t))
	a, b := s.token().Sign(t), s.token().Sign(t)
	wantCode(t, v, core.CodeUnavailable, a, b, s.token().Sign(t)) // all or none
	wantAccepted(t, v, a)
	wantAccepted(t, v, b)
	wantCode(t, v, core.CodeUnavailable, s.token().Sign(t))
	for _, text := range []string{a, b, unsigned} {
		wantCode(t, v, core.CodeReplayed, text)
	}
}

// admitter is a task store whose Admit does as a test wants.
type admitter struct {
	dag.Store
	admit func() error
}

func (a *admitter) Admit(ctx context.Context, p *dag.Proposal) ([]dag.Judgement, error) {
	if err := a.admit(); err != nil {
		return nil, err
	}
	return a.Store.Admit(ctx, p)
}

// TestAdmitFails lets the task store fail once the ids were claimed: the claims are given
// back, as no handler was called, so that the message may come again (profile 7.3).
func TestAdmitFails(t *testing.T) {
	s := newScene(t)
	for _, tt := range []struct {
		name string
		err  error
		code core.Code
	}{
		{"down", errors.New("down"), core.CodeUnavailable},
		{"full", dag.ErrFull, core.CodeUnavailable},
		{"a refusal", &dag.Refusal{Reason: dag.Missing}, core.CodePredMissing},
		{"a refusal without a known reason", &dag.Refusal{}, core.CodeUnavailable},
		{"equivocation", &dag.Refusal{Reason: dag.Equivocation}, core.CodeEquivocation},
		{"equivocation by no entry of the batch", &dag.Refusal{Reason: dag.Equivocation, Index: 7, First: dag.Node{Key: dag.Key{Signed: true}}}, core.CodeEquivocation},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.err
			v := verifier(t, s.Domain, s.policy, core.WithTaskStore(&admitter{taskStore(t, dag.MemoryConfig{}), func() error { return err }}))
			text := s.token().Sign(t)
			wantCode(t, v, tt.code, text)
			err = nil
			wantAccepted(t, v, text)
			wantCode(t, v, core.CodeReplayed, text)
		})
	}
}

// TestAdmitCancelled lets the sender go away between claim and admission. The answer is
// that it may come again, so its claim must not be left behind.
func TestAdmitCancelled(t *testing.T) {
	s := newScene(t)
	ctx, cancel := context.WithCancel(t.Context())
	v := verifier(t, s.Domain, s.policy, core.WithTaskStore(&admitter{taskStore(t, dag.MemoryConfig{}), func() error { cancel(); return nil }}))
	text := s.token().Sign(t)
	if _, err := v.Verify(ctx, presented(text)); core.CodeOf(err) != core.CodeUnavailable || !errors.Is(err, context.Canceled) {
		t.Fatalf("Verify = %v, want code %v", err, core.CodeUnavailable)
	}
	wantAccepted(t, v, text)
}

// TestTaskStoreFull holds that the claims of a message that found no room are given back.
func TestTaskStoreFull(t *testing.T) {
	s := newScene(t)
	store := &replayStore{Store: memoryStore(t, replay.Config{})}
	v := verifier(t, s.Domain, s.policy, core.WithReplayStore(store), core.WithTaskStore(taskStore(t, dag.MemoryConfig{MaxTasks: 1})))
	wantAccepted(t, v, s.token().Sign(t))
	text := s.token().Sign(t)
	for range 2 {
		_, err := v.Verify(t.Context(), presented(text))
		if core.CodeOf(err) != core.CodeUnavailable || !errors.Is(err, dag.ErrFull) {
			t.Errorf("Verify = %v, want code %v", err, core.CodeUnavailable)
		}
	}
	if got := store.released.Load(); got != 2 {
		t.Errorf("%d claims were given back, want 2", got)
	}
}

// TestContextIsNotClaimed presents history again and again, and then as a head of its own.
func TestContextIsNotClaimed(t *testing.T) {
	s := newScene(t)
	v := verifier(t, s.Domain, s.policy)
	root := s.token().Sign(t)
	for range 3 {
		wantAccepted(t, v, root, s.token().After(t, true, root).Sign(t))
	}
	wantAccepted(t, v, root)
	wantCode(t, v, core.CodeReplayed, root)
	wantAccepted(t, v, root, s.token().After(t, true, root).Sign(t))
}

// TestNothingEntersBeforeReplay refuses a message for replay alone: what came along must
// not be known afterwards (profile 4).
func TestNothingEntersBeforeReplay(t *testing.T) {
	s := newScene(t)
	tasks := taskStore(t, dag.MemoryConfig{})
	v := verifier(t, s.Domain, s.policy, core.WithTaskStore(tasks))
	seen := s.token().Sign(t)
	wantAccepted(t, v, seen)
	root := s.token().Sign(t)
	child := s.token().After(t, true, root).Sign(t)
	wantCode(t, v, core.CodeReplayed, root, child, seen)
	if n, _ := tasks.Len(); n != 1 {
		t.Errorf("%d tasks are known, want 1", n)
	}
	wantCode(t, v, core.CodePredMissing, child)
}

// TestObserve judges and claims nothing.
func TestObserve(t *testing.T) {
	s := newScene(t)
	v := verifier(t, s.Domain, s.policy)
	text := s.token().Sign(t)
	in := presented(text)
	in.Observe = true
	for range 3 {
		if _, err := v.Verify(t.Context(), in); err != nil {
			t.Fatalf("Verify = %v", err)
		}
	}
	wantAccepted(t, v, text)
}

// TestReplayConcurrentSafe presents one token, in both of its spellings, at the same time.
func TestReplayConcurrentSafe(t *testing.T) {
	s := newScene(t)
	for range 20 {
		v := verifier(t, s.Domain, s.policy)
		text := s.token().Sign(t)
		twin := ecttest.Twin(t, text)
		var wg sync.WaitGroup
		var accepted, replayed atomic.Int64
		for n := range 16 {
			wg.Go(func() {
				values := []string{text, twin, twin, text}[n%4:][:1]
				_, err := v.Verify(t.Context(), presented(values...))
				switch core.CodeOf(err) {
				case 0:
					accepted.Add(1)
				case core.CodeReplayed:
					replayed.Add(1)
				}
			})
		}
		wg.Wait()
		if a, r := accepted.Load(), replayed.Load(); a != 1 || r != 15 {
			t.Errorf("%d were accepted and %d replayed, want 1 and 15", a, r)
		}
	}
}

// TestEquivocationConcurrentSafe presents two tokens of one issuer and id at the same
// time: one of them is accepted, the other never.
func TestEquivocationConcurrentSafe(t *testing.T) {
	s := newScene(t)
	for _, mode := range []core.ReplayMode{core.ReplayOncePerInstance, core.ReplayIdempotent, core.ReplayOff} {
		for range 10 {
			p := s.policy
			p.Replay = mode
			v := verifier(t, s.Domain, p)
			tok := s.token()
			texts := []string{tok.Sign(t), tok.With("exec_act", "other").Sign(t)}
			var wg sync.WaitGroup
			var accepted [2]atomic.Int64
			for n := range 16 {
				wg.Go(func() {
					if _, err := v.Verify(t.Context(), presented(texts[n%2])); err == nil {
						accepted[n%2].Add(1)
					}
				})
			}
			wg.Wait()
			a, b := accepted[0].Load(), accepted[1].Load()
			if (a == 0) == (b == 0) || mode == core.ReplayOncePerInstance && a+b != 1 {
				t.Errorf("mode %d: the one was accepted %d times and the other %d times", mode, a, b)
			}
		}
	}
}
