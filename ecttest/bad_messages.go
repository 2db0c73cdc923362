// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest

import (
	"slices"
	"strings"
	"time"

	"github.com/go-ect/ect/core"
)

// noticeAction is the `exec_act` of a notice (profile 8.5).
const noticeAction = "ect.ledger.failed"

// BadMessages returns every kind of message that is refused for more than a [BadTokens]
// token that it has alone: for how many came, and in which form; for what they are to each
// other, to what came before and to the content; and for what the service cannot do now.
func BadMessages() []Message {
	all := emptyMessages()
	all = append(all, largeMessages()...)
	all = append(all, mixedMessages()...)
	all = append(all, contextMessages()...)
	all = append(all, graphMessages()...)
	all = append(all, replayedMessages()...)
	all = append(all, unavailableMessages()...)
	return append(all, contentMessages()...)
}

// emptyMessages hold no token.
func emptyMessages() []Message {
	all := []Message{}
	for _, empty := range []struct {
		name   string
		values []string
	}{
		{"no value", nil},
		{"an empty value", []string{""}},
		{"two empty values", []string{"", ""}},
		{"spaces", []string{"  "}},
		{"white space", []string{" \t "}},
		{"commas", []string{", ,,"}},
		{"commas in two values", []string{",", " ,"}},
	} {
		all = append(all, Message{Name: empty.name, Code: core.CodeRequired, stage: func(s *stage) []Attempt {
			return []Attempt{refused(core.CodeRequired, empty.values...), accepted(s.head())}
		}})
	}
	return all
}

// largeMessages pass a limit of profile 9.2.
func largeMessages() []Message {
	const code = core.CodeTooLarge
	return []Message{
		{Name: "too many values", Code: code, stage: func(s *stage) []Attempt {
			all := s.heads(core.DefaultTokens + 1)
			return []Attempt{refused(code, all...), accepted(all[1:]...)}
		}},
		{Name: "too many tokens in a value", Code: code, stage: func(s *stage) []Attempt {
			all := s.heads(core.DefaultTokens + 1)
			return []Attempt{
				refused(code, strings.Join(all, ",")),
				{Values: []string{strings.Join(all[1:], ", ")}, Heads: all[1:]},
			}
		}},
		{Name: "too many tokens in two values", Code: code, stage: func(s *stage) []Attempt {
			all := s.heads(core.DefaultTokens + 1)
			return []Attempt{
				refused(code, strings.Join(all[:9], ","), strings.Join(all[9:], ",")),
				{Values: []string{strings.Join(all[:9], ","), strings.Join(all[9:16], ",")}, Heads: all[:16]},
			}
		}},
		{Name: "too many of one token", Code: code, stage: func(s *stage) []Attempt {
			all := slices.Repeat([]string{s.head()}, core.DefaultTokens+1)
			return []Attempt{refused(code, all...), {Values: all[1:], Heads: all[:1]}}
		}},
		{Name: "too many bad tokens", Code: code, stage: func(s *stage) []Attempt {
			return []Attempt{refused(code, slices.Repeat([]string{"e30"}, core.DefaultTokens+1)...), accepted(s.head())}
		}},
		{Name: "too much in all", Code: code, stage: func(s *stage) []Attempt {
			long := func() string { return s.sign(s.token().With("x", strings.Repeat("x", 5000))) }
			all := []string{long(), long(), long(), long(), long()} // some 7 KB each
			return []Attempt{refused(code, all...), refused(code, strings.Join(all, ",")), accepted(all[1:]...)}
		}},
		{Name: "too many commas", Code: code, stage: func(s *stage) []Attempt {
			good := s.head()
			room := core.DefaultTotalBytes - len(good)
			return []Attempt{
				refused(code, strings.Repeat(",", core.DefaultTotalBytes+1)),
				refused(code, good+strings.Repeat(",", room+1)),
				accepted(good + strings.Repeat(",", room)).of(good),
			}
		}},
		{Name: "a token too long for the policy", Code: code, stage: func(s *stage) []Attempt {
			good, long := s.sign(s.token().With("x", "xxx")), s.sign(s.token().With("x", "xxxx"))
			s.policy.Limits.TokenBytes = len(good)
			return []Attempt{refused(code, long), refused(code, good, long), accepted(good)}
		}},
		{Name: "too many tokens for the policy", Code: code, stage: func(s *stage) []Attempt {
			all := s.heads(3)
			s.policy.Limits.Tokens = 2
			return []Attempt{refused(code, all...), accepted(all[:2]...)}
		}},
		{Name: "too much in all for the policy", Code: code, stage: func(s *stage) []Attempt {
			a, b := s.head(), s.head()
			s.policy.Limits.TotalBytes = len(a) + 1 + len(b)
			return []Attempt{refused(code, a+",,"+b), accepted(a+","+b).of(a, b)}
		}},
		{Name: "too large and malformed", Code: code, stage: func(s *stage) []Attempt {
			long := strings.Repeat("A", core.DefaultTokenBytes+1)
			return []Attempt{refused(code, "!", long), refused(code, long, "!"), accepted(s.head())}
		}},
	}
}

// heads mints n good tokens.
func (s *stage) heads(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s.head()
	}
	return all
}

// mixedMessages hold a bad token beside a good one.
func mixedMessages() []Message {
	mixed := func(name string, code core.Code, bad func(s *stage) string) Message {
		return Message{Name: name, Code: code, stage: func(s *stage) []Attempt {
			return beside(code, s.head(), bad(s))
		}}
	}
	return []Message{
		mixed("malformed beside good", core.CodeMalformed, func(*stage) string { return "a.b.c" }),
		mixed("another character beside good", core.CodeMalformed, func(*stage) string { return "!" }),
		mixed("a bad signature beside good", core.CodeSignature, func(s *stage) string { return s.forge(s.token()) }),
		mixed("no signature beside good", core.CodeAlgorithm, func(s *stage) string {
			return s.token().Head("alg", "none").SigningInput(s.tb) + "."
		}),
		mixed("an unknown issuer beside good", core.CodeKeyUnknown, func(s *stage) string {
			return s.sign(s.stranger().Token(s.To.Identity))
		}),
		mixed("an unsigned token beside good", core.CodeLevel, func(s *stage) string { return s.token().Unsigned(s.tb) }),
		mixed("a claim missing beside good", core.CodeClaims, func(s *stage) string { return s.sign(s.token().Without("exec_act")) }),
		mixed("another audience beside good", core.CodeAudience, func(s *stage) string {
			return s.sign(s.From.Token(Name + "/elsewhere"))
		}),
		mixed("expired beside good", core.CodeExpired, func(s *stage) string {
			return s.sign(s.From.TokenAt(s.To.Identity, time.Now().Add(-11*time.Minute)))
		}),
		mixed("a missing predecessor beside good", core.CodePredMissing, func(s *stage) string {
			return s.sign(s.token().With("pred", []string{numbered(1)}))
		}),
		mixed("another workflow beside good", core.CodeWorkflow, func(s *stage) string {
			return s.sign(s.token().With("wid", numbered(1)))
		}),
		{Name: "malformed and a bad signature", Code: core.CodeMalformed, stage: func(s *stage) []Attempt {
			forged := s.forge(s.token())
			return []Attempt{
				refused(core.CodeMalformed, "a.b.c", forged), refused(core.CodeMalformed, forged, "a.b.c"), accepted(s.head()),
			}
		}},
		{Name: "a forged twin", Code: core.CodeSignature, stage: func(s *stage) []Attempt {
			t := s.token()
			return beside(core.CodeSignature, s.sign(t), s.forge(t))
		}},
	}
}
