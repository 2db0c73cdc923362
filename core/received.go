// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"encoding/json"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-ect/ect/core/replay"
)

// Role says what a verified token is in its message (profile 4.1).
type Role uint8

// The roles.
const (
	// Head is what the message says: it passed every step.
	Head Role = iota + 1
	// Context is history that came along; its audience, times and level were not looked
	// at, and it may have been presented before.
	Context
	// Notice tells that logging a token failed (profile 8.5).
	Notice
)

// String returns "head", "context" or "notice".
func (r Role) String() string {
	switch r {
	case Head:
		return "head"
	case Context:
		return "context"
	case Notice:
		return "notice"
	}
	return "none"
}

// Finding is one part of a verification result. One boolean would hide what an auditor
// asks (profile 4.2).
type Finding uint8

// The findings.
const (
	// NotChecked says that this version, or this configuration, does not check it.
	NotChecked Finding = iota
	No
	Yes
)

// String returns "not checked", "no" or "yes".
func (f Finding) String() string {
	switch f {
	case No:
		return "no"
	case Yes:
		return "yes"
	}
	return "not checked"
}

func finding(b bool) Finding {
	if b {
		return Yes
	}
	return No
}

// Verified is a token that passed verification, and what came of it, in parts
// (profile 4.2). Only a [Verifier] makes one. It is immutable and safe for concurrent
// use; a nil or zero one says nothing and claims nothing.
type Verified struct {
	// token is shared with others who got the same one: nothing of it is ever changed.
	*token
	role    Role
	binding Binding
	lowest  Level
	partial bool
	missing []UUID
	cross   bool
	carried []*Verified
	link    link
}

var noToken token

// read returns the token, an empty one where there is none.
func (v *Verified) read() *token {
	if v == nil || v.token == nil {
		return &noToken
	}
	return v.token
}

// Level returns the level achieved: L1 or L2 in this version (profile 1.2).
func (v *Verified) Level() Level {
	switch {
	case v == nil || v.role == 0:
		return 0
	case v.signed:
		return L2
	}
	return L1
}

// Role returns what the token is in its message.
func (v *Verified) Role() Role {
	if v == nil {
		return 0
	}
	return v.role
}

// Issuer returns who issued a signed token: its `iss`, which its key is bound to. Of
// an unsigned token it returns "", as nobody is known to have issued it.
func (v *Verified) Issuer() string {
	t := v.read()
	if !t.signed {
		return ""
	}
	return t.claims.issuer
}

// ClaimedIssuer returns `iss` whatever the level, "" if absent. At L1 anybody may have
// written it (profile 1.6).
func (v *Verified) ClaimedIssuer() string { return v.read().claims.issuer }

// Claims returns a copy of what the token says.
func (v *Verified) Claims() Claims { return v.read().claims.clone() }

// TaskID returns `jti`.
func (v *Verified) TaskID() UUID { return v.read().claims.TaskID }

// Workflow returns `wid`.
func (v *Verified) Workflow() Workflow { return v.read().claims.Workflow }

// TraceParent returns the member `trace` of `ect_ext`, "" if absent. It is what the issuer
// wrote, in whatever form.
func (v *Verified) TraceParent() string { return v.read().claims.Ext.Trace }

// Action returns `exec_act`.
func (v *Verified) Action() string { return v.read().claims.Action }

// IssuedAt returns `iat`.
func (v *Verified) IssuedAt() time.Time { return v.read().claims.IssuedAt }

// InpHash returns the hash of what the issuer got (`inp_hash`).
func (v *Verified) InpHash() Hash { return v.read().claims.InpHash }

// OutHash returns the hash of what the issuer gave (`out_hash`).
func (v *Verified) OutHash() Hash { return v.read().claims.OutHash }

// Claim returns a top-level claim as sent, one that the profile does not know included.
func (v *Verified) Claim(name string) (json.RawMessage, bool) { return member(v.read().payload, name) }

// Text returns the token, an ECDSA signature in its low form: what is stored and
// forwarded (profile 2.8).
func (v *Verified) Text() string {
	t := v.read()
	if t.signed {
		return t.normal
	}
	return t.text
}

// Digest returns the token digest, by which tokens are told apart (profile 2.8).
func (v *Verified) Digest() Digest { return v.read().digest }

// Binding tells how the issuer's key was bound to it; [BindingNone] at L1.
func (v *Verified) Binding() Binding {
	if v == nil {
		return BindingNone
	}
	return v.binding
}

// LowestLevel returns the lowest level among the token and its known ancestors: a
// chain is as strong as its weakest token (profile 5.6).
func (v *Verified) LowestLevel() Level {
	if v == nil {
		return 0
	}
	return v.lowest
}

// EdgesBound tells whether the token names its predecessors by digest, so that no
// other token can stand in for one (profile 3.6). A root has nothing to bind: [Yes].
func (v *Verified) EdgesBound() Finding {
	if v.Role() == 0 {
		return NotChecked
	}
	c := &v.read().claims
	return finding(len(c.Pred) == 0 || c.Ext.PredDigests != nil)
}

// Complete tells whether the graph is known from this token down to the roots. At L1
// it never is (profile 5.8).
func (v *Verified) Complete() Finding {
	if v.Role() == 0 {
		return NotChecked
	}
	return finding(!v.partial)
}

// Missing returns the predecessors that are not known here. Empty and not complete
// means that they are missing further down.
func (v *Verified) Missing() []UUID {
	if v == nil {
		return nil
	}
	return slices.Clone(v.missing)
}

// CrossesWorkflow tells whether a predecessor is of another workflow, which the policy
// admitted (profile 5.5).
func (v *Verified) CrossesWorkflow() Finding {
	if v.Role() == 0 {
		return NotChecked
	}
	return finding(v.cross)
}

// ProofBound tells whether a proof of possession covers the token (profile 6.3).
// Nothing fills it yet.
func (v *Verified) ProofBound() Finding { return NotChecked }

// Suspect tells whether the token or an ancestor was issued under a compromised key
// (profile 5.9). Nothing fills it yet.
func (v *Verified) Suspect() Finding { return NotChecked }

// Logged tells whether a receipt shows the token in a ledger (profile 8). Nothing
// fills it yet.
func (v *Verified) Logged() Finding { return NotChecked }

// Predecessors returns the predecessors that came in the same message.
func (v *Verified) Predecessors() []*Verified {
	if v == nil {
		return nil
	}
	return slices.Clone(v.carried)
}

// Received is a message that was accepted. It is safe for concurrent use.
type Received struct {
	heads      []*Verified
	context    []*Verified
	notices    []*Verified
	notCarried int
	transport  Transport
	workflow   Workflow
	sender     *Verified
	peer       string

	store  replay.Store
	claims []replay.Claim
	// released tells that the claims were given back.
	released atomic.Bool

	// Room for what most messages have, so that it costs no allocation of its own.
	first [1]Verified
	head  [1]*Verified
	claim [1]replay.Claim
}

// room returns n results to be filled.
func (r *Received) room(n int) []Verified {
	r.heads = r.head[:0]
	if n == 1 {
		return r.first[:]
	}
	return make([]Verified, n)
}

// Heads returns what the message says, in the order it came; at least one.
func (r *Received) Heads() []*Verified { return slices.Clone(r.heads) }

// Weakest returns the head of the lowest level, the first of them where several have it; nil
// in a zero Received. It copies nothing.
func (r *Received) Weakest() (weakest *Verified) {
	for _, h := range r.heads {
		if weakest == nil || h.Level() < weakest.Level() {
			weakest = h
		}
	}
	return weakest
}

// Transport returns what the message came by.
func (r *Received) Transport() Transport { return r.transport }

// Context returns the history that came along.
func (r *Received) Context() []*Verified { return slices.Clone(r.context) }

// Notices returns the reports of failed logging (profile 8.5).
func (r *Received) Notices() []*Verified { return slices.Clone(r.notices) }

// NotCarried returns how many context tokens could not be bound to a key and so count
// as not carried (profile 4.1).
func (r *Received) NotCarried() int { return r.notCarried }

// Workflow returns the workflow that goes on: that of the heads, or what the policy
// named where they differ (profile 5.5, 9.9).
func (r *Received) Workflow() Workflow { return r.workflow }

// Sender returns the head of whoever sent the message: the one whose issuer is the
// authenticated peer, or the only one where no peer is authenticated (profile 9.7).
func (r *Received) Sender() (*Verified, bool) { return r.sender, r.sender != nil }

// Peer returns the identity that the transport authenticated, "" where it authenticated
// none. It need not be the issuer of any head: whoever gets a token may present it.
func (r *Received) Peer() string { return r.peer }

// Release gives the claims of the message back, so that it may be sent again. It is
// for messages that were refused before their handler was called, and for nothing
// after that (profile 7.3).
//
// It does so once: the claim of whoever sent the message again is not given back.
func (r *Received) Release(ctx context.Context) error {
	if len(r.claims) == 0 || r.released.Swap(true) {
		return nil
	}
	// Also when the sender has gone: what was refused must not stay claimed.
	return r.store.Release(context.WithoutCancel(ctx), r.claims)
}
