// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest

import (
	"sync"
	"testing"

	"github.com/go-ect/ect/core"
)

// Answer is a kind of answer to a call, as [BadAnswers] and [GoodAnswers] have them.
// An adapter's test calls a server that puts together its answers with a [Peer] of the
// kind:
//
//	peer := a.Peer(domain, from, to)
//	serve(func(request) { reply(peer.Answer(t, dispatch, ecttest.Exchanged{Got: hash, Gives: hashOfReply})) })
//	first := call()  // is answered well, whatever the kind
//	second := call() // is answered as the kind says: a.Code must come of it
//
// both in one task of a service in the name of from, under [Agent.Policy]. After a bad answer
// that task goes on from the second dispatch, and after a good one from the answer.
type Answer struct {
	// Name says what is wrong, or particular, about it.
	Name string
	// Code is what the caller must be told; 0 for a good one.
	Code core.Code

	craft func(c *called) []string
}

// Exchanged is what an answer may be about: the hashes of what the peer got with a call and
// of what it gives back, as the adapter makes them. They may be absent.
type Exchanged struct{ Got, Gives core.Hash }

// Peer is who is called, and answers: the first call well, later ones as its kind says. It
// is safe for concurrent use, but calls have to come one after the other.
type Peer struct {
	answer   Answer
	domain   *Domain
	from, to *Agent

	mu    sync.Mutex
	first *called
}

// Peer returns a peer that is called by from and answers as to, both agents of the domain.
func (a Answer) Peer(d *Domain, from, to *Agent) *Peer {
	return &Peer{answer: a, domain: d, from: from, to: to}
}

// Answer returns the values of the answer to a call that came with a dispatch. The
// dispatch is one token.
func (p *Peer) Answer(tb testing.TB, dispatch string, e Exchanged) []string {
	tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &called{Peer: p, tb: tb, dispatch: dispatch, exchanged: e, before: p.first}
	if p.first == nil {
		c.answer = c.good().Sign(tb)
		p.first = c
		return []string{c.answer}
	}
	return p.answer.craft(c)
}

// called is a call that came to a peer.
type called struct {
	*Peer
	tb        testing.TB
	dispatch  string
	exchanged Exchanged
	// before is the call before this one, and answer what that was answered with.
	before *called
	answer string
}

// good begins a good answer.
func (c *called) good() *Token {
	c.tb.Helper()
	return c.to.Token(c.from.Identity).After(c.tb, true, c.dispatch)
}

func (c *called) sign(t *Token) string {
	c.tb.Helper()
	return t.Sign(c.tb)
}

// within begins a token of an agent in the workflow of the dispatch.
func (c *called) within(a *Agent, to string) *Token {
	c.tb.Helper()
	t := a.Token(to).After(c.tb, true, c.dispatch)
	delete(t.Claims, "ect_ext")
	return t.With("pred", []string{})
}

// jtiOf returns the task id of a token.
func jtiOf(tb testing.TB, token string) string {
	tb.Helper()
	u, err := core.ParseWithoutVerification(token)
	if err != nil {
		tb.Fatalf("ParseWithoutVerification: %v", err)
	}
	return u.ClaimsWithoutVerification().TaskID.String()
}
