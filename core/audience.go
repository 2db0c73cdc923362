// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"errors"
	"fmt"
)

// Audience says what goes to one peer. Tokens tell the shape of a workflow and who
// works with whom, and equal hashes that two workflows saw the same data, so nothing
// goes to a peer that is not named (profile 10.3).
type Audience struct {
	// ID is the peer's identity: the `aud` of what goes there, and the `iss` of what
	// must come back.
	ID string
	// Endpoints is how transports reach the peer: for HTTP an origin, such as
	// "https://billing.example:8443", for gRPC a connection's target, such as
	// "dns:///billing.example:8443". A peer that is only answered needs none, nor one that
	// grpcect.WithAudience names.
	Endpoints []string
	// Tokens says whether tokens go there at all. Without it, and without Trace, the entry
	// documents a decision, and nothing goes there.
	Tokens bool
	// Trace says which headers of distributed tracing go there, with tokens or without: those
	// of W3C Trace Context and W3C Baggage, and their like of other systems. None goes unless
	// set (profile 10.3).
	Trace TraceHeaders
	// Answer says whether an answer must come back. It has no default where Endpoints
	// and Tokens are set, nor where grpcect.WithAudience names the peer.
	Answer AnswerPolicy
	// Context is how many generations of predecessors go along, up to 8; none unless
	// set. A peer that rejects missing predecessors, and has not seen them, needs one, and
	// must trust the issuers of what goes along: a context token whose issuer it does not
	// know counts as not carried. It goes along with answers as well, and anywhere only as
	// far as the header section or metadata has room.
	Context int
	// Hashes says whether `inp_hash` and `out_hash` go along. Without them a body
	// cannot be held against the record, and tokens that hold hashes do not go along as
	// context.
	Hashes bool
	// BodyFallback says that the peer takes tokens in the body of a POST, PUT or PATCH, as
	// httpect.WithBodyFallback makes it (profile 9.3). They go there only where the header
	// section has no room for the dispatch; without it such a call fails before it is made.
	BodyFallback bool
	// Revision decides the names on the wire for this peer.
	Revision Revision
}

// AnswerPolicy says whether a call must be answered with a token.
type AnswerPolicy uint8

const (
	// AnswerRequired makes a call without a valid answer fail: over HTTP reading its body
	// does, at once, or after a body that says why the call was refused; over gRPC the call
	// does, or its stream at the end.
	AnswerRequired AnswerPolicy = iota + 1
	// AnswerOptional leaves the dispatch in the graph where no valid answer came. An
	// answer that came and is not valid is an error all the same.
	AnswerOptional
)

// Audiences is a set of peers, by identity and by endpoint. It is immutable.
type Audiences struct {
	byID       map[string]*Audience
	byEndpoint map[string]*Audience
	context    int
}

// NewAudiences checks the peers and returns the set. No identity and no endpoint may
// come twice. Endpoints are compared as given, byte for byte.
func NewAudiences(list ...Audience) (*Audiences, error) {
	s := &Audiences{byID: map[string]*Audience{}, byEndpoint: map[string]*Audience{}}
	for n := range list {
		a := list[n]
		switch {
		case !isURI(a.ID):
			return nil, fmt.Errorf("ect: NewAudiences: Audience %d: ID is not a URI", n)
		case s.byID[a.ID] != nil:
			return nil, fmt.Errorf("ect: NewAudiences: Audience %d: ID comes twice", n)
		case a.Context < 0 || a.Context > MaxContext:
			return nil, fmt.Errorf("ect: NewAudiences: Audience %d: Context is not between 0 and %d", n, MaxContext)
		case a.Revision > Revision00:
			return nil, fmt.Errorf("ect: NewAudiences: Audience %d: Revision is not known", n)
		case a.Trace > everyTraceHeader:
			return nil, fmt.Errorf("ect: NewAudiences: Audience %d: Trace has a bit that is not known", n)
		case a.Trace&TraceState != 0 && a.Trace&TraceParent == 0:
			return nil, fmt.Errorf("ect: NewAudiences: Audience %d: Trace has TraceState without TraceParent", n)
		case a.Answer > AnswerOptional, a.Tokens && len(a.Endpoints) > 0 && a.Answer == 0:
			return nil, fmt.Errorf("ect: NewAudiences: Audience %d: Answer is neither AnswerRequired nor AnswerOptional", n)
		}
		s.byID[a.ID] = &a
		for _, e := range a.Endpoints {
			if e == "" || s.byEndpoint[e] != nil {
				return nil, fmt.Errorf("ect: NewAudiences: Audience %d: an endpoint is empty or comes twice", n)
			}
			s.byEndpoint[e] = &a
		}
		if a.Tokens {
			s.context = max(s.context, a.Context)
		}
	}
	return s, nil
}

// AtEndpoint returns the peer at an endpoint, if tokens go there.
func (s *Audiences) AtEndpoint(endpoint string) (Audience, bool) {
	a := s.byEndpoint[endpoint]
	if a == nil || !a.Tokens {
		return Audience{}, false
	}
	return *a, true
}

// Endpoints returns every endpoint that tokens or headers of tracing go to, in no order.
func (s *Audiences) Endpoints() []string {
	var all []string
	for e, a := range s.byEndpoint {
		if a.Tokens || a.Trace != 0 {
			all = append(all, e)
		}
	}
	return all
}

// ByID returns the peer of an identity, if tokens go there.
func (s *Audiences) ByID(identity string) (Audience, bool) {
	a := s.told(identity)
	if a == nil {
		return Audience{}, false
	}
	return *a, true
}

// told is ByID, nil if no tokens go there.
func (s *Audiences) told(identity string) *Audience {
	if a := s.byID[identity]; a != nil && a.Tokens {
		return a
	}
	return nil
}

// ErrNoAudience reports that a peer is told nothing: the audiences do not name it, or name
// it without Tokens.
var ErrNoAudience = errors.New("ect: the audience gets no tokens")
