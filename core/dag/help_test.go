// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/id"
)

const start = 1_790_000_000 // Unix seconds, in 2026

// clock is a fake clock, in Unix seconds.
type clock struct{ unix atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.unix.Store(start)
	return c
}

func (c *clock) Now() time.Time      { return time.Unix(c.unix.Load(), 0) }
func (c *clock) add(d time.Duration) { c.unix.Add(int64(d / time.Second)) }

func task(n uint64) (u id.UUID) {
	binary.BigEndian.PutUint64(u[8:], n)
	return u
}

func flow(n uint64) id.Workflow { return id.Workflow{ID: task(1<<32 + n), Present: true} }

// mod changes a token before it is made.
type mod func(*dag.Entry)

// tok is a signed token of issuer "a" in workflow 1: a head, under RejectMissing. What
// it says decides its digest.
func tok(n uint64, mods ...mod) dag.Entry {
	e := dag.Entry{
		Node: dag.Node{Key: dag.Key{Signed: true, Issuer: "a", Task: task(n)}, Workflow: flow(1), IssuedAt: start, Level: 2},
		Head: true, Required: true,
	}
	for _, m := range mods {
		m(&e)
	}
	if e.Digest == (id.Digest{}) {
		e.Digest = sha256.Sum256(fmt.Append(nil, e.Key, e.Workflow, e.IssuedAt, e.Preds, e.Token))
	}
	e.Token = fmt.Sprintf("%x", e.Digest)
	return e
}

func by(issuer string) mod            { return func(e *dag.Entry) { e.Key.Issuer = issuer } }
func in(w id.Workflow) mod            { return func(e *dag.Entry) { e.Workflow = w } }
func seconds(n int64) mod             { return func(e *dag.Entry) { e.IssuedAt += n } }
func saying(s string) mod             { return func(e *dag.Entry) { e.Token = s } }
func after(edges ...dag.Edge) mod     { return func(e *dag.Entry) { e.Preds = append(e.Preds, edges...) } }
func unsigned(e *dag.Entry)           { e.Key.Signed, e.Level = false, 1 }
func alone(e *dag.Entry)              { e.Workflow = id.Workflow{} }
func allowed(e *dag.Entry)            { e.Required = false }
func context(e *dag.Entry)            { e.Head, e.Required = false, false }
func own(e *dag.Entry)                { e.Own, e.Required = true, false }
func as(e dag.Entry, m mod) dag.Entry { m(&e); return e }

// to is an edge bound to a token, name one that is not bound.
func to(e dag.Entry) dag.Edge {
	return dag.Edge{Task: e.Key.Task, Bound: true, Digest: e.Digest.Short()}
}

func name(n uint64) dag.Edge { return dag.Edge{Task: task(n)} }

// elsewhere is an edge bound to a token that never comes.
func elsewhere(n uint64) dag.Edge {
	return dag.Edge{Task: task(n), Bound: true, Digest: id.Short{0xff, 0xee}}
}

func batch(e ...dag.Entry) []dag.Entry { return e }

// rules are those of the profile; cross admits every edge.
func rules() dag.Rules { return dag.Rules{Skew: 30} }

func cross() dag.Rules {
	r := rules()
	r.Cross = func(_, _ *dag.Node) bool { return true }
	return r
}

func propose(e []dag.Entry, r dag.Rules) *dag.Proposal { return &dag.Proposal{Batch: e, Rules: r} }

func newMemory(tb testing.TB, c dag.MemoryConfig) *dag.Memory {
	tb.Helper()
	m, err := dag.NewMemory(c)
	if err != nil {
		tb.Fatalf("NewMemory(%+v): %v", c, err)
	}
	tb.Cleanup(func() {
		if err := m.Sound(); err != nil {
			tb.Errorf("the store is not sound: %v", err)
		}
	})
	return m
}

func admit(tb testing.TB, m *dag.Memory, r dag.Rules, e ...dag.Entry) []dag.Judgement {
	tb.Helper()
	j, err := m.Admit(tb.Context(), propose(e, r))
	if err != nil {
		tb.Fatalf("Admit(%d tokens): %v", len(e), err)
	}
	return j
}

// wantReason holds an error against a reason; 0 means that there is none.
func wantReason(tb testing.TB, err error, want dag.Reason) (r dag.Refusal) {
	tb.Helper()
	if want == 0 && err == nil {
		return r
	}
	p, ok := errors.AsType[*dag.Refusal](err)
	switch {
	case !ok:
		tb.Fatalf("the error is %v, want %q", err, want)
	case p.Reason != want:
		tb.Fatalf("refused because %q, want %q", p.Reason, want)
	default:
		r = *p
	}
	return r
}

func wantLen(tb testing.TB, m *dag.Memory, tasks, unsigned int) {
	tb.Helper()
	if n, u := m.Len(); n != tasks || u != unsigned {
		tb.Errorf("Len() = %d, %d, want %d, %d", n, u, tasks, unsigned)
	}
}

func wantHas(tb testing.TB, m *dag.Memory, want bool, e ...dag.Entry) {
	tb.Helper()
	for n := range e {
		if got := m.Has(e[n].Key); got != want {
			tb.Errorf("token %d (%v) is held: %t, want %t", n, e[n].Key, got, want)
		}
	}
}

func diff(want, got any) string { return cmp.Diff(want, got, cmpopts.EquateEmpty()) }
