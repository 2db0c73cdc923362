// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest

import (
	"strings"
	"time"

	"github.com/go-ect/ect/core"
)

// otherHash is of nothing that a test sends.
const otherHash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// BadAnswers returns every kind of answer that a caller must not take for one to its
// dispatch. A bad token of [BadTokens] is none either: most are refused with their own code,
// and those that would be good but for their predecessors with another.
func BadAnswers() []Answer {
	all := foreignAnswers()
	all = append(all, manyAnswers()...)
	return append(all, spoiledAnswers()...)
}

// foreignAnswers answer another dispatch, or are by or to another.
func foreignAnswers() []Answer {
	const code = core.CodeAnswer
	return []Answer{
		{"another issuer", code, func(c *called) []string {
			return []string{c.sign(c.domain.Agent(c.tb, "other").Token(c.from.Identity).After(c.tb, true, c.dispatch))}
		}},
		{"the caller's own", code, func(c *called) []string {
			return []string{c.sign(c.from.Token(c.from.Identity).After(c.tb, true, c.dispatch))}
		}},
		{"another dispatch", code, func(c *called) []string {
			other := c.sign(c.within(c.from, c.to.Identity))
			return []string{c.sign(c.to.Token(c.from.Identity).After(c.tb, true, other))}
		}},
		{"the dispatch before", code, func(c *called) []string {
			return []string{c.sign(c.to.Token(c.from.Identity).After(c.tb, true, c.before.dispatch))}
		}},
		{"no dispatch", code, func(c *called) []string { return []string{c.sign(c.within(c.to, c.from.Identity))} }},
		{"the answer before, again", code, func(c *called) []string { return []string{c.before.answer} }},
		{"the answer before, beside a good one", code, func(c *called) []string {
			return []string{c.before.answer, c.sign(c.good())}
		}},
		{"the id of the dispatch before", code, func(c *called) []string {
			return []string{c.sign(c.good().With("jti", jtiOf(c.tb, c.before.dispatch)))}
		}},
		{"the id of the answer before", core.CodeEquivocation, func(c *called) []string {
			return []string{c.sign(c.good().With("jti", jtiOf(c.tb, c.before.answer)))}
		}},
		{"the id of the dispatch", core.CodeClaims, func(c *called) []string {
			return []string{c.sign(c.good().With("jti", jtiOf(c.tb, c.dispatch)))}
		}},
		{"the dispatch itself", core.CodeAudience, func(c *called) []string { return []string{c.dispatch} }},
		{"for somebody else", core.CodeAudience, func(c *called) []string {
			return []string{c.sign(c.good().With("aud", c.to.Identity))}
		}},
		{"another workflow", core.CodeWorkflow, func(c *called) []string {
			return []string{c.sign(c.good().With("wid", numbered(1)))}
		}},
		{"another digest", core.CodePredDigest, func(c *called) []string {
			return []string{c.sign(c.good().With("ect_ext", map[string]any{"pred_dig": []string{"AAAAAAAAAAAAAAAAAAAAAA"}}))}
		}},
		{"before the dispatch", core.CodePredTime, func(c *called) []string {
			return []string{c.sign(c.good().With("iat", time.Now().Add(-time.Minute).Unix()))}
		}},
	}
}

// manyAnswers hold several tokens.
func manyAnswers() []Answer {
	notice := func(c *called) string {
		return c.sign(c.to.Token(c.from.Identity).With("exec_act", noticeAction))
	}
	return []Answer{
		{"two heads", core.CodeAnswer, func(c *called) []string { return []string{c.sign(c.good()), c.sign(c.good())} }},
		{"two heads in a value", core.CodeAnswer, func(c *called) []string {
			return []string{c.sign(c.good()) + ", " + c.sign(c.good())}
		}},
		{"another's head beside it", core.CodeAnswer, func(c *called) []string {
			other := c.domain.Agent(c.tb, "other").Token(c.from.Identity).After(c.tb, true, c.dispatch)
			return []string{c.sign(c.good()), c.sign(other)}
		}},
		{"only a notice", core.CodeNoHead, func(c *called) []string { return []string{notice(c)} }},
		{"a forged one beside it", core.CodeSignature, func(c *called) []string {
			forged := c.good()
			forged.Key = NewKey(c.tb, forged.Algorithm)
			return []string{c.sign(c.good()), c.sign(forged)}
		}},
		{"a malformed one beside it", core.CodeMalformed, func(c *called) []string {
			return []string{c.sign(c.good()), "a.b.c"}
		}},
		{"forged context", core.CodeSignature, func(c *called) []string {
			step := c.within(c.to, c.to.Identity)
			step.Key = NewKey(c.tb, step.Algorithm)
			forged := c.sign(step)
			return []string{forged, c.sign(c.to.Token(c.from.Identity).After(c.tb, true, c.dispatch, forged))}
		}},
		{"one id for two tokens", core.CodeEquivocation, func(c *called) []string {
			t := c.good()
			return []string{c.sign(t), c.sign(t.With("exec_act", "other"))}
		}},
		{"too many", core.CodeTooLarge, func(c *called) []string {
			all := []string{}
			for range core.DefaultTokens + 1 {
				all = append(all, c.sign(c.good()))
			}
			return all
		}},
	}
}

// spoiledAnswers are a good answer in which one thing is not.
func spoiledAnswers() []Answer {
	spoiled := func(name string, code core.Code, spoil func(c *called, t *Token)) Answer {
		return Answer{name, code, func(c *called) []string {
			t := c.good()
			spoil(c, t)
			return []string{c.sign(t)}
		}}
	}
	return []Answer{
		spoiled("another key", core.CodeSignature, func(c *called, t *Token) { t.Key = NewKey(c.tb, t.Algorithm) }),
		spoiled("another kid", core.CodeKeyUnknown, func(_ *called, t *Token) { t.Head("kid", "another") }),
		spoiled("another type", core.CodeType, func(_ *called, t *Token) { t.Head("typ", "JWT") }),
		spoiled("a claim missing", core.CodeClaims, func(_ *called, t *Token) { t.Without("exec_act") }),
		spoiled("expired", core.CodeExpired, func(_ *called, t *Token) {
			t.With("iat", time.Now().Add(-time.Minute).Unix()).With("exp", time.Now().Add(-40*time.Second).Unix())
		}),
		spoiled("from the future", core.CodeNotYetValid, func(_ *called, t *Token) {
			t.With("iat", time.Now().Add(40*time.Second).Unix())
		}),
		{"unsigned", core.CodeLevel, func(c *called) []string { return []string{c.good().Unsigned(c.tb)} }},
		{"malformed", core.CodeMalformed, func(*called) []string { return []string{"a.b.c"} }},
		{"too long", core.CodeTooLarge, func(*called) []string {
			return []string{strings.Repeat("A", core.DefaultTokenBytes+1)}
		}},
		spoiled("another response", core.CodeBody, func(_ *called, t *Token) { t.With("out_hash", otherHash) }),
		spoiled("another request", core.CodeBody, func(_ *called, t *Token) { t.With("inp_hash", otherHash) }),
	}
}

// GoodAnswers returns kinds of answer that look like one of [BadAnswers], and are taken.
func GoodAnswers() []Answer {
	return []Answer{
		{"plain", 0, func(c *called) []string { return []string{c.sign(c.good())} }},
		{"over what was exchanged", 0, func(c *called) []string {
			t := c.good()
			if h := c.exchanged.Got; h.Present {
				t.With("inp_hash", h.String())
			}
			if h := c.exchanged.Gives; h.Present {
				t.With("out_hash", h.String())
			}
			return []string{c.sign(t)}
		}},
		{"without digests", 0, func(c *called) []string {
			return []string{c.sign(c.to.Token(c.from.Identity).After(c.tb, false, c.dispatch))}
		}},
		{"with context", 0, func(c *called) []string {
			step := c.sign(c.within(c.to, c.to.Identity))
			return []string{step, c.sign(c.to.Token(c.from.Identity).After(c.tb, true, c.dispatch, step))}
		}},
		{"after what nobody carried", 0, func(c *called) []string {
			step := c.sign(c.within(c.to, c.to.Identity))
			return []string{c.sign(c.to.Token(c.from.Identity).After(c.tb, true, step, c.dispatch))}
		}},
		{"with the dispatch", 0, func(c *called) []string { return []string{c.dispatch, c.sign(c.good())} }},
		{"after the answer before, which comes along", 0, func(c *called) []string {
			return []string{c.before.answer, c.sign(c.to.Token(c.from.Identity).After(c.tb, true, c.dispatch, c.before.answer))}
		}},
		{"with a notice", 0, func(c *called) []string {
			return []string{c.sign(c.good()), c.sign(c.to.Token(c.from.Identity).With("exec_act", noticeAction))}
		}},
		{"twice", 0, func(c *called) []string {
			a := c.sign(c.good())
			return []string{a, "", a + "," + a}
		}},
	}
}
