// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest

import (
	"iter"
	"testing"

	"github.com/go-ect/ect/core"
)

// Message is a kind of message, as [BadMessages] and [GoodMessages] have them: what
// [BadTokens] is for one token, it is for all that came together, for what came before and
// for the service that it came to. An adapter's test stages each on a server of its own:
//
//	for _, m := range ecttest.BadMessages() {
//		scene := m.Stage(t, ecttest.Contents{Sent: hash, Other: hashOfOther})
//		server := serve(scene.Service)
//		for a := range scene.Attempts() {
//			got := server.send(a.Values, content(a.Other))
//			// the handler was called, or got is a refusal for a.Code
//		}
//	}
type Message struct {
	// Name says what is wrong, or particular, about it.
	Name string
	// Code is what the service must say of it; 0 for a good one.
	Code core.Code
	// Content tells that the content is what is wrong. An adapter that hands content on
	// while it comes finds that out late, under [core.BodyMatch]: the handler may run then,
	// and the message's claim is kept.
	Content bool

	stage func(s *stage) []Attempt
}

// Contents are the hashes of two contents that a test can send, which differ. They are
// made as the adapter makes them.
type Contents struct {
	// Sent is of what is sent unless an [Attempt] says otherwise.
	Sent core.Hash
	// Other is of what is sent where [Attempt].Other is set.
	Other core.Hash
}

// Scene is a service, and messages to it from an agent that it knows. Its fields are not
// to be changed.
type Scene struct {
	// Domain has the keys of both.
	Domain *Domain
	// From sends. It is the one peer that the service tells: tokens and hashes.
	From *Agent
	// To is the service's identity.
	To *Agent
	// Service receives. It is made for this scene alone.
	Service *core.Service

	attempts []Attempt
}

// Attempt is one message to the service of a [Scene], and what must come of it.
type Attempt struct {
	// Values are those of the field, or of the metadata key, in their order. Some hold
	// white space or nothing; a transport that cannot carry one may leave the scene out.
	Values []string
	// Other says to send the other of the two [Contents].
	Other bool
	// Code is what the message is refused with; 0 says that it is accepted.
	Code core.Code
	// Heads are the tokens that the task of an accepted message comes after, in that
	// order.
	Heads []string

	before func()
}

// Attempts yields the scene's messages in their order, each to be sent when the one before
// it is done with. Most scenes end with one that is accepted, often with the good tokens of
// those that were refused, which must be none the worse: nothing was claimed. In between
// things happen to the service, such as that its key source is back, so they can be gone
// through once.
func (s *Scene) Attempts() iter.Seq[Attempt] {
	return func(yield func(Attempt) bool) {
		for len(s.attempts) > 0 {
			a := s.attempts[0]
			s.attempts = s.attempts[1:]
			if a.before != nil {
				a.before()
			}
			if !yield(a) {
				return
			}
		}
	}
}

// Stage makes a domain and a service of it to which messages of this kind are sent, under
// [Agent.Policy] but for what the kind is about. The options are for its verifier: an
// observer, say. Contents matter where m.Content is set, and may be empty elsewhere.
func (m Message) Stage(tb testing.TB, c Contents, opts ...core.VerifierOption) *Scene {
	tb.Helper()
	if m.Content && (!c.Sent.Present || !c.Other.Present || c.Sent == c.Other) {
		tb.Fatalf("Stage: %s needs two contents", m.Name)
	}
	d := NewDomain()
	s := &stage{Scene: &Scene{Domain: d, From: d.Agent(tb, "from"), To: d.Agent(tb, "to")}, tb: tb, contents: c}
	s.policy = s.To.Policy()
	s.attempts = m.stage(s)
	s.Service = d.ServiceWithPolicy(tb, s.To, s.policy,
		[]core.Audience{{ID: s.From.Identity, Tokens: true, Hashes: true}}, append(s.options, opts...)...)
	return s.Scene
}

// stage is a scene while it is made.
type stage struct {
	*Scene
	tb       testing.TB
	contents Contents
	// policy and options are what the service is made with.
	policy  core.Policy
	options []core.VerifierOption
}

// token begins a good root token to the service.
func (s *stage) token() *Token { return s.From.Token(s.To.Identity) }

// head mints a good token.
func (s *stage) head() string { return s.sign(s.token()) }

// over mints a good token that names the content it goes with.
func (s *stage) over(content core.Hash) string {
	return s.sign(s.token().With("out_hash", content.String()))
}

func (s *stage) sign(t *Token) string {
	s.tb.Helper()
	return t.Sign(s.tb)
}

// forge signs a token with a key that is not its issuer's. Its digest is as it would be.
func (s *stage) forge(t *Token) string {
	s.tb.Helper()
	f := *t
	f.Key = NewKey(s.tb, t.Algorithm)
	return f.Sign(s.tb)
}

// after begins a token that comes after others, their digests included.
func (s *stage) after(preds ...string) *Token {
	s.tb.Helper()
	return s.token().After(s.tb, true, preds...)
}

// other returns another agent of the domain.
func (s *stage) other() *Agent {
	s.tb.Helper()
	return s.Domain.Agent(s.tb, "other")
}

// stranger returns an agent whose key nobody knows.
func (s *stage) stranger() *Agent {
	s.tb.Helper()
	a := s.Domain.Agent(s.tb, "stranger")
	s.Domain.Remove(a)
	return a
}

// refused is a message that is refused.
func refused(code core.Code, values ...string) Attempt { return Attempt{Values: values, Code: code} }

// accepted is a message of heads alone.
func accepted(heads ...string) Attempt { return Attempt{Values: heads, Heads: heads} }

// of is an accepted message with these heads among its values.
func (a Attempt) of(heads ...string) Attempt {
	a.Heads = heads
	return a
}

// other is the same message with the other content.
func (a Attempt) other() Attempt {
	a.Other = true
	return a
}

// once has something happen before the message is sent.
func (a Attempt) once(before func()) Attempt {
	a.before = before
	return a
}

// beside holds that a bad token is not dropped because a good one came along, in whatever
// order and form; and that the good one may come again.
func beside(code core.Code, good, bad string) []Attempt {
	return []Attempt{
		refused(code, good, bad), refused(code, bad, good),
		refused(code, good+", "+bad), refused(code, bad+","+good),
		accepted(good),
	}
}
