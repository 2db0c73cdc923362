// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/replay"
	"github.com/go-ect/ect/ecttest"
)

// attack is a token that somebody else makes around the id of a real one.
type attack struct {
	name string
	make func(t *testing.T, s *scene, victim string) string
}

// attacks returns everything that can be done with somebody else's id, but for having
// their key.
func attacks() []attack {
	with := func(name string, edit func(s *scene, tok *ecttest.Token, victim string), signed bool) attack {
		return attack{name, func(t *testing.T, s *scene, victim string) string {
			t.Helper()
			tok := s.Agent(t, "mallory").Token(s.to.Identity).With("jti", taskID(t, victim))
			edit(s, tok, victim)
			return written(t, tok, signed)
		}}
	}
	none := func(*scene, *ecttest.Token, string) {}
	names := func(bound bool, digest string) func(*testing.T, *scene, string) *ecttest.Token {
		return func(t *testing.T, s *scene, victim string) *ecttest.Token {
			t.Helper()
			tok := s.Agent(t, "mallory").Token(s.to.Identity).After(t, bound, victim)
			if digest != "" {
				tok.With("ect_ext", map[string]any{"pred_dig": []string{digest}})
			}
			return tok
		}
	}
	all := []attack{
		with("unsigned, of the same issuer", func(s *scene, tok *ecttest.Token, _ string) { tok.With("iss", s.from.Identity) }, false),
		with("unsigned, of another issuer", none, false),
		with("unsigned, of nobody", func(_ *scene, tok *ecttest.Token, _ string) { tok.Without("iss") }, false),
		with("unsigned, of the same issuer, in another workflow", func(s *scene, tok *ecttest.Token, _ string) {
			tok.With("iss", s.from.Identity).With("wid", number(9))
		}, false),
		with("of another trusted issuer", none, true),
		with("of another trusted issuer, in upper case", func(_ *scene, tok *ecttest.Token, _ string) {
			if jti, ok := tok.Claims["jti"].(string); ok {
				tok.With("jti", strings.ToUpper(jti))
			}
		}, true),
		with("in the victim's name", func(s *scene, tok *ecttest.Token, _ string) { tok.With("iss", s.from.Identity) }, true),
		with("in the victim's name and kid", func(s *scene, tok *ecttest.Token, _ string) {
			tok.With("iss", s.from.Identity).Head("kid", s.from.KeyID)
		}, true),
		{"a forged signature", func(t *testing.T, _ *scene, victim string) string { t.Helper(); return forge(t, victim) }},
		{"its payload, unsigned", func(t *testing.T, _ *scene, victim string) string {
			t.Helper()
			_, p, _ := parts(t, victim)
			return p
		}},
		{"one that names it", func(t *testing.T, s *scene, victim string) string {
			t.Helper()
			return names(false, "")(t, s, victim).Sign(t)
		}},
		{"one that names it by digest", func(t *testing.T, s *scene, victim string) string {
			t.Helper()
			return names(true, "")(t, s, victim).Sign(t)
		}},
		{"one that names another with its id", func(t *testing.T, s *scene, victim string) string {
			t.Helper()
			return names(true, "AAAAAAAAAAAAAAAAAAAAAA")(t, s, victim).Sign(t)
		}},
		{"an unsigned one that names it", func(t *testing.T, s *scene, victim string) string {
			t.Helper()
			return names(false, "")(t, s, victim).Unsigned(t)
		}},
		{"an unsigned one that names it by digest", func(t *testing.T, s *scene, victim string) string {
			t.Helper()
			return names(true, "")(t, s, victim).Unsigned(t)
		}},
		{"a notice about it", func(t *testing.T, s *scene, victim string) string {
			t.Helper()
			return names(false, "")(t, s, victim).With("exec_act", "ect.ledger.failed").Sign(t)
		}},
		{"a notice with its id", func(t *testing.T, s *scene, victim string) string {
			t.Helper()
			return s.Agent(t, "mallory").Token(s.to.Identity).With("jti", taskID(t, victim)).With("exec_act", "ect.ledger.failed").Sign(t)
		}},
	}
	return all
}

// policies are all that make a difference to who may block whom.
func policies(p core.Policy) map[string]core.Policy {
	all := map[string]core.Policy{}
	for _, level := range []core.Level{core.L1, core.L2} {
		for _, missing := range []core.MissingPolicy{core.RejectMissing, core.AllowPartial} {
			for _, mode := range []core.ReplayMode{core.ReplayOncePerInstance, core.ReplayIdempotent, core.ReplayOff} {
				p.MinLevel, p.Missing, p.Replay = level, missing, mode
				all[fmt.Sprintf("%v,missing=%d,replay=%d", level, missing, mode)] = p
			}
		}
	}
	return all
}

// TestNobodyBlocks presents what others can make of a real token's id before it, after it
// and beside it. The real one, and one that comes after it, are accepted exactly as if
// nothing had been.
func TestNobodyBlocks(t *testing.T) {
	s := newScene(t)
	s.Agent(t, "mallory")
	for policy, p := range policies(s.policy) {
		for _, a := range attacks() {
			t.Run(a.name+","+policy, func(t *testing.T) {
				genuine := s.token().With("wid", number(8)).Sign(t)
				child := s.token().After(t, true, genuine).Sign(t)
				bad := a.make(t, s, genuine)
				clean := verifier(t, s.Domain, p)
				want, wantChild := outcomeOf(t, clean, genuine), outcomeOf(t, clean, child)
				if want.Code != "" || wantChild.Code != "" {
					t.Fatalf("Verify without any attack: %v, %v", want.Code, wantChild.Code)
				}

				v := verifier(t, s.Domain, p)
				alone := codeOf(t, v, bad)
				same(t, "before", want, outcomeOf(t, v, genuine))
				same(t, "before, the child", wantChild, outcomeOf(t, v, child))

				v = verifier(t, s.Domain, p)
				same(t, "after", want, outcomeOf(t, v, genuine))
				codeOf(t, v, bad)
				same(t, "after, the child", wantChild, outcomeOf(t, v, child))
				again := want
				if p.Replay == core.ReplayOncePerInstance {
					again = outcome{Code: core.CodeReplayed.String()}
				}
				same(t, "after, again", again, outcomeOf(t, v, genuine))

				for _, values := range [][]string{{genuine, bad}, {bad, genuine}} {
					v = verifier(t, s.Domain, p)
					got := outcomeOf(t, v, values...)
					if got.Code == "" {
						if !strings.Contains(strings.Join(append(got.Heads, got.Context...), " "), want.Heads[0][:len("47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")]) {
							t.Errorf("beside: the real token is not in %+v", got)
						}
						if alone == 0 && len(got.Heads) == 2 && got.Heads[0] != want.Heads[0] && got.Heads[1] != want.Heads[0] {
							t.Errorf("beside: the real token is another in %+v", got)
						}
						if len(got.Heads) == 1 && len(got.Context) == 1 { // it came as context; as a head it is still fresh
							same(t, "beside, as context, then as a head", want, outcomeOf(t, v, genuine))
						}
						continue
					}
					// Whoever put it into the message spoilt the message, and nothing else.
					same(t, "beside, then alone", want, outcomeOf(t, v, genuine))
					same(t, "beside, the child", wantChild, outcomeOf(t, v, child))
				}
			})
		}
	}
}

func same(t *testing.T, when string, want, got outcome) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: what came of the real token (-without the attack +with it):\n%s", when, diff)
	}
}

var jtiInPayload = regexp.MustCompile(`"jti":"([0-9a-f-]{36})"`)

// TestRejectedUsesUpNothing presents every kind of bad token and then a real one of the
// same issuer and id: a token that failed never uses up an id, wherever it stood.
func TestRejectedUsesUpNothing(t *testing.T) {
	s := newScene(t)
	for _, bad := range ecttest.BadTokens() {
		t.Run(bad.Name, func(t *testing.T) {
			text := bad.Mint(t, s.Domain, s.from, s.to.Identity)
			genuine := s.token()
			for part := range strings.SplitSeq(text, ".") {
				b, _ := base64.RawURLEncoding.DecodeString(part)
				if m := jtiInPayload.FindSubmatch(b); m != nil {
					genuine.With("jti", string(m[1]))
				}
			}
			good := genuine.Sign(t)
			want := outcomeOf(t, verifier(t, s.Domain, s.policy), good)
			if want.Code != "" {
				t.Fatalf("the real token alone: %v", want.Code)
			}
			for _, first := range [][]string{{text}, {text, good}, {good, text}, {good, good, text}} {
				var evidence recorder
				v := verifier(t, s.Domain, s.policy, core.WithObserver(evidence.observer()))
				code := codeOf(t, v, first...)
				if len(first) == 1 && code != bad.Code || code == 0 && bad.Name != "nothing but a notice" {
					t.Errorf("Verify(%q) = code %v", first, code)
				}
				if code == 0 {
					continue
				}
				same(t, "after a bad one", want, outcomeOf(t, v, good))
				// Two good signatures in one message are evidence, whatever else is wrong.
				if len(evidence.all) > 0 && bad.Code != core.CodePredMissing {
					t.Errorf("evidence of equivocation out of a bad token: %+v", evidence.all)
				}
			}
		})
	}
}

// recorder keeps what observers are told.
type recorder struct {
	mu       sync.Mutex
	all      []core.Equivocation
	rejected []core.Code
	verified int
}

func (r *recorder) observer() core.Observer {
	return core.Observer{
		Evidence: func(_ context.Context, e core.Equivocation) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.all = append(r.all, e)
		},
		Rejected: func(_ context.Context, err *core.Error, _ core.VerifyInfo) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.rejected = append(r.rejected, err.Code)
		},
		Verified: func(context.Context, *core.Received, core.VerifyInfo) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.verified++
		},
	}
}

// forgetful is a task store that keeps nothing.
type forgetful struct{ dag.Store }

func (f forgetful) Admit(ctx context.Context, p *dag.Proposal) ([]dag.Judgement, error) {
	return f.Check(ctx, p)
}

func newForgetful(tb testing.TB) forgetful {
	tb.Helper()
	m, err := dag.NewMemory(dag.MemoryConfig{})
	if err != nil {
		tb.Fatal(err)
	}
	return forgetful{m}
}

// claimed is a replay store in which the id of an unsigned token is taken.
func claimed(t *testing.T, unsigned string) replay.Store {
	t.Helper()
	u := unverified(t, unsigned)
	c := u.ClaimsWithoutVerification()
	m := memoryStore(t, replay.Config{})
	if _, err := m.Claim(t.Context(), []replay.Claim{{
		Key: replay.NewKey(false, u.ClaimedIssuer(), c.TaskID), Digest: replay.Digest(u.Digest().Short()), NotAfter: c.Expiry.Unix(),
	}}, true); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestEquivocation presents a second token of one issuer and id after the first, in
// every replay mode: it is refused and shown with the first, which is none the worse.
// The first of the two wins, whichever it is (profile 5.1, 7.2).
func TestEquivocation(t *testing.T) {
	s := newScene(t)
	first := s.token().With("jti", number(1)).Sign(t)
	second := s.token().With("jti", number(1)).With("wid", number(2)).Sign(t)
	third := s.token().With("jti", number(1)).With("exec_act", "third").Sign(t)
	unsigned := s.token().With("jti", number(1)).Unsigned(t)
	otherUnsigned := s.token().With("jti", number(1)).With("exec_act", "other").Unsigned(t)
	child := s.token().After(t, true, second).Without("wid").With("wid", number(2)).Sign(t)
	shown := func(first, second string) core.Equivocation {
		return core.Equivocation{
			Issuer: s.from.Identity, TaskID: unverified(t, second).ClaimsWithoutVerification().TaskID, First: first, Second: second,
		}
	}
	low := func(token string) string {
		if ecttest.HighS(t, token) {
			return ecttest.Twin(t, token)
		}
		return token
	}
	for _, mode := range []core.ReplayMode{core.ReplayOncePerInstance, core.ReplayIdempotent, core.ReplayOff} {
		for _, tt := range []struct {
			name string
			opts []core.VerifierOption
			then []string
			code core.Code
			want []core.Equivocation
		}{
			{"as a head", nil, []string{second}, core.CodeEquivocation, []core.Equivocation{shown(low(first), low(second))}},
			{"as its twin", nil, []string{ecttest.Twin(t, second)}, core.CodeEquivocation, []core.Equivocation{shown(low(first), low(second))}},
			{"as context", nil, []string{child, second}, core.CodeEquivocation, []core.Equivocation{shown(low(first), low(second))}},
			{"forged", nil, []string{forge(t, second)}, core.CodeSignature, nil},
			{"unsigned", nil, []string{unsigned}, 0, nil},
			{"unsigned twice", nil, []string{unsigned, otherUnsigned}, core.CodeEquivocation, nil},
			{"the task forgotten", []core.VerifierOption{core.WithTaskStore(newForgetful(t))}, []string{second}, core.CodeEquivocation, []core.Equivocation{shown("", low(second))}},
			{"unsigned, the task forgotten", []core.VerifierOption{core.WithTaskStore(newForgetful(t))}, []string{unsigned}, 0, nil},
			{"unsigned twice, the task forgotten", []core.VerifierOption{core.WithTaskStore(newForgetful(t)), core.WithReplayStore(claimed(t, otherUnsigned))}, []string{unsigned}, core.CodeEquivocation, nil},
			{"the first one again as context", nil, []string{s.token().After(t, true, first).Sign(t), first}, 0, nil},
		} {
			if mode == core.ReplayOff && tt.opts != nil {
				continue // nothing remembers
			}
			t.Run(fmt.Sprintf("%s, mode %d", tt.name, mode), func(t *testing.T) {
				p := s.policy
				p.MinLevel, p.Replay = core.L1, mode
				var r recorder
				v := verifier(t, s.Domain, p, append(tt.opts, core.WithObserver(r.observer()))...)
				want := outcomeOf(t, v, first)
				wantCode(t, v, tt.code, tt.then...)
				if diff := cmp.Diff(tt.want, r.all); diff != "" {
					t.Errorf("evidence (-want +got):\n%s", diff)
				}
				if mode != core.ReplayOncePerInstance && tt.opts == nil {
					same(t, "the first one again", want, outcomeOf(t, v, first))
				}
				if tt.opts == nil {
					wantAccepted(t, v, s.token().After(t, true, first).Sign(t))
					wantCode(t, v, core.CodeEquivocation, third)
				}
			})
		}
	}
}

// TestEquivocationFirst is the one way left: who presents another token of the victim's
// issuer and id first, and so has its key, keeps the real one out (profile 5.1).
func TestEquivocationFirst(t *testing.T) {
	s := newScene(t)
	genuine := s.token().With("jti", number(1)).Sign(t)
	other := s.token().With("jti", number(1)).With("exec_act", "other").Sign(t)
	v := verifier(t, s.Domain, s.policy)
	wantAccepted(t, v, other)
	wantCode(t, v, core.CodeEquivocation, genuine)
}

// TestObserverIsTold holds that every message is reported once, by its code.
func TestObserverIsTold(t *testing.T) {
	s := newScene(t)
	var r recorder
	v := verifier(t, s.Domain, s.policy, core.WithObserver(r.observer()), core.WithObserver(core.Observer{}))
	good := s.token().Sign(t)
	wantAccepted(t, v, good)
	wantCode(t, v, core.CodeReplayed, good)
	wantCode(t, v, core.CodeRequired)
	wantCode(t, v, core.CodeMalformed, "x.y")
	if diff := cmp.Diff([]core.Code{core.CodeReplayed, core.CodeRequired, core.CodeMalformed}, r.rejected); diff != "" || r.verified != 1 {
		t.Errorf("verified %d; rejected (-want +got):\n%s", r.verified, diff)
	}
}
