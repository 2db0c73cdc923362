// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/go-ect/ect/core/dag"
)

// steady is a store of about an hour's tokens, one of which comes each second, and what
// makes the next of them of a template.
func steady(b *testing.B) (m *dag.Memory, next func(e *dag.Entry)) {
	b.Helper()
	c := newClock()
	m = newMemory(b, dag.MemoryConfig{Quiet: time.Hour, Now: c.Now})
	n := uint64(1 << 40)
	return m, func(e *dag.Entry) {
		c.unix.Add(1)
		n++
		e.Key.Task = task(n)
		binary.BigEndian.PutUint64(e.Digest[:], n)
		e.Workflow = flow(n)
	}
}

func BenchmarkAdmitRoot(b *testing.B) {
	m, next := steady(b)
	e, r := batch(tok(1)), rules()
	b.ReportAllocs()
	for b.Loop() {
		next(&e[0])
		if _, err := m.Admit(b.Context(), propose(e, r)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAdmitFivePredecessors(b *testing.B) {
	for _, tt := range []struct {
		name string
		edge func(dag.Entry) dag.Edge
	}{{"bound", to}, {"unbound", func(e dag.Entry) dag.Edge { return dag.Edge{Task: e.Key.Task} }}} {
		b.Run(tt.name, func(b *testing.B) {
			m, next := steady(b)
			var edges []dag.Edge
			for n := range uint64(5) {
				p := tok(n + 1)
				admit(b, m, rules(), p)
				edges = append(edges, tt.edge(p))
			}
			known := []dag.Entry{tok(1), tok(2), tok(3), tok(4), tok(5)}
			r := cross()
			e := batch(tok(9, after(edges...)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				next(&e[0])
				if i%1000 == 0 { // keep them known
					if _, err := m.Admit(b.Context(), propose(known, r)); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := m.Admit(b.Context(), propose(e, r)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheckAgain(b *testing.B) {
	m := newMemory(b, dag.MemoryConfig{})
	p, r := tok(1), rules()
	e := batch(tok(2, after(to(p))))
	admit(b, m, r, p)
	admit(b, m, r, e...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Check(b.Context(), propose(e, r)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCycleWalk(b *testing.B) {
	m := newMemory(b, dag.MemoryConfig{})
	const n = 1 << 30
	last := chain(b, m, dag.DefaultMaxWalk)
	admit(b, m, rules(), tok(n+1, after(name(n)), allowed))
	e, r := batch(tok(n, after(to(last)))), rules()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Check(b.Context(), propose(e, r)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/dag.DefaultMaxWalk, "ns/ancestor")
}
