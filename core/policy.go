// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"errors"
	"fmt"
	"time"
)

// Policy is what a verifier believes. The first five fields have no default: left
// out, [NewVerifier] fails and names the field.
type Policy struct {
	// MinLevel is the minimum level of heads (profile 1.3).
	MinLevel Level
	// Audience is who this verifier is; a token's `aud` must name it, byte for byte.
	Audience string
	// Missing says what becomes of a head with a predecessor that was never seen here.
	Missing MissingPolicy
	// Replay says how often a token may be presented.
	Replay ReplayMode
	// Body says whether a body is held against the sender's record.
	Body BodyBinding

	// Algorithms is the allow-list; nil means ES256 alone, and empty is an error.
	Algorithms []Algorithm
	// MinChainLevel is the minimum level of heads and all their known ancestors; zero
	// asks nothing beyond MinLevel (profile 5.6).
	MinChainLevel Level
	// CrossWorkflow admits edges between workflows; nil admits none (profile 5.5).
	CrossWorkflow CrossWorkflowFunc

	// MaxAge is how old `iat` may be, MaxFuture how far ahead, Leeway how long after
	// `exp` a token is still accepted, MaxLifetime how long after `iat` `exp` may be,
	// PredSkew by how much a predecessor may be later than its successor. Nil means the
	// default of the same name, new(time.Duration(0)) says zero. They have whole seconds.
	MaxAge, MaxFuture, Leeway, MaxLifetime, PredSkew *time.Duration

	// Limits bounds what one message may carry.
	Limits Limits
}

// MissingPolicy says what becomes of a head whose predecessor is not known (profile 5.2).
type MissingPolicy uint8

const (
	// RejectMissing refuses it, in a request: for the answer to a dispatch only the dispatch
	// must be known. A service that is not the first in a chain needs senders that carry
	// context, as its caller's caller is unknown to it; see [Audience]. With several instances of a service this needs senders
	// that carry context, or a store that the instances share: an in-memory store knows
	// what this instance saw.
	RejectMissing MissingPolicy = iota + 1
	// AllowPartial accepts it and marks the result partial.
	AllowPartial
)

// ReplayMode says how often a token may be presented (profile 7.2). Another token of the
// same issuer and id is refused in every mode.
type ReplayMode uint8

const (
	// ReplayOncePerInstance accepts a token once in this process. Another instance of
	// the service, which has a memory of its own, accepts it once as well.
	ReplayOncePerInstance ReplayMode = iota + 1
	// ReplayIdempotent accepts the same token again, for handlers whose work may be
	// done twice.
	ReplayIdempotent
	// ReplayOff keeps no record of token ids.
	ReplayOff
)

// BodyBinding says whether a body is held against the `out_hash` of the sender's head
// (profile 9.7).
type BodyBinding uint8

const (
	// BodyIgnore compares nothing.
	BodyIgnore BodyBinding = iota + 1
	// BodyMatch refuses a body that differs; a record without a hash passes. The handler
	// may be running already when the difference is found.
	BodyMatch
	// BodyRequire refuses a record without a hash as well, and a body that is over the
	// adapter's cap: all of a request's body is read and compared before the token is claimed
	// and the handler runs. An answer must state both hashes, what it got and what it gave.
	BodyRequire
)

// CrossWorkflowEdge is an edge between two workflows. Where heads of several workflows
// meet in one task, Child is that task: it has no id yet and no workflow. The issuer of an
// unsigned token is "", as nobody is known to have issued it.
type CrossWorkflowEdge struct {
	PredIssuer   string
	Pred         UUID
	PredWorkflow Workflow

	ChildIssuer   string
	Child         UUID
	ChildWorkflow Workflow
}

// CrossWorkflowFunc admits an edge and names the workflow that goes on from its child.
// It is called for verified tokens only, with a lock held: it must return at once.
type CrossWorkflowFunc func(CrossWorkflowEdge) (goesOn Workflow, ok bool)

// policy is a Policy whose defaults are filled in.
type policy struct {
	Policy
	maxAge, maxFuture, leeway, maxLifetime, predSkew time.Duration
	algorithms                                       [Ed25519 + 1]bool
}

func (p Policy) compile() (*policy, error) {
	c := &policy{Policy: p}
	switch {
	case p.MinLevel < L1 || p.MinLevel > L3:
		return nil, errors.New("ect: Policy.MinLevel is not L1, L2 or L3")
	case p.Audience == "":
		return nil, errors.New("ect: Policy.Audience is empty")
	case p.Missing != RejectMissing && p.Missing != AllowPartial:
		return nil, errors.New("ect: Policy.Missing is neither RejectMissing nor AllowPartial")
	case p.Replay < ReplayOncePerInstance || p.Replay > ReplayOff:
		return nil, errors.New("ect: Policy.Replay is none of the modes")
	case p.Body < BodyIgnore || p.Body > BodyRequire:
		return nil, errors.New("ect: Policy.Body is none of BodyIgnore, BodyMatch and BodyRequire")
	case p.MinChainLevel > L3:
		return nil, errors.New("ect: Policy.MinChainLevel is not a level")
	case p.Algorithms != nil && len(p.Algorithms) == 0:
		return nil, errors.New("ect: Policy.Algorithms is empty")
	}
	if p.Algorithms == nil {
		p.Algorithms = []Algorithm{ES256}
	}
	for _, a := range p.Algorithms {
		if a < ES256 || a > Ed25519 {
			return nil, errors.New("ect: Policy.Algorithms holds something that is no algorithm")
		}
		c.algorithms[a] = true
	}
	for _, d := range []struct {
		name string
		from *time.Duration
		to   *time.Duration
		def  time.Duration
	}{
		{"MaxAge", p.MaxAge, &c.maxAge, DefaultMaxAge},
		{"MaxFuture", p.MaxFuture, &c.maxFuture, DefaultMaxFuture},
		{"Leeway", p.Leeway, &c.leeway, DefaultLeeway},
		{"MaxLifetime", p.MaxLifetime, &c.maxLifetime, DefaultMaxLifetime},
		{"PredSkew", p.PredSkew, &c.predSkew, DefaultPredSkew},
	} {
		*d.to = d.def
		if d.from != nil {
			*d.to = *d.from
		}
		if *d.to < 0 || *d.to%time.Second != 0 {
			return nil, fmt.Errorf("ect: Policy.%s is not a number of whole seconds from 0", d.name)
		}
	}
	var err error
	c.Limits, err = p.Limits.withDefaults()
	return c, err
}
