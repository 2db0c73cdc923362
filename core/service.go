// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/go-ect/ect/core/dag"
)

// Service is one workload: what it believes, in whose name it records, and whom it
// tells. Adapters are made from one. It is safe for concurrent use.
type Service struct {
	verifier  *Verifier
	issuer    *Issuer
	audiences *Audiences
	cfg       serviceConfig
}

type serviceConfig struct {
	traceParent func(context.Context) string
}

// ServiceOption sets what has a good default, of [NewService].
type ServiceOption interface {
	applyService(serviceConfig) serviceConfig
}

type serviceOption func(serviceConfig) serviceConfig

func (f serviceOption) applyService(c serviceConfig) serviceConfig { return f(c) }

// WithTraceParent has tokens say which span issued them, as the member `trace` of `ect_ext`
// (profile 3.5): f returns the W3C `traceparent` of a context, "" if there is none; what has not
// its form, version 00, is left out, as no work may fail for the sake of a trace. It is
// written where every audience of the token gets [TraceParent], and never goes along as
// context to one that does not. It is signed, and kept as long as the token is.
func WithTraceParent(f func(context.Context) string) ServiceOption {
	return serviceOption(func(c serviceConfig) serviceConfig { c.traceParent = f; return c })
}

// NewService ties a verifier, an issuer and a set of audiences together. Without an
// issuer the service verifies and records nothing; without audiences it tells nobody.
// Answers are addressed to who asked, so the issuer's identity must be the verifier's
// audience.
func NewService(v *Verifier, i *Issuer, a *Audiences, opts ...ServiceOption) (*Service, error) {
	if v == nil {
		return nil, errors.New("ect: NewService: the verifier is nil")
	}
	if i != nil && i.identity != v.policy.Audience {
		return nil, errors.New("ect: NewService: the issuer's identity is not the verifier's Policy.Audience")
	}
	if a == nil {
		var err error
		if a, err = NewAudiences(); err != nil {
			return nil, err
		}
	}
	s := &Service{verifier: v, issuer: i, audiences: a}
	for _, o := range opts {
		s.cfg = o.applyService(s.cfg)
	}
	return s, nil
}

// Verifier returns the verifier.
func (s *Service) Verifier() *Verifier { return s.verifier }

// Audiences returns the peers that are told.
func (s *Service) Audiences() *Audiences { return s.audiences }

// Records tells whether the service has an issuer, and so tasks.
func (s *Service) Records() bool { return s.issuer != nil }

// Identity returns who the service is: the verifier's audience and the issuer's `iss`.
func (s *Service) Identity() string { return s.verifier.policy.Audience }

// BodyDiffered tells the observers of a body that was not the one its sender's record
// names. It is for adapters, which read bodies.
func (s *Service) BodyDiffered(ctx context.Context, err *Error, info VerifyInfo) {
	s.verifier.cfg.observers.bodyDiffered(ctx, err, info)
}

// Altered tells the observers of an answer that something on the way seems to have
// changed. It is for adapters, which see what else came.
func (s *Service) Altered(ctx context.Context, err *Error, info VerifyInfo) {
	s.verifier.cfg.observers.altered(ctx, err, info)
}

// Rejected tells the observers of a message that an adapter refused by itself. It is for
// adapters.
func (s *Service) Rejected(ctx context.Context, err *Error, info VerifyInfo) {
	s.verifier.cfg.observers.rejected(ctx, err, info)
}

// Unsent tells the observers of a task token that could not go back to who asked.
func (s *Service) Unsent(ctx context.Context, i *Issued) {
	s.verifier.cfg.observers.unsent(ctx, i)
}

// Unrecorded tells the observers of a task whose token could not be issued.
func (s *Service) Unrecorded(ctx context.Context, err *Error, info VerifyInfo) {
	s.verifier.cfg.observers.unrecorded(ctx, err, info)
}

// Leaked tells the observers of headers of tracing that went to a peer which does not get
// them. It is for adapters, which see what was sent.
func (s *Service) Leaked(ctx context.Context, endpoint string, headers []string) {
	s.verifier.cfg.observers.leaked(ctx, endpoint, headers)
}

// issue writes a token of a task and makes it known to the verifier, as something that what
// comes back may name.
func (t *Task) issue(ctx context.Context, kind Kind, r IssueRequest) (*Issued, error) {
	s := t.service
	if f := s.cfg.traceParent; f != nil && s.mayTrace(r.Audience) {
		if p := f(ctx); isTraceParent(p) {
			r.Ext.Trace = p
		}
	}
	i, err := s.issuer.Issue(ctx, r)
	if err != nil {
		return nil, err
	}
	i.kind = kind
	if err := s.keep(ctx, i); err != nil {
		return nil, err
	}
	s.verifier.cfg.observers.issued(ctx, i)
	if t.observer != nil {
		t.observer.Issued(ctx, i)
	}
	return i, nil
}

// isTraceParent tells whether s has the form of a `traceparent` of version 00 (W3C Trace
// Context, 3.2).
func isTraceParent(s string) bool {
	const form = "00-________________________________-________________-__"
	if len(s) != len(form) {
		return false
	}
	for i := range len(s) {
		if form[i] != '_' && s[i] != form[i] || form[i] == '_' && !strings.ContainsRune("0123456789abcdef", rune(s[i])) {
			return false
		}
	}
	return true
}

// mayTrace tells whether everyone that a token is for may know of its span.
func (s *Service) mayTrace(audience []string) bool {
	for _, a := range audience {
		if a != s.Identity() && s.audiences.TraceTo(a)&TraceParent == 0 {
			return false
		}
	}
	return true
}

// keep lets a token of this service into the task store, again if it was dropped. What
// goes into pred was admitted before, workflows included: by the policy where heads of
// several met. So nothing is left to ask here but room.
func (s *Service) keep(ctx context.Context, i *Issued) error {
	own, _ := owns.Get().(*own)
	own.propose(i)
	_, err := s.verifier.cfg.tasks.Admit(ctx, &own.Proposal)
	own.Proposal, own.batch[0] = dag.Proposal{}, dag.Entry{}
	owns.Put(own)
	if err != nil {
		return NewError(CodeUnavailable, err)
	}
	return nil
}

// own is a proposal of one token that this service issued, with its memory.
type own struct {
	dag.Proposal
	batch [1]dag.Entry
	preds []dag.Edge
}

// owns has the memory of proposals that were kept, nothing of which is in a store.
var owns = sync.Pool{New: func() any { return new(own) }}

func (o *own) propose(i *Issued) {
	c := &i.claims
	o.preds = o.preds[:0]
	for k, p := range c.Pred {
		o.preds = append(o.preds, dag.Edge{Task: p, Bound: true, Digest: c.Ext.PredDigests[k]})
	}
	n := dag.Node{
		Key:      dag.Key{Signed: i.level > L1, Issuer: i.issuer, Task: c.TaskID},
		Digest:   i.digest,
		Workflow: c.Workflow,
		IssuedAt: c.IssuedAt.Unix(),
		Level:    uint8(i.level),
		Preds:    o.preds,
	}
	if n.Key.Signed {
		n.Token = i.text
	}
	o.batch[0] = dag.Entry{Node: n, Own: true}
	o.Batch, o.Rules = o.batch[:], dag.Rules{Skew: maxSkew, Cross: func(_, _ *dag.Node) bool { return true }}
}

// maxSkew lets this service's own tokens follow any that it accepted.
const maxSkew = MaxDate
