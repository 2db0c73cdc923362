// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

// shape says how many tokens of a message are what.
type shape struct {
	Heads, Context, Notices, NotCarried int
	Code                                core.Code
}

func shapeOf(o outcome) shape {
	sh := shape{Heads: len(o.Heads), Context: len(o.Context), Notices: len(o.Notices), NotCarried: o.NotCarried}
	for _, c := range core.Codes() {
		if c.String() == o.Code {
			sh.Code = c
		}
	}
	return sh
}

// forge returns a token with the same signing input and a signature that is wrong.
func forge(tb testing.TB, token string) string {
	tb.Helper()
	h, p, sig := parts(tb, token)
	b, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil {
		tb.Fatal(err)
	}
	b[len(b)-1] ^= 1
	return h + "." + p + "." + base64.RawURLEncoding.EncodeToString(b)
}

// TestRoles holds which tokens of a message are heads, which are context, and which do
// not count, in every order (profile 4.1).
func TestRoles(t *testing.T) {
	s := newScene(t)
	other, stranger := s.Agent(t, "other"), s.Agent(t, "stranger")
	s.Remove(stranger)
	to := s.to.Identity
	elsewhere := ecttest.Name + "/elsewhere"
	l1 := func(p *core.Policy) { p.MinLevel = core.L1 }
	partial := func(p *core.Policy) { p.Missing = core.AllowPartial }
	both := func(p *core.Policy) { l1(p); partial(p) }
	hourAgo := time.Now().Add(-26 * time.Hour)

	root := s.token().Sign(t)
	child := s.token().After(t, true, root).Sign(t)
	grandchild := s.token().After(t, true, child).Sign(t)
	loose := s.token().After(t, false, root).Sign(t)
	unsignedRoot := s.token().Unsigned(t)
	unsignedChild := s.token().After(t, true, unsignedRoot).Unsigned(t)
	strangersRoot := stranger.Token(to).Sign(t)
	oldRoot := s.from.TokenAt(elsewhere, hourAgo).Sign(t)
	notice := other.Token(to).With("exec_act", "ect.ledger.failed").With("pred", []string{taskID(t, root)}).Sign(t)
	a, b := number(1), number(2)

	for _, tt := range []struct {
		name   string
		policy func(*core.Policy)
		tokens []string
		want   shape
	}{
		{"a root", nil, []string{root}, shape{Heads: 1}},
		{"two roots", nil, []string{root, s.token().Sign(t)}, shape{Heads: 2}},
		{"an edge", nil, []string{root, child}, shape{Heads: 1, Context: 1}},
		{"an edge without a digest", nil, []string{root, loose}, shape{Heads: 1, Context: 1}},
		{"a chain", nil, []string{root, child, grandchild}, shape{Heads: 1, Context: 2}},
		{"a fork", nil, []string{root, child, loose}, shape{Heads: 2, Context: 1}},
		{"a join", nil, []string{root, child, loose, s.token().After(t, true, child, loose).Sign(t)}, shape{Heads: 1, Context: 3}},

		{"equal tokens", nil, []string{root, root, root}, shape{Heads: 1}},
		{"equal tokens of context", nil, []string{root, root, child}, shape{Heads: 1, Context: 1}},
		{"a twin", nil, []string{root, ecttest.Twin(t, root)}, shape{Heads: 1}},
		{"a twin of context", nil, []string{child, root, ecttest.Twin(t, root)}, shape{Heads: 1, Context: 1}},
		{"a forged twin", nil, []string{root, forge(t, root)}, shape{Code: core.CodeSignature}},
		{"a forged twin of context", nil, []string{child, root, forge(t, root)}, shape{Code: core.CodeSignature}},
		{"forged twins alone", nil, []string{forge(t, root), forge(t, root)}, shape{Code: core.CodeSignature}},
		{"equal unsigned tokens", l1, []string{unsignedRoot, unsignedRoot}, shape{Heads: 1}},

		{"context for another audience, expired, old", nil, []string{oldRoot, s.token().After(t, true, oldRoot).Sign(t)}, shape{Heads: 1, Context: 1}},
		{"a head for another audience", nil, []string{oldRoot}, shape{Code: core.CodeAudience}},
		{"context and a head for another audience", nil, []string{root, s.from.Token(elsewhere).After(t, true, root).Sign(t)}, shape{Code: core.CodeAudience}},
		{"unsigned context under a signed head", nil, []string{unsignedRoot, s.token().After(t, true, unsignedRoot).Sign(t)}, shape{Heads: 1, Context: 1}},
		// Without a digest an edge of a signed token means a signed one (profile 3.6).
		{"unsigned and named without a digest", l1, []string{unsignedRoot, s.token().After(t, false, unsignedRoot).Sign(t)}, shape{Code: core.CodePredMissing}},
		{"unsigned and named without a digest, partial", both, []string{unsignedRoot, s.token().After(t, false, unsignedRoot).Sign(t)}, shape{Heads: 2}},
		{"context that lives too long", nil, []string{
			s.token().With("jti", a).With("exp", time.Now().Add(25*time.Hour).Unix()).Sign(t), s.token().With("pred", []string{a}).Sign(t),
		}, shape{Code: core.CodeClaims}},
		{"context with an algorithm that is not allowed", func(p *core.Policy) { p.Algorithms = []core.Algorithm{core.EdDSA} }, []string{root, child}, shape{Code: core.CodeAlgorithm}},

		{"an unsigned token names a signed one", l1, []string{root, s.token().After(t, true, root).Unsigned(t)}, shape{Heads: 2}},
		{"the same, where L2 is asked", nil, []string{root, s.token().After(t, true, root).Unsigned(t)}, shape{Code: core.CodeLevel}},
		{"an unsigned token names a signed one of context", l1, []string{root, child, s.token().After(t, true, root).Unsigned(t)}, shape{Heads: 2, Context: 1}},
		{"an unsigned token names an unsigned one", l1, []string{unsignedRoot, unsignedChild}, shape{Heads: 1, Context: 1}},

		{"a stranger's head", nil, []string{strangersRoot}, shape{Code: core.CodeKeyUnknown}},
		{"a stranger's head beside another", nil, []string{root, strangersRoot}, shape{Code: core.CodeKeyUnknown}},
		{"a stranger's context", partial, []string{strangersRoot, s.token().After(t, true, strangersRoot).Sign(t)}, shape{Heads: 1, NotCarried: 1}},
		{"a stranger's context, missing", nil, []string{strangersRoot, s.token().After(t, true, strangersRoot).Sign(t)}, shape{Code: core.CodePredMissing}},
		{"a stranger's context twice", partial, []string{strangersRoot, strangersRoot, s.token().After(t, true, strangersRoot).Sign(t)}, shape{Heads: 1, NotCarried: 1}},
		{"a stranger names a head", nil, []string{root, stranger.Token(to).After(t, true, root).Sign(t)}, shape{Code: core.CodeKeyUnknown}},
		{"a stranger names a head, and is named", partial, []string{
			s.token().With("jti", a).Sign(t),
			stranger.Token(to).With("jti", b).With("pred", []string{a}).Sign(t),
			s.token().With("pred", []string{b}).Sign(t),
		}, shape{Heads: 2, NotCarried: 1}},
		{"a stranger would make a cycle", partial, []string{
			s.token().With("jti", a).With("pred", []string{b}).Sign(t),
			stranger.Token(to).With("jti", b).With("pred", []string{a}).Sign(t),
		}, shape{Heads: 1, NotCarried: 1}},
		{"strangers name each other", nil, []string{
			stranger.Token(to).With("jti", a).With("pred", []string{b}).Sign(t),
			stranger.Token(to).With("jti", b).With("pred", []string{a}).Sign(t),
		}, shape{Code: core.CodeKeyUnknown}},
		{"a stranger's context with claims that are wrong", partial, []string{
			stranger.Token(to).With("jti", a).Without("exec_act").Sign(t), s.token().With("pred", []string{a}).Sign(t),
		}, shape{Heads: 1, NotCarried: 1}},
		{"a stranger's context, malformed", partial, []string{
			stranger.Token(to).With("jti", a).With("exp", "x").Sign(t), s.token().With("pred", []string{a}).Sign(t),
		}, shape{Code: core.CodeMalformed}},
		{"a stranger's notice", nil, []string{root, stranger.Token(to).With("exec_act", "ect.ledger.failed").Sign(t)}, shape{Code: core.CodeKeyUnknown}},

		{"context with a bad signature", nil, []string{forge(t, root), child}, shape{Code: core.CodeSignature}},
		{"context with a bad signature, partial", partial, []string{forge(t, root), child}, shape{Code: core.CodeSignature}},
		{"context with another's key", partial, []string{
			func() string {
				tok := other.Token(to).With("iss", s.from.Identity).Head("kid", s.from.KeyID).With("jti", a)
				return tok.Sign(t)
			}(), s.token().With("pred", []string{a}).Sign(t),
		}, shape{Code: core.CodeSignature}},
		{"context whose kid is gone", partial, []string{
			s.token().Head("kid", "gone").With("jti", a).Sign(t), s.token().With("pred", []string{a}).Sign(t),
		}, shape{Heads: 1, NotCarried: 1}},

		{"two that name each other", nil, []string{
			s.token().With("jti", a).With("pred", []string{b}).Sign(t), s.token().With("jti", b).With("pred", []string{a}).Sign(t),
		}, shape{Code: core.CodeNoHead}},
		{"two that name each other, and a head", nil, []string{
			s.token().With("jti", a).With("pred", []string{b}).Sign(t), s.token().With("jti", b).With("pred", []string{a}).Sign(t), root,
		}, shape{Code: core.CodeCycle}},
		{"three in a ring", partial, []string{
			s.token().With("jti", a).With("pred", []string{b}).Sign(t), s.token().With("jti", b).With("pred", []string{number(3)}).Sign(t),
			s.token().With("jti", number(3)).With("pred", []string{a}).Sign(t),
		}, shape{Code: core.CodeNoHead}},
		{"two unsigned that name each other", l1, []string{
			s.token().With("jti", a).With("pred", []string{b}).Unsigned(t), s.token().With("jti", b).With("pred", []string{a}).Unsigned(t),
		}, shape{Code: core.CodeNoHead}},
		{"an unsigned and a signed that name each other", l1, []string{
			s.token().With("jti", a).With("pred", []string{b}).Unsigned(t), s.token().With("jti", b).With("pred", []string{a}).Sign(t),
		}, shape{Code: core.CodePredMissing}},

		{"a notice", nil, []string{root, notice}, shape{Heads: 1, Notices: 1}},
		{"a notice twice", nil, []string{root, notice, notice}, shape{Heads: 1, Notices: 1}},
		{"a notice alone", nil, []string{notice}, shape{Code: core.CodeNoHead}},
		{"a notice whose task is not here", nil, []string{s.token().Sign(t), notice}, shape{Heads: 1, Notices: 1}},
		{"a notice for somebody else", nil, []string{root, other.Token(elsewhere).With("exec_act", "ect.ledger.failed").Sign(t)}, shape{Code: core.CodeAudience}},
		{"a notice that is forged", nil, []string{root, forge(t, notice)}, shape{Code: core.CodeSignature}},
		{"a notice that is named", partial, []string{notice, s.token().After(t, true, notice).Sign(t)}, shape{Heads: 1, Notices: 1}},
		{"a notice that is named, missing", nil, []string{notice, s.token().After(t, true, notice).Sign(t)}, shape{Code: core.CodePredMissing}},
		{"an unsigned notice", l1, []string{root, s.token().With("exec_act", "ect.ledger.failed").Unsigned(t)}, shape{Heads: 1, Notices: 1}},
		{"an unsigned notice where L2 is asked", nil, []string{root, s.token().With("exec_act", "ect.ledger.failed").Unsigned(t)}, shape{Code: core.CodeLevel}},

		{"a digest of another token makes no context", partial, []string{
			s.token().With("jti", a).Sign(t), s.token().With("pred", []string{a}).With("ect_ext", raw(`{"pred_dig":["AAAAAAAAAAAAAAAAAAAAAA"]}`)).Sign(t),
		}, shape{Code: core.CodePredDigest}},
		{"one of two with the same id is meant", nil, collision(t, s, other, true), shape{Heads: 2, Context: 1}},
		{"two with the same id, and none is chosen", nil, collision(t, s, other, false), shape{Code: core.CodePredAmbiguous}},
		{"two with the same id, and none is chosen, partial", partial, collision(t, s, other, false), shape{Code: core.CodePredAmbiguous}},
		{"equivocation in one message", nil, []string{s.token().With("jti", a).Sign(t), s.token().With("jti", a).With("exec_act", "other").Sign(t), root}, shape{Code: core.CodeEquivocation}},
		{"a signed and an unsigned one of an id", l1, []string{s.token().With("jti", a).Sign(t), s.token().With("jti", a).Unsigned(t)}, shape{Code: core.CodePredAmbiguous}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := s.policy
			if tt.policy != nil {
				tt.policy(&p)
			}
			got := anyOrder(t, func() *core.Verifier { return verifier(t, s.Domain, p) }, tt.tokens...)
			if diff := cmp.Diff(tt.want, shapeOf(got)); diff != "" {
				t.Errorf("Verify of %s (-want +got):\n%s", tt.name, diff)
			}
		})
	}
}

// collision returns two tokens of two issuers with the same id, and one that names the id.
func collision(t *testing.T, s *scene, other *ecttest.Agent, bound bool) []string {
	t.Helper()
	one := s.token().With("jti", number(1)).Sign(t)
	two := other.Token(s.to.Identity).With("jti", number(1)).Sign(t)
	return []string{one, two, s.token().After(t, bound, one).Sign(t)}
}

// TestOrderOfFaults holds two tokens that are bad in different ways, in both orders: the
// sender must be told the same, as order means nothing (profile 4.1). Sizes come first and form second
// (profile 4), so of the rest malformed wins.
func TestOrderOfFaults(t *testing.T) {
	s := newScene(t)
	faults := map[string]string{}
	for _, b := range ecttest.BadTokens() {
		class := b.Code.Class().String()
		if _, ok := faults[class]; !ok {
			faults[class] = b.Mint(t, s.Domain, s.from, s.to.Identity)
		}
	}
	replayed := s.token().Sign(t)
	faults["replayed"] = replayed
	fresh := func() *core.Verifier {
		v := verifier(t, s.Domain, s.policy)
		wantAccepted(t, v, replayed)
		return v
	}
	for one, a := range faults {
		for two, b := range faults {
			if one >= two {
				continue
			}
			classes := []string{}
			for _, values := range [][]string{{a, b}, {b, a}} {
				classes = append(classes, codeOf(t, fresh(), values...).Class().String())
			}
			if classes[0] != classes[1] {
				t.Errorf("Verify of a %s and a %s token: %s in one order and %s in the other", one, two, classes[0], classes[1])
			}
			want := ""
			switch {
			case one == "too-large" || two == "too-large":
				want = "too-large"
			case one == "malformed" || two == "malformed":
				want = "malformed"
			}
			if want != "" && classes[0] != want {
				t.Errorf("Verify of a %s and a %s token is %s, want %s", one, two, classes[0], want)
			}
		}
	}
}

// TestTwinIsReplayed holds that the other spelling of a seen token is that token again.
func TestTwinIsReplayed(t *testing.T) {
	s := newScene(t)
	v := verifier(t, s.Domain, s.policy)
	text := s.token().Sign(t)
	wantAccepted(t, v, text)
	wantCode(t, v, core.CodeReplayed, ecttest.Twin(t, text))
	wantCode(t, v, core.CodeReplayed, text)
}

// TestResultParts holds what the parts of a result say (profile 4.2).
func TestResultParts(t *testing.T) {
	s := newScene(t)
	p := s.policy
	p.MinLevel, p.Missing = core.L1, core.AllowPartial
	root := s.token().Sign(t)
	unsigned := s.token().Unsigned(t)
	for _, tt := range []struct {
		name            string
		tokens          []string
		level, lowest   core.Level
		complete, bound core.Finding
		missing         int
	}{
		{"a root", []string{root}, core.L2, core.L2, core.Yes, core.Yes, 0},
		{"bound", []string{root, s.token().After(t, true, root).Sign(t)}, core.L2, core.L2, core.Yes, core.Yes, 0},
		{"not bound", []string{root, s.token().After(t, false, root).Sign(t)}, core.L2, core.L2, core.Yes, core.No, 0},
		{"missing", []string{s.token().After(t, true, root).Sign(t)}, core.L2, core.L2, core.No, core.Yes, 1},
		{"an unsigned root", []string{unsigned}, core.L1, core.L1, core.No, core.Yes, 0},
		{"after an unsigned one", []string{unsigned, s.token().After(t, true, unsigned).Sign(t)}, core.L2, core.L1, core.No, core.Yes, 0},
		{"missing further down", func() []string {
			mid := s.token().With("pred", []string{number(1)}).Sign(t)
			return []string{mid, s.token().After(t, true, mid).Sign(t)}
		}(), core.L2, core.L2, core.No, core.Yes, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := wantAccepted(t, verifier(t, s.Domain, p), tt.tokens...).Heads()[0]
			if h.Level() != tt.level || h.LowestLevel() != tt.lowest || h.Complete() != tt.complete || h.EdgesBound() != tt.bound || len(h.Missing()) != tt.missing {
				t.Errorf("%s: level %v, lowest %v, complete %v, bound %v, missing %v; want %v, %v, %v, %v, %d missing",
					tt.name, h.Level(), h.LowestLevel(), h.Complete(), h.EdgesBound(), h.Missing(),
					tt.level, tt.lowest, tt.complete, tt.bound, tt.missing)
			}
			for name, f := range map[string]core.Finding{"ProofBound": h.ProofBound(), "Suspect": h.Suspect(), "Logged": h.Logged(), "CrossesWorkflow": h.CrossesWorkflow()} {
				if f == core.Yes {
					t.Errorf("%s: %s = yes", tt.name, name)
				}
			}
		})
	}
	var zero core.Verified
	if zero.Level() != 0 || (*core.Verified)(nil).Level() != 0 || zero.Role().String() != "none" {
		t.Error("a zero Verified claims a level or a role")
	}
}

// TestLevels holds the minimum level of heads and of the chain: one raises the other
// and never lowers it (profile 1.3, 5.6).
func TestLevels(t *testing.T) {
	s := newScene(t)
	unsigned := s.token().Unsigned(t)
	signed := s.token().Sign(t)
	after := s.token().After(t, true, unsigned).Sign(t)
	twice := s.token().After(t, true, after).Sign(t)
	for _, tt := range []struct {
		min, route, chain core.Level
		tokens            []string
		code              core.Code
	}{
		{core.L1, 0, 0, []string{unsigned}, 0},
		{core.L1, core.L1, 0, []string{unsigned}, 0},
		{core.L1, core.L2, 0, []string{unsigned}, core.CodeLevel},
		{core.L1, core.L2, 0, []string{signed}, 0},
		{core.L2, 0, 0, []string{unsigned}, core.CodeLevel},
		{core.L2, core.L1, 0, []string{unsigned}, core.CodeLevel}, // a route cannot lower it
		{core.L2, core.L1, 0, []string{signed}, 0},
		{core.L2, core.L3, 0, []string{signed}, core.CodeLevel},
		{core.L3, 0, 0, []string{signed}, core.CodeLevel},
		{core.L3, core.L1, 0, []string{signed}, core.CodeLevel},
		{core.L2, 0, core.L1, []string{unsigned, after}, 0},
		{core.L2, 0, core.L2, []string{unsigned, after}, core.CodeChainLevel},
		{core.L2, 0, core.L2, []string{unsigned, after, twice}, core.CodeChainLevel},
		{core.L2, 0, 0, []string{unsigned, after, twice}, 0},
		{core.L1, 0, core.L2, []string{unsigned}, core.CodeChainLevel},
		{core.L2, 0, core.L2, []string{signed}, 0},
		{core.L2, 0, core.L3, []string{signed}, core.CodeChainLevel},
	} {
		p := s.policy
		p.MinLevel, p.MinChainLevel = tt.min, tt.chain
		for order := range permutations(len(tt.tokens)) {
			in := presented()
			in.MinLevel = tt.route
			for _, i := range order {
				in.Values = append(in.Values, tt.tokens[i])
			}
			_, err := verifier(t, s.Domain, p).Verify(t.Context(), in)
			if got := core.CodeOf(err); got != tt.code {
				t.Errorf("Verify of %d tokens, minimum %v, route %v, chain %v = %v, want code %v", len(tt.tokens), tt.min, tt.route, tt.chain, err, tt.code)
			}
		}
	}
}

// TestPredecessors holds a head against predecessors that are known, carried, missing,
// ambiguous or other tokens than the ones named, under both policies (profile 3.6, 5.2).
func TestPredecessors(t *testing.T) {
	s := newScene(t)
	other := s.Agent(t, "other")
	to := s.to.Identity
	known := s.token().With("jti", number(1)).Sign(t)
	sameID := other.Token(to).With("jti", number(1)).Sign(t)
	unsignedSameID := s.token().With("jti", number(1)).Unsigned(t)
	named := s.token().With("pred", []string{number(1)})
	bound := s.token().After(t, true, known)
	differs := s.token().With("pred", []string{number(1)}).With("ect_ext", raw(`{"pred_dig":["AAAAAAAAAAAAAAAAAAAAAA"]}`))
	for _, tt := range []struct {
		name            string
		before, with    []string
		head            *ecttest.Token
		reject, partial core.Code
	}{
		{"known, named", []string{known}, nil, named, 0, 0},
		{"known, bound", []string{known}, nil, bound, 0, 0},
		{"carried, named", nil, []string{known}, named, 0, 0},
		{"carried, bound", nil, []string{known}, bound, 0, 0},
		{"known and carried", []string{known}, []string{known}, bound, 0, 0},
		{"missing, named", nil, nil, named, core.CodePredMissing, 0},
		{"missing, bound", nil, nil, bound, core.CodePredMissing, 0},
		{"another is known", []string{sameID}, nil, bound, core.CodePredDigest, core.CodePredDigest},
		{"an unsigned one is known, bound", []string{unsignedSameID}, nil, bound, core.CodePredMissing, 0},
		{"an unsigned one is known, named", []string{unsignedSameID}, nil, named, core.CodePredMissing, 0},
		{"known, differs", []string{known}, nil, differs, core.CodePredDigest, core.CodePredDigest},
		{"two are known, differs", []string{known, sameID}, nil, differs, core.CodePredDigest, core.CodePredDigest},
		{"two are known, named", []string{known, sameID}, nil, named, core.CodePredAmbiguous, core.CodePredAmbiguous},
		{"two are known, bound", []string{known, sameID}, nil, bound, 0, 0},
		{"one is known, another carried, named", []string{known}, []string{sameID}, named, core.CodePredAmbiguous, core.CodePredAmbiguous},
		{"a signed and an unsigned one are known, named", []string{known, unsignedSameID}, nil, named, 0, 0},
		{"a signed and an unsigned one are known, bound", []string{known, unsignedSameID}, nil, bound, 0, 0},
	} {
		for policy, want := range map[core.MissingPolicy]core.Code{core.RejectMissing: tt.reject, core.AllowPartial: tt.partial} {
			t.Run(fmt.Sprintf("%s, %d", tt.name, policy), func(t *testing.T) {
				p := s.policy
				p.MinLevel, p.Missing = core.L1, policy
				head := tt.head.Sign(t)
				in := append([]string{head}, tt.with...)
				fresh := func() *core.Verifier {
					v := verifier(t, s.Domain, p)
					for _, b := range tt.before {
						wantAccepted(t, v, b)
					}
					return v
				}
				o := anyOrder(t, fresh, in...)
				if got := shapeOf(o).Code; got != want {
					t.Errorf("Verify = code %v, want %v", got, want)
				}
				if want == 0 && policy == core.AllowPartial && tt.reject == core.CodePredMissing {
					if h := strings.Join(o.Heads, ""); !strings.Contains(h, "complete=no") || strings.Contains(h, "missing=[]") {
						t.Errorf("the result does not say what is missing: %s", h)
					}
				}
			})
		}
	}
}

// TestContextThenHead presents a token as context first, where what is wrong with its
// edges is noted only, and then as a head, where it is refused under either policy
// (profile 3.6, 5.2): having come along once makes nothing right.
func TestContextThenHead(t *testing.T) {
	s := newScene(t)
	other := s.Agent(t, "other")
	for _, policy := range []core.MissingPolicy{core.RejectMissing, core.AllowPartial} {
		for _, tt := range []struct {
			name  string
			token *ecttest.Token
			code  core.Code
		}{
			{"differs", s.token().With("pred", []string{number(1)}).With("ect_ext", raw(`{"pred_dig":["AAAAAAAAAAAAAAAAAAAAAA"]}`)), core.CodePredDigest},
			{"ambiguous", s.token().With("pred", []string{number(1)}), core.CodePredAmbiguous},
		} {
			p := s.policy
			p.Missing = policy
			v := verifier(t, s.Domain, p)
			wantAccepted(t, v, s.token().With("jti", number(1)).Sign(t))
			wantAccepted(t, v, other.Token(s.to.Identity).With("jti", number(1)).Sign(t))
			text := tt.token.With("jti", number(2)).Sign(t)
			if got := codeOf(t, v, text); got != tt.code {
				t.Errorf("%s, policy %d: Verify = code %v, want %v", tt.name, policy, got, tt.code)
			}
			r := wantAccepted(t, v, s.token().After(t, true, text).Sign(t), text)
			if got := r.Context()[0]; got.Complete() != core.No || len(got.Missing()) != 1 {
				t.Errorf("%s, policy %d: as context: complete %v, missing %v", tt.name, policy, got.Complete(), got.Missing())
			}
			if got := codeOf(t, v, text); got != tt.code {
				t.Errorf("%s, policy %d: Verify after it was context = code %v, want %v", tt.name, policy, got, tt.code)
			}
		}
	}
}

// TestPredTime holds pred.iat <= iat + 30 s (profile 5.3), of heads and of context.
func TestPredTime(t *testing.T) {
	s := newScene(t)
	for _, tt := range []struct {
		skew  *time.Duration
		later time.Duration
		code  core.Code
	}{
		{nil, 0, 0}, {nil, -time.Hour, 0}, {nil, 30 * time.Second, 0}, {nil, 31 * time.Second, core.CodePredTime},
		{new(time.Duration(0)), 0, 0}, {new(time.Duration(0)), time.Second, core.CodePredTime},
		{new(time.Minute), time.Minute, 0}, {new(time.Minute), 61 * time.Second, core.CodePredTime},
	} {
		p := s.policy
		p.PredSkew = tt.skew
		pred := s.from.TokenAt(s.to.Identity, epoch.Add(tt.later)).Sign(t)
		child := s.from.TokenAt(s.to.Identity, epoch).After(t, true, pred).Sign(t)
		c := newClock(epoch)
		fresh := func() *core.Verifier { return verifier(t, s.Domain, p, c.option()) }
		if got := shapeOf(anyOrder(t, fresh, pred, child)).Code; got != tt.code {
			t.Errorf("Verify with a predecessor %v later, skew %v = code %v, want %v", tt.later, tt.skew, got, tt.code)
		}
		head := s.from.TokenAt(s.to.Identity, epoch).After(t, true, child).Sign(t)
		if got := shapeOf(anyOrder(t, fresh, pred, child, head)).Code; got != tt.code {
			t.Errorf("the same as context = code %v, want %v", got, tt.code)
		}
	}
}

// TestOldNames accepts the names of revision -00, in every spelling (profile 2.3, 3.1).
func TestOldNames(t *testing.T) {
	s := newScene(t)
	root := s.token().Sign(t)
	digest := unverified(t, root).Digest().Short().String()
	for _, typ := range []string{
		"exec+jwt", "EXEC+JWT", "Exec+Jwt", "application/exec+jwt", "APPLICATION/EXEC+JWT", "Application/exec+JWT",
		"wimse-exec+jwt", "WIMSE-EXEC+JWT", "application/wimse-exec+jwt", "APPLICATION/wimse-exec+jwt",
	} {
		for _, names := range [][2]string{{"pred", "ect_ext"}, {"par", "ect_ext"}, {"pred", "ext"}, {"par", "ext"}} {
			tok := s.token().Without("pred").Head("typ", typ).
				With(names[0], []string{taskID(t, root)}).
				With(names[1], map[string]any{"pred_dig": []string{digest}, "outcome": "error", "status": 500})
			h := wantAccepted(t, verifier(t, s.Domain, s.policy), root, tok.Sign(t)).Heads()[0]
			c := h.Claims()
			if len(c.Pred) != 1 || len(c.Ext.PredDigests) != 1 || c.Ext.Outcome != core.OutcomeError || c.Ext.Status != 500 || h.EdgesBound() != core.Yes {
				t.Errorf("typ %q, names %v: claims %+v", typ, names, c)
			}
		}
	}
	for _, typ := range []string{
		"", "exec", "exec+jwt+", " exec+jwt", "exec+jwt ", "exec+jwt;x=y", "jwt", "JWT", "act+jwt", "wit+jwt", "wpt+jwt", "at+jwt",
		"application/", "application/jwt", "application//exec+jwt", "application/application/exec+jwt", "/exec+jwt", "text/exec+jwt",
		"application\\/exec+jwt", "application/exec+jwt/", "wimse-wimse-exec+jwt", "e\u0445ec+jwt", "exec+jw\u0442", "\u1e9eexec+jwt", "exec\u212b",
		"wim\u017fe-exec+jwt", "wimse_exec+jwt", "application/wimſe-exec+jwt", "applıcation/exec+jwt", "APPL\u0130CATION/exec+jwt", "exec+jwt\x00",
	} {
		wantCode(t, verifier(t, s.Domain, s.policy), core.CodeType, s.token().Head("typ", typ).Sign(t))
	}
}

// TestUUIDCase compares ids in lower case, however they are written (profile 3.3).
func TestUUIDCase(t *testing.T) {
	s := newScene(t)
	const lower, upper, mixed = "abcdefab-cdef-4bcd-8fab-cdefabcdefab", "ABCDEFAB-CDEF-4BCD-8FAB-CDEFABCDEFAB", "AbCdEfAb-cDeF-4BcD-8fAb-CdEfAbCdEfAb"
	all := []string{lower, upper, mixed}
	for _, jti := range all {
		for _, pred := range all {
			root := s.token().With("jti", jti).With("wid", pred).Sign(t)
			child := s.token().With("wid", jti).With("pred", []string{pred}).Sign(t)
			r := wantAccepted(t, verifier(t, s.Domain, s.policy), root, child)
			if got := r.Context()[0].Claims().TaskID.String(); got != lower || r.Workflow().String() != lower {
				t.Errorf("jti %q is %q, wid %q is %q", jti, got, pred, r.Workflow())
			}
			wantCode(t, verifier(t, s.Domain, s.policy), core.CodeEquivocation, root, s.token().With("jti", pred).Sign(t))
			wantCode(t, verifier(t, s.Domain, s.policy), core.CodeClaims, s.token().With("jti", jti).With("pred", []string{pred}).Sign(t))
		}
	}
}

// binderFunc is a binder that does as a test wants.
type binderFunc func(u *core.Unverified) (core.BoundKey, error)

func (f binderFunc) Bind(_ context.Context, u *core.Unverified, _ core.Evidence) (core.BoundKey, error) {
	return f(u)
}

// TestBoundKey holds what a binder says of a key against the token: identity byte for
// byte, type, curve and algorithm (profile 2.4, 4).
func TestBoundKey(t *testing.T) {
	s := newScene(t)
	p384 := ecttest.NewKey(t, core.ES384)
	for _, tt := range []struct {
		name string
		edit func(*core.BoundKey)
		code core.Code
	}{
		{"as it is", func(*core.BoundKey) {}, 0},
		{"for its algorithm", func(k *core.BoundKey) { k.Algorithm = core.ES256 }, 0},
		{"for another algorithm", func(k *core.BoundKey) { k.Algorithm = core.ES384 }, core.CodeAlgorithm},
		{"another issuer's", func(k *core.BoundKey) { k.Issuer = ecttest.Name + "/other" }, core.CodeIssuer},
		{"an issuer's of another case", func(k *core.BoundKey) { k.Issuer = strings.ToUpper(k.Issuer) }, core.CodeIssuer},
		{"an issuer's with a slash", func(k *core.BoundKey) { k.Issuer += "/" }, core.CodeIssuer},
		{"nobody's", func(k *core.BoundKey) { k.Issuer = "" }, core.CodeIssuer},
		{"no key", func(k *core.BoundKey) { k.Public = nil }, core.CodeAlgorithm},
		{"a key of another kind", func(k *core.BoundKey) { k.Public = ed25519.PublicKey(make([]byte, 32)) }, core.CodeAlgorithm},
		{"a key on another curve", func(k *core.BoundKey) { k.Public = p384.Public() }, core.CodeAlgorithm},
		{"a private key", func(k *core.BoundKey) { k.Public = s.from.Key }, core.CodeAlgorithm},
		{"a symmetric key", func(k *core.BoundKey) { k.Public = []byte("secret") }, core.CodeAlgorithm},
		{"another key", func(k *core.BoundKey) { k.Public = ecttest.NewKey(t, core.ES256).Public() }, core.CodeSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := core.NewVerifier(binderFunc(func(u *core.Unverified) (core.BoundKey, error) {
				k, err := s.Bind(t.Context(), u, core.Evidence{})
				tt.edit(&k)
				return k, err
			}), s.policy)
			if err != nil {
				t.Fatal(err)
			}
			wantCode(t, v, tt.code, s.token().Sign(t))
		})
	}
}

// TestBrokenKey lets a binder give keys that are none. They are refused, and nothing
// panics on the way of a request.
func TestBrokenKey(t *testing.T) {
	s := newScene(t)
	for name, key := range map[string]crypto.PublicKey{
		"no point": &ecdsa.PublicKey{Curve: elliptic.P256()}, "a nil key": (*ecdsa.PublicKey)(nil), "no curve": &ecdsa.PublicKey{},
		"an empty key": ed25519.PublicKey{}, "a nil Ed25519 key": ed25519.PublicKey(nil),
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("Verify panics: %v", p)
				}
			}()
			v, err := core.NewVerifier(binderFunc(func(*core.Unverified) (core.BoundKey, error) {
				return core.BoundKey{Public: key, Issuer: s.from.Identity}, nil
			}), s.policy)
			if err != nil {
				t.Fatal(err)
			}
			if codeOf(t, v, s.token().Sign(t)) == 0 {
				t.Error("Verify = nil")
			}
		})
	}
}

// TestRememberedKey changes the key behind a kid: a signature that was verified under the
// old one is worth nothing any more, however long ago that was.
func TestRememberedKey(t *testing.T) {
	s := newScene(t)
	v := verifier(t, s.Domain, s.loose(), core.WithSignatureMemory(32))
	text := s.token().Sign(t)
	wantAccepted(t, v, text)
	old, other := s.from.Key, s.Agent(t, "other")
	s.from.Key = ecttest.NewKey(t, core.ES256)
	for range 200 { // others take the place of the text, step by step
		wantCode(t, v, core.CodeSignature, text)
		wantAccepted(t, v, other.Token(s.to.Identity).Sign(t))
	}
	s.from.Key = old
	wantAccepted(t, v, text)
	s.Remove(s.from)
	wantCode(t, v, core.CodeKeyUnknown, text)
}

// TestMemoryIsBounded verifies more signatures than are remembered, many times over.
func TestMemoryIsBounded(t *testing.T) {
	s := newScene(t)
	for _, entries := range []int{1, 2, 40} {
		v := verifier(t, s.Domain, s.loose(), core.WithSignatureMemory(entries))
		texts := []string{}
		for range 100 {
			texts = append(texts, s.token().Sign(t))
		}
		for range 3 {
			for _, text := range texts {
				wantAccepted(t, v, text)
				wantCode(t, v, core.CodeSignature, forge(t, text))
			}
		}
	}
}

// TestBinderFails holds what becomes of a message whose keys cannot be asked for now.
func TestBinderFails(t *testing.T) {
	s := newScene(t)
	v := verifier(t, s.Domain, s.policy)
	text, forged := s.token().Sign(t), forge(t, s.token().Sign(t))
	for _, err := range []error{
		errors.New("down"), core.NewError(core.CodeUnavailable, nil),
		core.NewError(0, nil), core.NewError(core.CodeUnrecorded+1, nil), // codes that there are not
	} {
		s.Fail(err)
		wantCode(t, v, core.CodeUnavailable, text)
		wantCode(t, v, core.CodeUnavailable, text, forged)
		wantCode(t, v, core.CodeMalformed, text, forged+".")
		wantCode(t, v, core.CodeType, text, s.token().Head("typ", "JWT").Sign(t)) // a final no wins
		wantCode(t, v, core.CodeType, s.token().Head("typ", "JWT").Sign(t), text)
		_, got := v.Verify(t.Context(), presented(text))
		if !errors.Is(got, err) {
			t.Errorf("the error %v does not wrap the binder's", got)
		}
	}
	s.Fail(nil)
	wantAccepted(t, v, text)
}
