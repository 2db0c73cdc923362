// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/internal/jsonscan"
)

// steps is profile 4 after step 1, replay last.
var steps = [...]func(*message, context.Context) *Error{
	(*message).authenticate, (*message).assignRoles, (*message).checkHeads,
	(*message).checkGraph, (*message).checkBody, (*message).claim,
}

// message is one message on its way through the steps of profile 4.
type message struct {
	v       *Verifier
	now     time.Time
	p       Presented
	scanner jsonscan.Scanner
	texts   []string
	tokens  []received
	// batch holds the heads and the context that was carried; at says which token each
	// entry is, and made what became of it.
	batch    []dag.Entry
	at       []int
	proposal dag.Proposal
	made     []*Verified
	result   *Received
}

// split finds the tokens of the message, and holds them against the limits.
func (m *message) split(values []string) (bad *Error) {
	limits := m.v.policy.Limits
	if m.texts, bad = split(m.texts, values, limits); bad != nil {
		return bad
	}
	if len(m.texts) == 0 {
		return refuse(CodeRequired, "no token came")
	}
	for _, text := range m.texts {
		if len(text) > limits.TokenBytes {
			return refuse(CodeTooLarge, "a token is longer than allowed")
		}
	}
	m.tokens = slices.Grow(m.tokens, len(m.texts))[:len(m.texts)]
	return nil
}

// forget makes the message one to be used again.
func (m *message) forget() {
	m.scanner.Reset("")
	m.v, m.p, m.proposal, m.result = nil, Presented{}, dag.Proposal{}, nil
	clear(m.texts)
	clear(m.tokens)
	clear(m.batch)
	clear(m.made)
	m.texts, m.tokens, m.batch, m.at, m.made = m.texts[:0], m.tokens[:0], m.batch[:0], m.at[:0], m.made[:0]
}

// received is one token of a message.
type received struct {
	*token
	key BoundKey
	// under is the key that the same text is known to verify under, nil if it is not known.
	under publicKey
	role  Role
	node  dag.Node
	// unbound is why no key could be bound; such a token may still be context.
	unbound *Error
	// copied tells that an equal token came before.
	copied bool
}

// open reads a text, or remembers what was read of it.
func (m *message) open(r *received, text string) (bad *Error) {
	if m.v.memory != nil {
		if known, ok := m.v.memory.tokens.get(text); ok {
			r.token, r.under = known.token, known.key
			return nil
		}
	}
	r.token, bad = open(text, m.v.policy.Limits, &m.scanner, m.v.memory)
	return bad
}

// authenticate is steps 2 to 7 for every token, side by side where there are several.
func (m *message) authenticate(ctx context.Context) *Error {
	if len(m.tokens) == 1 {
		return m.authenticateOne(ctx, &m.tokens[0])
	}
	faults := make([]*Error, len(m.tokens))
	panics := make([]any, len(m.tokens))
	var wg sync.WaitGroup
	for i := range m.tokens {
		wg.Go(func() {
			// A binder's panic is the request's, which its server recovers, and not the process's.
			defer func() { panics[i] = recover() }()
			faults[i] = m.authenticateOne(ctx, &m.tokens[i])
		})
	}
	wg.Wait()
	for _, p := range panics {
		if p != nil {
			panic(p) //nolint:forbidigo // not ours: raised again where it would have been with one token
		}
	}
	var unavailable *Error
	for _, f := range faults {
		switch {
		case f == nil:
		case f.Code == CodeUnavailable:
			unavailable = f
		default:
			return f
		}
	}
	return unavailable
}

func (m *message) authenticateOne(ctx context.Context, r *received) *Error {
	pol := m.v.policy
	if !r.signed {
		return claimsFault(r.token, pol)
	}
	h := &r.header
	if h.fault != 0 {
		return refuse(h.fault, h.faultText)
	}
	if !pol.algorithms[h.algorithm] {
		return refuse(CodeAlgorithm, "the algorithm is not on the allow-list")
	}
	if r.claims.issuer == "" {
		return claimsFault(r.token, pol)
	}
	key, err := m.v.binder.Bind(ctx, (*Unverified)(r.token), m.p.Evidence)
	if err != nil {
		bad, ok := errors.AsType[*Error](err)
		switch {
		case !ok, bad.Code == 0, bad.Code >= codeEnd: // the set is closed, also for binders
			return NewError(CodeUnavailable, err)
		case bad.Code == CodeKeyUnknown:
			r.unbound = bad
			return nil
		}
		return bad
	}
	public, ok := key.Public.(publicKey)
	if !ok || !h.algorithm.fits(key.Public) || key.Algorithm != 0 && !key.Algorithm.sameKey(h.algorithm) {
		return refuse(CodeAlgorithm, "the algorithm does not fit the key")
	}
	r.key = key
	if r.sigLen != h.algorithm.signatureLen() {
		return refuse(CodeSignature, "the signature is not as long as the algorithm's")
	}
	known := r.under != nil && sameKey(r.under, public)
	if !known && !verifySignature(r.token, key.Public) {
		return refuse(CodeSignature, "the signature does not verify")
	}
	if r.under == nil { // or the claims are as they were, and others read the token
		if bad := claimsFault(r.token, pol); bad != nil {
			return bad
		}
		r.normal = r.normalText()
	}
	if r.claims.issuer != key.Issuer {
		return refuse(CodeIssuer, "iss is not what the key is bound to")
	}
	if !known && m.v.memory != nil {
		m.v.memory.add(r.token, public)
	}
	return nil
}

func claimsFault(t *token, pol *policy) *Error {
	if why := t.claims.check(t.signed, pol.maxLifetime); why != "" {
		return refuse(CodeClaims, why)
	}
	return nil
}

// assignRoles tells heads from context (profile 4.1). Edges count only if the token
// they come from was verified; equal tokens count once.
func (m *message) assignRoles(context.Context) *Error {
	for i := range m.tokens {
		m.tokens[i].node = m.tokens[i].token.node()
		for o := range i {
			if m.tokens[o].digest == m.tokens[i].digest && m.tokens[o].signed == m.tokens[i].signed {
				m.tokens[i].copied = true
			}
		}
	}
	heads := 0
	for i := range m.tokens {
		t := &m.tokens[i]
		switch {
		case t.copied:
			continue
		case t.unbound == nil && t.claims.Action == noticeAction:
			t.role = Notice
		case m.precedes(i):
			t.role = Context
		case t.unbound != nil:
			return t.unbound
		default:
			if m.bears(i) {
				return refuse(CodePredAmbiguous, "two heads bear one task id, and no successor could name both")
			}
			t.role = Head
			heads++
		}
	}
	if heads == 0 {
		return refuse(CodeNoHead, "every token of the message comes before another")
	}
	return nil
}

// bears tells whether a head found so far has the task id of token i and another issuer
// or level class. Of the same issuer and class it is equivocation, which the graph sees.
func (m *message) bears(i int) bool {
	for o := range i {
		one, other := &m.tokens[o].node.Key, &m.tokens[i].node.Key
		if m.tokens[o].role == Head && one.Task == other.Task && *one != *other {
			return true
		}
	}
	return false
}

// precedes tells whether a token of the same level class, or a signed one, comes after
// token i.
func (m *message) precedes(i int) bool {
	for o := range m.tokens {
		from := &m.tokens[o]
		if o == i || from.copied || from.unbound != nil || from.claims.Action == noticeAction ||
			!from.signed && m.tokens[i].signed {
			continue
		}
		for _, e := range from.edges {
			if e.Means(&from.node, &m.tokens[i].node) {
				return true
			}
		}
	}
	return false
}

// checkHeads is steps 8 to 11 for heads and notices.
func (m *message) checkHeads(context.Context) *Error {
	for i := range m.tokens {
		t := &m.tokens[i]
		if t.role != Head && t.role != Notice {
			continue
		}
		if bad := m.checkHead(t); bad != nil {
			return bad
		}
	}
	return nil
}

func (m *message) checkHead(t *received) *Error {
	pol, c, now := m.v.policy, &t.claims, m.now.Truncate(time.Second)
	if c.has&hasAud != 0 && !slices.Contains(c.Audience, pol.Audience) {
		return refuse(CodeAudience, "aud does not name this verifier")
	}
	switch {
	case now.After(c.Expiry.Add(pol.leeway)):
		return refuse(CodeExpired, "exp has passed")
	case now.After(c.IssuedAt.Add(pol.maxAge)):
		return refuse(CodeTooOld, "iat is too long ago")
	case c.IssuedAt.After(now.Add(pol.maxFuture)):
		return refuse(CodeNotYetValid, "iat is in the future")
	}
	level := L1
	if t.signed {
		level = L2
	}
	if level < max(pol.MinLevel, m.p.MinLevel) {
		return refuse(CodeLevel, "below the minimum level")
	}
	return nil
}
