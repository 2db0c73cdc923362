// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag_test

import (
	"encoding/binary"
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

	"github.com/go-ect/ect/core/dag"
)

// TestJudgedAgain counts how often an edge that leaves its workflow is asked about: once
// at Check, and again at Admit only if something came in between that could change what
// is said of the batch. What cannot change it happens all the time in a busy service.
func TestJudgedAgain(t *testing.T) {
	root, pred := tok(1, alone), tok(2, alone, allowed, after(name(1)))
	head := tok(3, in(flow(3)), allowed, after(to(pred), name(9)))
	for _, tt := range []struct {
		name    string
		between func(t *testing.T, m *dag.Memory, c *clock)
		again   bool
	}{
		{"nothing", func(*testing.T, *dag.Memory, *clock) {}, false},
		{"time", func(_ *testing.T, _ *dag.Memory, c *clock) { c.add(time.Hour) }, false},
		{"a stranger", func(t *testing.T, m *dag.Memory, _ *clock) { admit(t, m, cross(), tok(50)) }, false},
		{"one of the workflow", func(t *testing.T, m *dag.Memory, _ *clock) { admit(t, m, cross(), tok(50, in(flow(3)))) }, false},
		{"one after the predecessor", func(t *testing.T, m *dag.Memory, _ *clock) { admit(t, m, cross(), tok(50, after(to(pred)))) }, false},
		{"one after what is missing", func(t *testing.T, m *dag.Memory, _ *clock) { admit(t, m, cross(), tok(50, allowed, after(name(9)))) }, false},
		{"the predecessor once more", func(t *testing.T, m *dag.Memory, _ *clock) { admit(t, m, cross(), as(pred, context)) }, false},
		{"a twin of the predecessor that went", func(t *testing.T, m *dag.Memory, c *clock) {
			admit(t, m, cross(), tok(2, unsigned, alone))
			c.add(30 * time.Second)
			admit(t, m, cross(), tok(50, after(to(pred))))
			if m.Drop(tok(2, unsigned).Key) != 1 {
				t.Fatal("the twin was not dropped alone")
			}
		}, false},

		{"the same batch", func(t *testing.T, m *dag.Memory, _ *clock) { admit(t, m, cross(), head) }, true},
		{"what is missing", func(t *testing.T, m *dag.Memory, _ *clock) { admit(t, m, cross(), tok(9)) }, true},
		{"one of its id", func(t *testing.T, m *dag.Memory, _ *clock) { admit(t, m, cross(), tok(3, by("b"))) }, true},
		{"one of its id, unsigned", func(t *testing.T, m *dag.Memory, _ *clock) { admit(t, m, cross(), tok(3, unsigned)) }, true},
		{"one that names it", func(t *testing.T, m *dag.Memory, _ *clock) { admit(t, m, cross(), tok(50, allowed, after(name(3)))) }, true},
		{"a twin of the predecessor", func(t *testing.T, m *dag.Memory, _ *clock) { admit(t, m, cross(), tok(2, by("b"))) }, true},
		{"the predecessor's own", func(t *testing.T, m *dag.Memory, _ *clock) { admit(t, m, cross(), root, pred) }, true},
		{"the predecessor forgotten and back", func(t *testing.T, m *dag.Memory, _ *clock) {
			if m.Drop(pred.Key) != 1 {
				t.Fatal("the predecessor was not dropped alone")
			}
			admit(t, m, cross(), pred)
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			m := newMemory(t, dag.MemoryConfig{Quiet: 2 * time.Hour, Now: c.Now})
			admit(t, m, cross(), pred)
			asked := 0
			r := rules()
			r.Cross = func(_, _ *dag.Node) bool { asked++; return true }
			p := propose(batch(head), r)
			if _, err := m.Check(t.Context(), p); err != nil || asked != 1 {
				t.Fatalf("Check: %v, asked %d times, want once", err, asked)
			}
			tt.between(t, m, c)
			asked = 0
			got, err := m.Admit(t.Context(), p)
			if err != nil {
				t.Fatalf("Admit: %v", err)
			}
			if again := asked > 0; again != tt.again {
				t.Errorf("judged again: %t, want %t", again, tt.again)
			}
			wantHas(t, m, true, head)
			known, err := m.Check(t.Context(), propose(batch(as(head, context)), r))
			if err != nil {
				t.Fatalf("Check of what was admitted: %v", err)
			}
			if d := diff(known, got); d != "" {
				t.Errorf("Admit said otherwise than what is kept (-kept +said):\n%s", d)
			}
		})
	}
}

// TestWalkedIsJudgedAgain: what was walked for is judged again in any case, as nobody
// keeps track of all ancestors.
func TestWalkedIsJudgedAgain(t *testing.T) {
	m := newMemory(t, dag.MemoryConfig{})
	pred := tok(1)
	head := tok(2, in(flow(2)), allowed, after(to(pred), name(9)))
	admit(t, m, cross(), pred, head) // and its edges are not all known: it is walked for
	asked := 0
	r := rules()
	r.Cross = func(_, _ *dag.Node) bool { asked++; return true }
	p := propose(batch(head), r)
	if _, err := m.Check(t.Context(), p); err != nil || asked != 1 {
		t.Fatalf("Check: %v, asked %d times, want once", err, asked)
	}
	if _, err := m.Admit(t.Context(), p); err != nil || asked != 2 {
		t.Errorf("Admit: %v, asked %d times in all, want twice", err, asked)
	}
}

// TestLoopOfTwo checks two tokens each of which alone closes no loop.
func TestLoopOfTwo(t *testing.T) {
	m := newMemory(t, dag.MemoryConfig{})
	first, last := tok(1, allowed, after(name(2))), tok(3, allowed, after(name(4)))
	far := tok(5, after(to(first)))
	admit(t, m, rules(), first, last, far)
	a, b := propose(batch(tok(2, after(to(last)))), rules()), propose(batch(tok(4, after(to(far)))), rules())
	for _, p := range []*dag.Proposal{a, b} {
		if _, err := m.Check(t.Context(), p); err != nil {
			t.Fatalf("Check: %v", err)
		}
	}
	if _, err := m.Admit(t.Context(), a); err != nil {
		t.Fatalf("Admit: %v", err)
	}
	_, err := m.Admit(t.Context(), b)
	wantReason(t, err, dag.Cycle)
}

// TestBasisOfAnother gives Admit a basis that is none of this store, or of this batch.
func TestBasisOfAnother(t *testing.T) {
	p := tok(1)
	child := batch(tok(2, after(to(p))))
	m, empty := newMemory(t, dag.MemoryConfig{}), newMemory(t, dag.MemoryConfig{})
	admit(t, m, rules(), p)
	checked := propose(child, rules())
	if _, err := m.Check(t.Context(), checked); err != nil {
		t.Fatalf("Check: %v", err)
	}
	_, err := empty.Admit(t.Context(), checked)
	wantReason(t, err, dag.Missing)
	for name, other := range map[string][]dag.Entry{
		"a copy": batch(tok(4, after(name(3)))), "more": batch(child[0], tok(4, after(name(3)))), "nothing": nil,
	} {
		q := propose(other, rules())
		q.Basis = checked.Basis
		js, err := m.Admit(t.Context(), q)
		if len(other) > 0 {
			wantReason(t, err, dag.Missing)
		} else if err != nil || len(js) != 0 {
			t.Errorf("Admit of %s = %+v, %v", name, js, err)
		}
	}
	q := propose(batch(tok(4, after(name(3)))), rules())
	q.Basis = "rubbish"
	_, err = m.Admit(t.Context(), q)
	wantReason(t, err, dag.Missing)
	// A Check that refuses leaves nothing for Admit to stand on.
	_, err = empty.Check(t.Context(), checked)
	wantReason(t, err, dag.Missing)
	if checked.Basis != nil {
		t.Error("a proposal that was refused has a basis")
	}
	wantLen(t, m, 1, 0)
	wantLen(t, empty, 0, 0)
}

// TestAdmitTwice admits a proposal again: after it was kept, and after it was dropped.
func TestAdmitTwice(t *testing.T) {
	c := newClock()
	m := newMemory(t, dag.MemoryConfig{Quiet: time.Minute, Now: c.Now})
	p := propose(batch(tok(1), tok(2, after(name(1)))), rules())
	for range 2 {
		admit(t, m, rules(), tok(3)) // of the workflow
		if _, err := m.Check(t.Context(), p); err != nil {
			t.Fatalf("Check: %v", err)
		}
		for range 2 {
			js, err := m.Admit(t.Context(), p)
			if err != nil {
				t.Fatalf("Admit: %v", err)
			}
			if d := diff(l2(tok(1)), js[1]); d != "" {
				t.Errorf("the judgement (-want +got):\n%s", d)
			}
			wantLen(t, m, 3, 0)
			if err := m.Sound(); err != nil {
				t.Fatal(err)
			}
		}
		c.add(time.Hour)
		admit(t, m, rules(), tok(9, alone))
		wantHas(t, m, false, tok(1), tok(2), tok(3))
		if _, err := m.Admit(t.Context(), p); err != nil {
			t.Fatalf("Admit: %v", err)
		}
		if err := m.Sound(); err != nil {
			t.Fatal(err)
		}
		c.add(time.Hour)
		admit(t, m, rules())
		wantLen(t, m, 0, 0)
	}
}

// TestPlacesAreUsedAgain: what the store says of a token stays as it is when the token
// was dropped and others took its place.
func TestPlacesAreUsedAgain(t *testing.T) {
	for _, edges := range []uint64{1, 2, 3, 7} {
		c := newClock()
		m := newMemory(t, dag.MemoryConfig{Quiet: time.Minute, Now: c.Now})
		var known []dag.Edge
		for n := range edges {
			admit(t, m, rules(), tok(n+10))
			known = append(known, to(tok(n+10)))
		}
		first := tok(1, after(known...))
		fresh := admit(t, m, rules(), first)
		again := admit(t, m, rules(), first)
		_, err := m.Admit(t.Context(), propose(batch(tok(1, saying("other"))), rules()))
		shown := wantReason(t, err, dag.Equivocation).First
		want := slices.Clone(fresh[0].Preds)
		c.add(time.Hour)
		for n := range uint64(300) {
			admit(t, m, rules(), tok(n+1000, in(flow(2)), allowed, after(name(n+5000), name(n+6000), name(n+7000))))
		}
		wantHas(t, m, false, first)
		if !slices.Equal(fresh[0].Preds, want) || !slices.Equal(again[0].Preds, want) {
			t.Errorf("%d edges: the judgements changed", edges)
		}
		if d := diff(first.Node, shown); d != "" {
			t.Errorf("%d edges: the token that was shown changed (-want +got):\n%s", edges, d)
		}
	}
}

// TestProposalIsNotKept: of what is proposed the store keeps texts alone, so that edges
// may share memory with whatever they came in.
func TestProposalIsNotKept(t *testing.T) {
	for _, edges := range []uint64{1, 2, 3, 7} {
		m := newMemory(t, dag.MemoryConfig{})
		var named []dag.Edge
		for n := range edges {
			named = append(named, name(n+10))
		}
		first := tok(1, allowed, after(named...))
		e := batch(first)
		e[0].Preds = slices.Clone(first.Preds)
		said := weak.Make(&admit(t, m, rules(), e...)[0])
		clear(e[0].Preds)
		clear(e)
		if runtime.GC(); said.Value() != nil {
			t.Errorf("%d edges: what was said is kept as well", edges)
		}
		_, err := m.Check(t.Context(), propose(batch(tok(1, saying("other"))), rules()))
		if d := diff(first.Node, wantReason(t, err, dag.Equivocation).First); d != "" {
			t.Errorf("%d edges: the token is kept otherwise (-want +got):\n%s", edges, d)
		}
	}
}

// TestManyTwins lets many tokens bear one id, as anybody can make them, and drops them.
func TestManyTwins(t *testing.T) {
	c := newClock()
	m := newMemory(t, dag.MemoryConfig{Quiet: time.Hour, Now: c.Now})
	const twins = 1 << 14
	issuer := func(n uint32) mod { return by(string(binary.BigEndian.AppendUint32(nil, n))) }
	for n := range uint32(twins) {
		admit(t, m, rules(), tok(1, unsigned, issuer(n)))
	}
	wantLen(t, m, twins, twins)
	signed := tok(1)
	admit(t, m, rules(), signed)
	if d := diff(l2(signed), admit(t, m, rules(), tok(2, after(name(1))))[0]); d != "" {
		t.Errorf("a signed token after the signed one (-want +got):\n%s", d)
	}
	one := tok(1, unsigned, issuer(twins/2))
	if j := admit(t, m, rules(), tok(3, after(to(one))))[0]; j.Preds[0] != one.Digest {
		t.Errorf("a token after one of the twins comes after %v", j.Preds)
	}
	_, err := m.Check(t.Context(), propose(batch(tok(4, unsigned, after(name(1)))), rules()))
	wantReason(t, err, dag.Ambiguous)
	_, err = m.Check(t.Context(), propose(batch(tok(1, unsigned, issuer(7), saying("other"))), rules()))
	wantReason(t, err, dag.Equivocation)
	c.add(2 * time.Hour)
	admit(t, m, rules(), tok(9, in(flow(9))))
	wantLen(t, m, 1, 0)
}

// TestManyTasks grows the store by far, and empties it, twice.
func TestManyTasks(t *testing.T) {
	const tasks = 20_000
	c := newClock()
	m := newMemory(t, dag.MemoryConfig{Quiet: time.Hour, Now: c.Now})
	for round := range uint64(2) {
		e := func(n uint64) dag.Entry {
			return tok(round*tasks+n, in(flow(n%100)), allowed, after(name(1<<32+n)))
		}
		for n := range uint64(tasks) {
			admit(t, m, rules(), e(n))
			if n%1000 == 0 {
				if err := m.Sound(); err != nil {
					t.Fatalf("with %d tasks: %v", n, err)
				}
			}
		}
		wantLen(t, m, tasks, 0)
		for n := range uint64(tasks) {
			if !m.Has(e(n).Key) || m.Has(tok(round*tasks+tasks+n).Key) {
				t.Fatalf("task %d is not held, or one that never came is", n)
			}
		}
		if n := m.Named(); n != tasks {
			t.Errorf("%d task ids are named, want %d", n, tasks)
		}
		dropAll(t, m, c)
	}
}
