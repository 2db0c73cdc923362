// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/go-ect/ect/core"
)

// Name is the trust domain that agents of a [Domain] are in.
const Name = "spiffe://test.example"

// Domain is a trust domain in memory. It is a [core.Binder] over the keys of its agents,
// those made later included. It is safe for concurrent use.
type Domain struct {
	mu     sync.Mutex
	agents map[string]*Agent
	err    error
}

// NewDomain returns a domain without agents.
func NewDomain() *Domain { return &Domain{agents: map[string]*Agent{}} }

// Agent returns the agent of a name, whose identity is spiffe://test.example/name, and
// makes it with a new P-256 key if there is none.
func (d *Domain) Agent(tb testing.TB, name string) *Agent {
	tb.Helper()
	return d.AgentWithAlgorithm(tb, name, core.ES256)
}

// AgentWithAlgorithm is [Domain.Agent] with a key for another algorithm.
func (d *Domain) AgentWithAlgorithm(tb testing.TB, name string, alg core.Algorithm) *Agent {
	tb.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if a := d.agents[Name+"/"+name]; a != nil {
		return a
	}
	a := &Agent{Identity: Name + "/" + name, KeyID: name + "-key", Key: NewKey(tb, alg), Algorithm: alg}
	d.agents[a.Identity] = a
	return a
}

// Remove makes the domain forget an agent, so that its key cannot be bound any more.
func (d *Domain) Remove(a *Agent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.agents, a.Identity)
}

// Fail makes every binding fail with err, as a key source does that cannot be reached;
// nil ends it.
func (d *Domain) Fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// Bind implements [core.Binder].
func (d *Domain) Bind(_ context.Context, u *core.Unverified, _ core.Evidence) (core.BoundKey, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return core.BoundKey{}, d.err
	}
	a := d.agents[u.ClaimedIssuer()]
	if a == nil || a.KeyID != u.KeyID() {
		return core.BoundKey{}, core.NewError(core.CodeKeyUnknown, errors.New("no agent of this domain has the key"))
	}
	return core.BoundKey{Public: a.Key.Public(), Issuer: a.Identity, Domain: Name, Binding: core.BindingJWKSet}, nil
}

// JWKSets returns the public keys of every agent, by identity.
func (d *Domain) JWKSets() map[string]jose.JSONWebKeySet {
	d.mu.Lock()
	defer d.mu.Unlock()
	sets := map[string]jose.JSONWebKeySet{}
	for _, id := range slices.Sorted(maps.Keys(d.agents)) {
		a := d.agents[id]
		sets[id] = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: a.Key.Public(), KeyID: a.KeyID, Use: "sig"}}}
	}
	return sets
}

// Agent is an identity with a key.
type Agent struct {
	Identity  string
	KeyID     string
	Key       crypto.Signer
	Algorithm core.Algorithm
}

// Issuer returns an issuer in the agent's name.
func (a *Agent) Issuer(tb testing.TB, opts ...core.IssuerOption) *core.Issuer {
	tb.Helper()
	s, err := core.NewSigner(a.Key, a.KeyID)
	if err != nil {
		tb.Fatalf("NewSigner: %v", err)
	}
	i, err := core.NewIssuer(a.Identity, s, opts...)
	if err != nil {
		tb.Fatalf("NewIssuer: %v", err)
	}
	return i
}

// Policy returns a policy for the agent as verifier: L2, missing predecessors rejected,
// every token once, bodies matched, all algorithms.
func (a *Agent) Policy() core.Policy {
	return core.Policy{
		MinLevel: core.L2, Audience: a.Identity, Missing: core.RejectMissing,
		Replay: core.ReplayOncePerInstance, Body: core.BodyMatch,
		Algorithms: []core.Algorithm{core.ES256, core.ES384, core.EdDSA, core.Ed25519},
	}
}

// Service returns the agent as a service of the domain, under [Agent.Policy], that tells
// the audiences given.
func (d *Domain) Service(tb testing.TB, a *Agent, to ...core.Audience) *core.Service {
	tb.Helper()
	return d.ServiceWithPolicy(tb, a, a.Policy(), to)
}

// ServiceWithPolicy is [Domain.Service] under another policy, with options for its
// verifier.
func (d *Domain) ServiceWithPolicy(tb testing.TB, a *Agent, p core.Policy, to []core.Audience, opts ...core.VerifierOption) *core.Service {
	tb.Helper()
	v, err := core.NewVerifier(d, p, opts...)
	if err != nil {
		tb.Fatalf("NewVerifier: %v", err)
	}
	audiences, err := core.NewAudiences(to...)
	if err != nil {
		tb.Fatalf("NewAudiences: %v", err)
	}
	s, err := core.NewService(v, a.Issuer(tb), audiences)
	if err != nil {
		tb.Fatalf("NewService: %v", err)
	}
	return s
}

// NewKey returns a new private key that fits an algorithm.
func NewKey(tb testing.TB, alg core.Algorithm) crypto.Signer {
	tb.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case core.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case core.ES384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case core.EdDSA, core.Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		tb.Fatalf("NewKey: no algorithm")
	}
	if err != nil {
		tb.Fatalf("NewKey: %v", err)
	}
	return key
}
