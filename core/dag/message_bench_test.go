// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag_test

import (
	"encoding/binary"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/id"
)

const (
	// liveTasks is about how many tasks the store of a busy service holds.
	liveTasks = 100_000
	// openFlows is how many workflows go on side by side, flowMessages how many
	// come before one makes room for the next.
	openFlows, flowMessages = 1000, 25
)

// traffic is what a service with a history of liveTasks sees: workflows go on side by
// side, each message comes after two known tokens, and this process's answer after it.
type traffic struct {
	m     *dag.Memory
	clock time.Time
	ids   uint64
	next  int
	flows [openFlows]flowState
	text  string
}

type flowState struct {
	workflow id.Workflow
	left     int
	last     [2]dag.Edge
}

func newTraffic(tb testing.TB) *traffic {
	tb.Helper()
	w := &traffic{clock: time.Unix(start, 0), text: strings.Repeat("x", 800)}
	// A task lives as long as its workflow, and as long as that is quiet.
	m, err := dag.NewMemory(dag.MemoryConfig{Quiet: time.Hour, Now: func() time.Time { return w.clock }})
	if err != nil {
		tb.Fatal(err)
	}
	w.m = m
	for range 2 * liveTasks {
		w.keep(tb, w.receive(tb))
	}
	if n, _ := m.Len(); n < liveTasks*9/10 || n > liveTasks*11/10 {
		tb.Fatalf("%d tasks are live, want about %d", n, liveTasks)
	}
	tb.Cleanup(func() {
		if err := m.Sound(); err != nil {
			tb.Errorf("the store is not sound: %v", err)
		}
	})
	return w
}

// number is an id that looks random and costs next to nothing to make.
func (w *traffic) number() (u id.UUID) {
	w.ids++
	z := (w.ids ^ w.ids>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	binary.LittleEndian.PutUint64(u[:], z^z>>31)
	binary.LittleEndian.PutUint64(u[8:], w.ids)
	return u
}

func (w *traffic) entry(issuer string, f *flowState, preds ...dag.Edge) dag.Entry {
	e := dag.Entry{Node: dag.Node{
		Key: dag.Key{Signed: true, Issuer: issuer, Task: w.number()}, Workflow: f.workflow, IssuedAt: w.clock.Unix(), Level: 2,
		Domain: "example.org", Token: w.text, Preds: preds,
	}}
	copy(e.Digest[:], e.Key.Task[:])
	return e
}

// receive lets the next message in, as a verifier does.
func (w *traffic) receive(tb testing.TB) *flowState {
	w.clock = w.clock.Add(75 * time.Millisecond)
	f := &w.flows[w.next]
	w.next = (w.next + 1) % openFlows
	if f.left--; f.left <= 0 {
		*f = flowState{workflow: id.Workflow{ID: w.number(), Present: true}, left: flowMessages}
	}
	var preds []dag.Edge
	if f.last[0].Bound {
		preds = []dag.Edge{f.last[0], f.last[1]}
	}
	batch := []dag.Entry{w.entry("spiffe://example.org/peer", f, preds...)}
	batch[0].Head, batch[0].Required = true, true
	p := propose(batch, rules())
	if _, err := w.m.Check(tb.Context(), p); err != nil {
		tb.Fatal(err)
	}
	if _, err := w.m.Admit(tb.Context(), p); err != nil {
		tb.Fatal(err)
	}
	f.last = [2]dag.Edge{f.last[1], to(batch[0])}
	return f
}

// keep lets this process's answer in, as a service does.
func (w *traffic) keep(tb testing.TB, f *flowState) {
	own := []dag.Entry{w.entry("spiffe://example.org/own", f, f.last[1])}
	own[0].Own = true
	if _, err := w.m.Admit(tb.Context(), propose(own, cross())); err != nil {
		tb.Fatal(err)
	}
	f.last = [2]dag.Edge{f.last[1], to(own[0])}
}

// BenchmarkMessage is what the graph costs a request. The floor is what nobody can do
// without: an id goes into a map, and as they are steady, another out of it.
func BenchmarkMessage(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		w := new(traffic)
		held, ring, at := make(map[id.UUID]*dag.Node, liveTasks), make([]id.UUID, liveTasks), 0
		insert := func() {
			delete(held, ring[at])
			ring[at] = w.number()
			held[ring[at]] = &dag.Node{}
			at = (at + 1) % liveTasks
		}
		for range liveTasks {
			insert()
		}
		b.ReportAllocs()
		for b.Loop() {
			insert()
		}
	})
	b.Run("receive", func(b *testing.B) {
		w := newTraffic(b)
		b.ReportAllocs()
		for b.Loop() {
			w.receive(b)
		}
	})
	b.Run("receive and keep", func(b *testing.B) {
		w := newTraffic(b)
		b.ReportAllocs()
		for b.Loop() {
			w.keep(b, w.receive(b))
		}
	})
}

// BenchmarkCollect is what a busy store costs the garbage collector each time.
func BenchmarkCollect(b *testing.B) {
	w := newTraffic(b)
	for b.Loop() {
		runtime.GC()
	}
	runtime.KeepAlive(w)
}
