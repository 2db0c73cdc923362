// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"sync"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
)

// pseudonymDomain is what every text that a pseudonym is made of begins with, so that a
// secret which is used for something else as well gives nothing away.
const pseudonymDomain = "ect-pseudonym/v1"

// pseudonymBytes is how much of the HMAC a pseudonym shows.
const pseudonymBytes = 16

// Token is what pseudonyms depend on beside the value: whose they are, and of which epoch.
// The fields are those of [core.Claims].
type Token struct {
	// TaskID is `jti`. It is needed where the token has no workflow: such a token is a scope
	// of its own.
	TaskID core.UUID
	// Workflow is `wid`: values are equal under pseudonyms within one workflow alone.
	Workflow core.Workflow
	// IssuedAt is `iat`, which decides on the epoch. The zero value is one that is not known.
	IssuedAt time.Time
}

// scope is the workflow, or the token itself where it has none.
func (t Token) scope() core.UUID {
	if t.Workflow.Present {
		return t.Workflow.ID
	}
	return t.TaskID
}

// Pseudonyms returns what telemetry under this policy's keys shows in place of a value of a
// token, for whoever holds the keys and searches. It is one pseudonym where it is known when
// the token was issued. Where it is not, there is one for each epoch, in the order of the
// keys: search for all of them.
//
//   - For [ClaimTask], value is the task id, and Token.TaskID may be left out.
//   - For [ClaimWorkflow], value is the workflow id, and Token.Workflow may be left out.
//   - For the others, value is the text as it stands in the token.
//
// A token without a workflow is a scope of its own, by its task id. The policy need not show
// the claim as a pseudonym: what matters are the keys, which are checked as [New] does.
// Nothing is returned with an error.
func (p Policy) Pseudonyms(claim Claim, value string, of Token) ([]string, error) {
	if err := checkKeys(p.Keys); err != nil {
		return nil, err
	}
	switch {
	case len(p.Keys) == 0:
		return nil, errors.New("otelbridge: Pseudonyms: Policy.Keys is empty")
	case claim == 0 || claim >= claimEnd:
		return nil, errors.New("otelbridge: Pseudonyms: claim is none of the claims")
	case value == "":
		return nil, errors.New("otelbridge: Pseudonyms: value is empty")
	}
	if claim == ClaimTask || claim == ClaimWorkflow {
		u, err := id.ParseUUID(value)
		if err != nil {
			return nil, fmt.Errorf("otelbridge: Pseudonyms: value of %s: %w", claim, err)
		}
		if err := of.fill(claim, u); err != nil {
			return nil, err
		}
		value = u.String()
	}
	if of.scope() == (core.UUID{}) {
		return nil, errors.New("otelbridge: Pseudonyms: the token has neither Workflow nor TaskID")
	}
	ring := newKeyring(p.Keys, nil)
	if !of.IssuedAt.IsZero() {
		return []string{pseudonym(ring.at(of.IssuedAt), claim, of, value)}, nil
	}
	all := make([]string, len(ring))
	for i, e := range ring {
		all[i] = pseudonym(e, claim, of, value)
	}
	return all, nil
}

// fill sets the id that the caller left out because the value is it.
func (t *Token) fill(claim Claim, u core.UUID) error {
	switch {
	case claim == ClaimWorkflow && !t.Workflow.Present:
		t.Workflow = core.Workflow{ID: u, Present: true}
	case claim == ClaimWorkflow && t.Workflow.ID != u:
		return errors.New("otelbridge: Pseudonyms: value is not the token's Workflow")
	case claim == ClaimTask && t.TaskID == core.UUID{}:
		t.TaskID = u
	case claim == ClaimTask && t.TaskID != u:
		return errors.New("otelbridge: Pseudonyms: value is not the token's TaskID")
	}
	return nil
}

// An epoch is a key in use.
type epoch struct {
	key PseudonymKey
	// states holds HMACs that are keyed already.
	states sync.Pool
}

// state is an HMAC with the room that its text and its sum need, so that a pseudonym costs
// no allocation but that of its string.
type state struct {
	mac hash.Hash
	buf []byte
}

func newEpoch(k PseudonymKey) *epoch {
	e := &epoch{key: k}
	e.key.From = k.From.Round(0) // the wall clock alone
	e.states.New = func() any {
		return &state{mac: hmac.New(sha256.New, k.Secret.bytes()), buf: make([]byte, 0, 512)}
	}
	return e
}

// pseudonym returns the epoch's name, a dot, and in lower hexadecimal the first 16 bytes of
// HMAC-SHA-256 over four lines, each ended by LF: the domain, the claim, the scope and the
// value. Only the value can hold an LF, and it is last: no two inputs give one text.
func pseudonym[T string | []byte](e *epoch, claim Claim, of Token, value T) string {
	s := e.states.Get().(*state)
	defer e.states.Put(s)

	b := s.buf[:0]
	b = append(b, pseudonymDomain...)
	b = append(b, '\n')
	b = append(b, claims[claim].name...)
	b = append(b, '\n')
	b = of.scope().Append(b)
	b = append(b, '\n')
	b = append(b, value...)
	b = append(b, '\n')
	s.mac.Reset()
	s.mac.Write(b)
	s.buf = s.mac.Sum(b[:0])

	var out [MaxEpochBytes + 1 + 2*pseudonymBytes]byte
	text := append(append(out[:0], e.key.Epoch...), '.')
	return string(hex.AppendEncode(text, s.buf[:pseudonymBytes]))
}
