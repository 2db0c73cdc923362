// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package dag holds the rules of the graph of tasks, and the store they read. It knows
// ids, digests and times; whether a token may be believed was decided before.
//
// # Names and tokens
//
// A predecessor is named by its task id alone, which whoever saw it can offer again
// under another token. So an edge should carry the digest of the token it means
// (profile 3.6). Where it does, a token that differs is no candidate. Where it does
// not, a signed token's candidates are the signed ones alone, and of several none is
// ever chosen.
//
// # Acyclic by construction
//
// A token whose predecessors are all known can close no cycle unless something known
// already names it. Only then are ancestors walked, and no more than a bound
// (profile 5.4). What is known of a token's ancestors is kept with it, so that depth
// costs nothing.
package dag

import (
	"context"
	"errors"

	"github.com/go-ect/ect/core/id"
)

// Key is the scope in which a task id is unique: one issuer at one level class. The
// same id from another issuer or at the other class is another task (profile 5.1).
type Key struct {
	Signed bool
	Issuer string
	Task   id.UUID
}

// Edge is a predecessor as a token names it.
type Edge struct {
	Task id.UUID
	// Bound tells whether Digest stands.
	Bound  bool
	Digest id.Short
}

// Node is what the graph knows of one token.
type Node struct {
	Key      Key
	Digest   id.Digest
	Workflow id.Workflow
	// IssuedAt is in Unix seconds.
	IssuedAt int64
	// Level is 1 to 3.
	Level uint8
	Preds []Edge
	// Domain is the trust domain of a signed token's issuer, whose share of a store is
	// bounded.
	Domain string
	// Token is the text of a signed token, kept as evidence should another bear its name.
	Token string
}

// Entry is a token that asks to be let in.
type Entry struct {
	Node
	// Head tells that the token answers for its edges: an ambiguous or differing
	// predecessor refuses it. Those of context are noted (profile 5.2).
	Head bool
	// Required tells that a missing predecessor refuses it.
	Required bool
	// Own tells that this process issued it, when its predecessors were known: what was
	// forgotten since is noted, and no other token that bears a name is held against it.
	Own bool
}

// Rules is what a policy says about the graph.
type Rules struct {
	// Skew is by how many seconds a predecessor may be later than its successor.
	Skew int64
	// MinLevel is the lowest level allowed in the chain, 0 for any.
	MinLevel uint8
	// MaxWalk is how many ancestors are walked to rule cycles out for one batch; at the
	// bound it is refused. DefaultMaxWalk if 0.
	MaxWalk int
	// Cross tells whether an edge may leave its workflow; nil admits none. It is called
	// with the store locked: it must return at once, not call the store and not keep the
	// nodes. Asked again, it should answer the same.
	Cross func(from, to *Node) bool
}

// DefaultMaxWalk bounds the walk over ancestors (profile 5.4).
const DefaultMaxWalk = 10_000

// Judgement is what the graph says of an entry that it lets in.
type Judgement struct {
	// Lowest is the lowest level among the token and its known ancestors.
	Lowest uint8
	// Partial tells that some ancestor is not known, down to the roots.
	Partial bool
	// Missing holds the predecessors that were not found.
	Missing []id.UUID
	// Preds holds the digest of each predecessor, in the order of the edges; that of
	// one not found is zero.
	Preds []id.Digest
	// Cross tells whether some edge leaves the workflow.
	Cross bool
}

// Reason says why the graph refuses a token.
type Reason uint8

// The reasons (profile 5.1 to 5.6).
const (
	Missing Reason = iota + 1
	Ambiguous
	Differs
	TooLate
	CrossWorkflow
	ChainLevel
	Cycle
	WalkLimit
	Equivocation
)

var reasons = [...]string{
	Missing:       "a predecessor is missing",
	Ambiguous:     "a predecessor is ambiguous",
	Differs:       "a predecessor is another token than the one named",
	TooLate:       "a predecessor is later than its successor",
	CrossWorkflow: "an edge leaves the workflow",
	ChainLevel:    "an ancestor is below the minimum level",
	Cycle:         "the tasks form a cycle",
	WalkLimit:     "too many ancestors to rule a cycle out",
	Equivocation:  "one issuer used one task id for two tokens",
}

// String returns a fixed sentence.
func (r Reason) String() string {
	if r == 0 || int(r) >= len(reasons) {
		return "unknown"
	}
	return reasons[r]
}

// Refusal is the error of a token that the graph does not let in. Nothing of the
// token is in its text.
type Refusal struct {
	Reason Reason
	// Index is that of the entry refused.
	Index int
	// First is the token that had the task id before, of an Equivocation.
	First Node
}

// Error implements error.
func (r *Refusal) Error() string { return "ect: graph: " + r.Reason.String() }

// ErrFull reports that the store holds as many tasks as it may, all of them in
// workflows that were active not long ago (profile 5.10).
var ErrFull = errors.New("ect: graph: the task store is full")

// Proposal is the tokens of one message that ask to be let in. They may name each
// other, in any order. From Check to the end of Admit nothing of it may be changed; after
// that its memory is the caller's. A store keeps copies, and strings as they are.
type Proposal struct {
	Batch []Entry
	Rules Rules
	// Basis is what a store's Check stood on, for Admit of the same store to see whether
	// it still stands. Nobody else reads or sets it; a store need not.
	Basis any
}

// Store remembers the tokens that were verified or issued here. Implementations are
// safe for concurrent use; a proposal is used by one goroutine at a time.
type Store interface {
	// Check judges a proposal and keeps nothing. It returns a judgement for each entry,
	// which nobody changes. The error is a [*Refusal], or says that the store cannot
	// answer.
	Check(ctx context.Context, p *Proposal) ([]Judgement, error)
	// Admit keeps all of a proposal or nothing, and returns the judgements as kept. One
	// that was not checked is judged here. One that was is judged again, since others may
	// have come in between, unless the store is certain that it would come to the same.
	// Errors are those of Check, and [ErrFull].
	Admit(ctx context.Context, p *Proposal) ([]Judgement, error)
}
