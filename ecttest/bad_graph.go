// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest

import (
	"time"

	"github.com/go-ect/ect/core"
)

// contextMessages hold a good head and history that is bad.
func contextMessages() []Message {
	return []Message{
		{Name: "context with a bad signature", Code: core.CodeSignature, stage: func(s *stage) []Attempt {
			t := s.token()
			root, forged := s.sign(t), s.forge(t)
			child := s.sign(s.after(root))
			return []Attempt{
				refused(core.CodeSignature, forged, child), refused(core.CodeSignature, child, forged),
				refused(core.CodeSignature, root, forged, child), accepted(root, child).of(child),
			}
		}},
		{Name: "context with a bad signature, partial", Code: core.CodeSignature, stage: func(s *stage) []Attempt {
			s.policy.Missing = core.AllowPartial
			t := s.token()
			child := s.sign(s.after(s.sign(t)))
			return []Attempt{refused(core.CodeSignature, s.forge(t), child), accepted(child)}
		}},
		{Name: "context that is malformed", Code: core.CodeMalformed, stage: func(s *stage) []Attempt {
			bad := s.sign(s.token().With("jti", numbered(1)).With("iat", "today"))
			return []Attempt{
				refused(core.CodeMalformed, bad, s.sign(s.token().With("pred", []string{numbered(1)}))), accepted(s.head()),
			}
		}},
		{Name: "context with a claim missing", Code: core.CodeClaims, stage: func(s *stage) []Attempt {
			bad := s.sign(s.token().With("jti", numbered(1)).Without("exec_act"))
			return []Attempt{
				refused(core.CodeClaims, bad, s.sign(s.token().With("pred", []string{numbered(1)}))), accepted(s.head()),
			}
		}},
		{Name: "context of an unknown issuer", Code: core.CodePredMissing, stage: func(s *stage) []Attempt {
			root := s.sign(s.stranger().Token(s.To.Identity))
			return []Attempt{refused(core.CodePredMissing, root, s.sign(s.after(root))), accepted(s.head())}
		}},
		{Name: "context that is another token", Code: core.CodePredDigest, stage: func(s *stage) []Attempt {
			root := s.head()
			child := s.after(root)
			good := s.sign(child)
			bad := s.sign(child.With("ect_ext", map[string]any{"pred_dig": []string{"AAAAAAAAAAAAAAAAAAAAAA"}}))
			return []Attempt{refused(core.CodePredDigest, root, bad), accepted(root, good).of(good)}
		}},
		{Name: "context that is later", Code: core.CodePredTime, stage: func(s *stage) []Attempt {
			root := s.sign(s.From.TokenAt(s.To.Identity, time.Now().Add(time.Minute)))
			return []Attempt{refused(core.CodePredTime, root, s.sign(s.after(root))), accepted(s.head())}
		}},
		{Name: "context of another workflow", Code: core.CodeWorkflow, stage: func(s *stage) []Attempt {
			root := s.sign(s.token().With("wid", numbered(1)))
			child := s.after(root)
			good, bad := s.sign(child), s.sign(child.With("wid", numbered(2)).With("jti", numbered(3)))
			return []Attempt{refused(core.CodeWorkflow, root, bad), accepted(root, good).of(good)}
		}},
		{Name: "context below the level of the chain", Code: core.CodeChainLevel, stage: func(s *stage) []Attempt {
			s.policy.MinChainLevel = core.L2
			root := s.token().Unsigned(s.tb)
			return []Attempt{refused(core.CodeChainLevel, root, s.sign(s.after(root))), accepted(s.head())}
		}},
		{Name: "context below the level of heads", Code: core.CodeLevel, stage: func(s *stage) []Attempt {
			root := s.head()
			return []Attempt{refused(core.CodeLevel, root, s.after(root).Unsigned(s.tb)), accepted(root)}
		}},
		{Name: "context known to a refused message", Code: core.CodePredMissing, stage: func(s *stage) []Attempt {
			root := s.head()
			child := s.sign(s.after(root))
			return []Attempt{
				refused(core.CodeSignature, root, s.forge(s.after(root))),
				refused(core.CodePredMissing, child),
				accepted(root, child).of(child),
			}
		}},
		{Name: "a predecessor left out", Code: core.CodePredMissing, stage: func(s *stage) []Attempt {
			root := s.head()
			child := s.sign(s.after(root))
			grandchild := s.sign(s.after(child))
			return []Attempt{
				refused(core.CodePredMissing, child), refused(core.CodePredMissing, root, grandchild),
				accepted(root, child).of(child), accepted(grandchild),
			}
		}},
	}
}

// graphMessages hold tokens that are good, and cannot be so together.
func graphMessages() []Message {
	loop := func(s *stage) (a, b string) {
		return s.sign(s.token().With("jti", numbered(1)).With("pred", []string{numbered(2)})),
			s.sign(s.token().With("jti", numbered(2)).With("pred", []string{numbered(1)}))
	}
	notice := func(s *stage) *Token { return s.token().With("exec_act", noticeAction) }
	return []Message{
		{Name: "two that name each other", Code: core.CodeNoHead, stage: func(s *stage) []Attempt {
			a, b := loop(s)
			return []Attempt{refused(core.CodeNoHead, a, b), accepted(s.head())}
		}},
		{Name: "three in a ring", Code: core.CodeNoHead, stage: func(s *stage) []Attempt {
			ring := []string{}
			for n := range 3 {
				ring = append(ring, s.sign(s.token().With("jti", numbered(n)).With("pred", []string{numbered((n + 1) % 3)})))
			}
			return []Attempt{refused(core.CodeNoHead, ring...), accepted(s.head())}
		}},
		{Name: "two that name each other, and a head", Code: core.CodeCycle, stage: func(s *stage) []Attempt {
			a, b := loop(s)
			head := s.head()
			return []Attempt{refused(core.CodeCycle, a, b, head), refused(core.CodeCycle, head, b, a), accepted(head)}
		}},
		{Name: "only notices", Code: core.CodeNoHead, stage: func(s *stage) []Attempt {
			return []Attempt{refused(core.CodeNoHead, s.sign(notice(s)), s.sign(notice(s))), accepted(s.head())}
		}},
		{Name: "a forged notice", Code: core.CodeSignature, stage: func(s *stage) []Attempt {
			return beside(core.CodeSignature, s.head(), s.forge(notice(s)))
		}},
		{Name: "a notice to somebody else", Code: core.CodeAudience, stage: func(s *stage) []Attempt {
			return beside(core.CodeAudience, s.head(), s.sign(notice(s).With("aud", Name+"/elsewhere")))
		}},
		{Name: "after a notice", Code: core.CodePredMissing, stage: func(s *stage) []Attempt {
			n := s.sign(notice(s))
			return []Attempt{refused(core.CodePredMissing, n, s.sign(s.after(n))), accepted(s.head())}
		}},
		{Name: "two heads of one id by two issuers", Code: core.CodePredAmbiguous, stage: func(s *stage) []Attempt {
			one := s.sign(s.token().With("jti", numbered(1)))
			two := s.sign(s.other().Token(s.To.Identity).With("jti", numbered(1)))
			return []Attempt{
				refused(core.CodePredAmbiguous, one, two), refused(core.CodePredAmbiguous, two, one), accepted(one),
			}
		}},
		{Name: "two heads of one id, one unsigned", Code: core.CodePredAmbiguous, stage: func(s *stage) []Attempt {
			s.policy.MinLevel = core.L1
			t := s.token()
			return []Attempt{refused(core.CodePredAmbiguous, s.sign(t), t.Unsigned(s.tb)), accepted(s.sign(t))}
		}},
		{Name: "two predecessors of one id", Code: core.CodePredAmbiguous, stage: func(s *stage) []Attempt {
			one := s.sign(s.token().With("jti", numbered(1)))
			two := s.sign(s.other().Token(s.To.Identity).With("jti", numbered(1)))
			loose, bound := s.sign(s.token().With("pred", []string{numbered(1)})), s.sign(s.after(one))
			return []Attempt{
				refused(core.CodePredAmbiguous, one, two, loose), accepted(one, two, bound).of(two, bound),
			}
		}},
		{Name: "one id for two tokens", Code: core.CodeEquivocation, stage: func(s *stage) []Attempt {
			t := s.token()
			one, two := s.sign(t), s.sign(t.With("exec_act", "other"))
			return []Attempt{
				refused(core.CodeEquivocation, one, two), refused(core.CodeEquivocation, two, one), accepted(one),
			}
		}},
		{Name: "one id for two tokens, one after the other", Code: core.CodeEquivocation, stage: func(s *stage) []Attempt {
			t := s.token()
			one, two := s.sign(t), s.sign(t.With("exec_act", "other"))
			fresh := s.head()
			return []Attempt{
				accepted(one), refused(core.CodeEquivocation, two), refused(core.CodeEquivocation, two, fresh), accepted(fresh),
			}
		}},
		{Name: "heads of two workflows", Code: core.CodeWorkflow, stage: func(s *stage) []Attempt {
			one, two := s.sign(s.token().With("wid", numbered(1))), s.sign(s.token().With("wid", numbered(2)))
			return []Attempt{refused(core.CodeWorkflow, one, two), accepted(one), accepted(two)}
		}},
		{Name: "unsigned, and named without a digest", Code: core.CodePredMissing, stage: func(s *stage) []Attempt {
			s.policy.MinLevel = core.L1
			root := s.token().Unsigned(s.tb)
			loose, bound := s.sign(s.token().After(s.tb, false, root)), s.sign(s.after(root))
			return []Attempt{refused(core.CodePredMissing, root, loose), accepted(root, bound).of(bound)}
		}},
	}
}
