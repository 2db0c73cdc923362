// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
)

// check names the field in every error. It is what [New] refuses a policy for.
func (p Policy) check() error {
	first := Claim(0) // the first claim that is shown as a pseudonym
	for c := ClaimTask; c < claimEnd; c++ {
		switch d := claims[c].shown(&p); {
		case d > Plain:
			return fmt.Errorf("otelbridge: Policy.%s is none of Omit, Pseudonym and Plain", claims[c].field)
		case d == Pseudonym && first == 0:
			first = c
		}
	}
	switch {
	case p.Links > LinksAny:
		return errors.New("otelbridge: Policy.Links is none of the links")
	case p.Edge > EdgeContinue:
		return errors.New("otelbridge: Policy.Edge is none of EdgeRestart, EdgeLink and EdgeContinue")
	case first != 0 && len(p.Keys) == 0:
		return fmt.Errorf("otelbridge: Policy.Keys is empty, and Policy.%s is Pseudonym", claims[first].field)
	case first == 0 && len(p.Keys) > 0:
		return errors.New("otelbridge: Policy.Keys is set, and nothing is shown as a pseudonym")
	}
	return checkKeys(p.Keys)
}

// disclosure is a policy at work. It is safe for concurrent use.
type disclosure struct {
	// policy has no keys: those are in the ring.
	policy Policy
	shown  [claimEnd]Disclosure
	// domain is this service's own trust domain.
	domain string
	ring   atomic.Pointer[keyring]
	// rekeying is held while the ring is replaced.
	rekeying sync.Mutex
}

// newDisclosure checks the policy, and copies what it needs of it. The identity is this
// service's own.
func newDisclosure(identity string, p Policy) (*disclosure, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	d := &disclosure{domain: core.TrustDomain(identity)}
	for c := ClaimTask; c < claimEnd; c++ {
		d.shown[c] = claims[c].shown(&p)
	}
	ring := newKeyring(p.Keys, nil)
	d.ring.Store(&ring)
	p.Keys = nil
	d.policy = p
	return d, nil
}

// rekey replaces the keys while pseudonyms are made. A key that stays must be what it was,
// and a new one begins after all that stay, see replaceable. Nothing is changed with an
// error.
func (d *disclosure) rekey(keys []PseudonymKey) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	d.rekeying.Lock()
	defer d.rekeying.Unlock()
	old := *d.ring.Load()
	if len(old) == 0 {
		return errors.New("otelbridge: Policy.Keys: nothing is shown as a pseudonym")
	}
	if err := old.replaceable(keys); err != nil {
		return err
	}
	ring := newKeyring(keys, old)
	d.ring.Store(&ring)
	return nil
}

// The methods below return how a claim of a token is shown, and whether it is. What is
// absent from the token is not. They make no text that nobody sees.

// text shows a claim that is a text.
func (d *disclosure) text(c Claim, of Token, value string) (string, bool) {
	if value == "" {
		return "", false
	}
	switch d.shown[c] {
	case Plain:
		return value, true
	case Pseudonym:
		return pseudonym(d.epoch(of), c, of, value), true
	}
	return "", false
}

// task shows the token's task id.
func (d *disclosure) task(of Token) (string, bool) { return d.uuid(ClaimTask, of, of.TaskID) }

// workflow shows the token's workflow.
func (d *disclosure) workflow(of Token) (string, bool) {
	if !of.Workflow.Present {
		return "", false
	}
	return d.uuid(ClaimWorkflow, of, of.Workflow.ID)
}

func (d *disclosure) uuid(c Claim, of Token, value core.UUID) (string, bool) {
	switch d.shown[c] {
	case Plain:
		return value.String(), true
	case Pseudonym:
		var text [id.UUIDLen]byte
		return pseudonym(d.epoch(of), c, of, value.Append(text[:0])), true
	}
	return "", false
}

// hash shows one of the token's hashes.
func (d *disclosure) hash(c Claim, of Token, value core.Hash) (string, bool) {
	if !value.Present {
		return "", false
	}
	switch d.shown[c] {
	case Plain:
		return value.String(), true
	case Pseudonym:
		var text [core.HashLen]byte
		base64.RawURLEncoding.Encode(text[:], value.Sum[:])
		return pseudonym(d.epoch(of), c, of, text[:]), true
	}
	return "", false
}

func (d *disclosure) epoch(of Token) *epoch { return d.ring.Load().at(of.IssuedAt) }

// home tells whether an identity is of this service's own trust domain. The issuer of an
// unsigned token is not known, and so "" is of none.
func (d *disclosure) home(identity string) bool {
	return identity != "" && core.TrustDomain(identity) == d.domain
}

// admits tells whether the span of a token of the workflow own may point to a predecessor.
// home tells that the predecessor was issued in this service's own trust domain.
func (d *disclosure) admits(own, pred core.Workflow, home bool) bool {
	switch d.policy.Links {
	case LinksSameWorkflow:
		return own.Present && own == pred
	case LinksSameTrustDomain:
		return home
	case LinksAny:
		return true
	}
	return false
}

// believes tells whether links may lead where a signed token says that its span is. One of
// another trust domain says so of a trace from outside, which is for the edge to decide on.
func (d *disclosure) believes(home bool) bool {
	return d.policy.CarryTrace && (home || d.policy.Edge != EdgeRestart)
}
