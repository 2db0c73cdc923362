// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/replay"
)

// noticeAction is the `exec_act` of a notice (profile 8.5).
const noticeAction = "ect.ledger.failed"

// Verifier decides whether to believe the tokens of a message, in the order of
// profile 4. It is safe for concurrent use.
type Verifier struct {
	binder Binder
	policy *policy
	cfg    verifierConfig
	memory *memory
}

type verifierConfig struct {
	now       func() time.Time
	replay    replay.Store
	tasks     dag.Store
	observers observers
	memory    int
}

// DefaultSignatureMemory is how many tokens whose signature was verified a verifier remembers:
// some 20 MiB of typical ones.
const DefaultSignatureMemory = 1 << 13

// MaxSignatureMemory is the largest number of tokens that a verifier can be told to remember.
const MaxSignatureMemory = 1 << 20

// VerifierOption sets what has a good default.
type VerifierOption interface {
	applyVerifier(verifierConfig) verifierConfig
}

type verifierOption func(verifierConfig) verifierConfig

func (f verifierOption) applyVerifier(c verifierConfig) verifierConfig { return f(c) }

// WithReplayStore replaces the in-memory replay store.
func WithReplayStore(s replay.Store) VerifierOption {
	return verifierOption(func(c verifierConfig) verifierConfig { c.replay = s; return c })
}

// WithTaskStore replaces the in-memory task store.
func WithTaskStore(s dag.Store) VerifierOption {
	return verifierOption(func(c verifierConfig) verifierConfig { c.tasks = s; return c })
}

// WithObserver adds an observer. It is told of everything that a [Service] over this
// verifier does, issuing included.
func WithObserver(o Observer) VerifierOption {
	return verifierOption(func(c verifierConfig) verifierConfig {
		c.observers = append(slices.Clip(c.observers), o)
		return c
	})
}

// WithSignatureMemory sets about how many tokens whose signature was verified are remembered,
// each of 4 KiB at most; 0 remembers none.
func WithSignatureMemory(entries int) VerifierOption {
	return verifierOption(func(c verifierConfig) verifierConfig { c.memory = entries; return c })
}

// ClockOption sets the clock of a verifier and of an issuer.
type ClockOption struct{ now func() time.Time }

// WithClock replaces time.Now, for both [NewVerifier] and [NewIssuer]. A nil now is ignored.
func WithClock(now func() time.Time) ClockOption { return ClockOption{now} }

func (o ClockOption) applyVerifier(c verifierConfig) verifierConfig {
	if o.now != nil {
		c.now = o.now
	}
	return c
}

func (o ClockOption) applyIssuer(c issuerConfig) issuerConfig {
	if o.now != nil {
		c.now = o.now
	}
	return c
}

// NewVerifier returns a verifier that believes what the policy says of keys that the
// binder vouches for. An error names the field that is missing or wrong.
func NewVerifier(binder Binder, p Policy, opts ...VerifierOption) (*Verifier, error) {
	if binder == nil {
		return nil, errors.New("ect: NewVerifier: the binder is nil")
	}
	pol, err := p.compile()
	if err != nil {
		return nil, err
	}
	cfg := verifierConfig{now: time.Now, memory: DefaultSignatureMemory}
	for _, o := range opts {
		cfg = o.applyVerifier(cfg)
	}
	if cfg.memory < 0 || cfg.memory > MaxSignatureMemory {
		return nil, fmt.Errorf("ect: WithSignatureMemory: the number is not between 0 and %d", MaxSignatureMemory)
	}
	if cfg.replay == nil {
		if cfg.replay, err = replay.NewMemory(replay.Config{Now: cfg.now}); err != nil {
			return nil, err
		}
	}
	if cfg.tasks == nil {
		quiet := max(dag.DefaultQuiet, pol.maxAge+pol.maxFuture+pol.leeway)
		if cfg.tasks, err = dag.NewMemory(dag.MemoryConfig{Now: cfg.now, Quiet: quiet}); err != nil {
			return nil, err
		}
	}
	v := &Verifier{binder: binder, policy: pol, cfg: cfg}
	if cfg.memory > 0 {
		v.memory = newMemory(cfg.memory)
	}
	return v, nil
}

// Policy returns the policy as given.
func (v *Verifier) Policy() Policy { return v.policy.Policy }

// Presented is what came with one message: its tokens, and the evidence beside them.
type Presented struct {
	// Values are the values of the Execution-Context field, as received.
	Values []string
	// Transport is what the message came by, for observers.
	Transport Transport
	// Evidence is what the transport knows of the sender.
	Evidence Evidence
	// MinLevel raises the policy's minimum level; a lower one changes nothing.
	MinLevel Level
	// Content is the hash of the body, where all of it is known before the handler
	// runs; absent if not.
	Content Hash
	// NoContent says that there was no content at all, not even an empty one, as with a gRPC
	// call that ended without a message (profile 9.6): a record that names one is refused
	// unless the policy is [BodyIgnore], and [BodyRequire] asks for none.
	NoContent bool
	// ReadContent reads all of a body whose hash is not known. It is called under
	// [BodyRequire] alone, once, when nothing but the body and the claim is left to check: so
	// a stranger cannot make anybody hold a body. Its error refuses the message: an [*Error]
	// as it is, any other with [CodeUnavailable].
	ReadContent func(context.Context) (Hash, error)
	// Observe judges the message and claims no token id: for modes that only report.
	Observe bool

	answers *expectation
	// whole tells that Content is all there will be: no adapter reads a body later.
	whole bool
}

// expectation is what an answer to a dispatch must be.
type expectation struct {
	peer     string
	dispatch Digest
	// taken tells whether the task has another token of this id already: what it issues
	// next could not name both.
	taken func(UUID, Digest) bool
}

// Verify accepts or refuses one message. The error is an [*Error]; nothing of a token
// that failed is in it.
func (v *Verifier) Verify(ctx context.Context, p Presented) (*Received, error) {
	r, err := v.accept(ctx, p)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// accept is Verify, its error in the type that it has.
func (v *Verifier) accept(ctx context.Context, p Presented) (*Received, *Error) {
	now := v.cfg.now()
	info := VerifyInfo{
		Transport: p.Transport, Answer: p.answers != nil, Observed: p.Observe, begun: now, now: v.cfg.now,
	}
	r, err := v.verify(ctx, p, now)
	if err != nil {
		v.cfg.observers.rejected(ctx, err, info)
		return nil, err
	}
	v.cfg.observers.verified(ctx, r, info)
	return r, nil
}

func (v *Verifier) verify(ctx context.Context, p Presented, now time.Time) (*Received, *Error) {
	m, _ := messages.Get().(*message)
	m.v, m.p, m.now = v, p, now
	bad := m.split(p.Values)
	for n := 0; bad == nil && n < len(m.tokens); n++ {
		bad = m.open(&m.tokens[n], m.texts[n])
	}
	for n := 0; bad == nil && n < len(steps); n++ {
		bad = steps[n](m, ctx)
	}
	r := m.result
	m.forget()
	messages.Put(m)
	if bad != nil {
		return nil, bad
	}
	return r, nil
}

// messages has the memory of messages that went through, nothing of which is in a result.
var messages = sync.Pool{New: func() any { return new(message) }}
