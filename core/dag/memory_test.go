// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag_test

import (
	stdcontext "context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/id"
)

func TestNewMemory(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config dag.MemoryConfig
		field  string
	}{
		{"zero", dag.MemoryConfig{}, ""},
		{"one", dag.MemoryConfig{MaxTasks: 1, MaxUnsigned: 1, Quiet: 1}, ""},
		{"tasks", dag.MemoryConfig{MaxTasks: -1}, "MaxTasks"},
		{"unsigned", dag.MemoryConfig{MaxUnsigned: -1}, "MaxUnsigned"},
		{"quiet", dag.MemoryConfig{Quiet: -1}, "Quiet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := dag.NewMemory(tt.config)
			if (err == nil) != (tt.field == "") || (m != nil) != (tt.field == "") {
				t.Fatalf("NewMemory(%+v) = %v, %v", tt.config, m, err)
			}
			if err != nil && !strings.Contains(err.Error(), "dag.MemoryConfig."+tt.field) {
				t.Errorf("the error %q does not name %s", err, tt.field)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	m := newMemory(t, dag.MemoryConfig{})
	ctx, cancel := stdcontext.WithCancel(t.Context())
	cancel()
	if _, err := m.Check(ctx, propose(batch(tok(1)), rules())); !errors.Is(err, stdcontext.Canceled) {
		t.Errorf("Check: %v", err)
	}
	if _, err := m.Admit(ctx, propose(batch(tok(1)), rules())); !errors.Is(err, stdcontext.Canceled) {
		t.Errorf("Admit: %v", err)
	}
	wantLen(t, m, 0, 0)
}

func TestEmptyBatch(t *testing.T) {
	m := newMemory(t, dag.MemoryConfig{MaxTasks: 1})
	admit(t, m, rules(), tok(1))
	if j := admit(t, m, rules()); len(j) != 0 {
		t.Errorf("Admit() = %v", j)
	}
}

// TestAdmitJudgesAgain changes what is known between Check and Admit.
func TestAdmitJudgesAgain(t *testing.T) {
	p := tok(1)
	child := tok(2, after(name(1)))
	for _, tt := range []struct {
		name    string
		known   []dag.Entry
		batch   []dag.Entry
		between []dag.Entry
		want    dag.Reason
	}{
		{"equivocation", nil, batch(p), batch(tok(1, saying("other"))), dag.Equivocation},
		{"ambiguous", batch(p), batch(child), batch(tok(1, by("b"))), dag.Ambiguous},
		{"differs", nil, batch(tok(2, after(elsewhere(1)), allowed)), batch(p), dag.Differs},
		{"cycle", nil, batch(as(child, allowed)), batch(tok(1, after(name(2)), allowed)), dag.Cycle},
		{"too late", nil, batch(as(child, allowed)), batch(tok(1, seconds(31))), dag.TooLate},
		{"workflow", nil, batch(as(child, allowed)), batch(tok(1, in(flow(2)))), dag.CrossWorkflow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory(t, dag.MemoryConfig{})
			admit(t, m, rules(), tt.known...)
			p := propose(tt.batch, rules())
			if _, err := m.Check(t.Context(), p); err != nil {
				t.Fatalf("Check: %v", err)
			}
			admit(t, m, rules(), tt.between...)
			_, err := m.Admit(t.Context(), p)
			wantReason(t, err, tt.want)
			wantHas(t, m, tt.want == dag.Equivocation, tt.batch...)
		})
	}
	t.Run("the predecessor came", func(t *testing.T) {
		m := newMemory(t, dag.MemoryConfig{})
		waits := propose(batch(as(child, allowed)), rules())
		if j, err := m.Check(t.Context(), waits); err != nil || !j[0].Partial {
			t.Fatalf("Check = %+v, %v", j, err)
		}
		admit(t, m, rules(), p)
		j, err := m.Admit(t.Context(), waits)
		if err != nil {
			t.Fatalf("Admit: %v", err)
		}
		if d := diff(l2(p), j[0]); d != "" {
			t.Errorf("the judgement (-want +got):\n%s", d)
		}
	})
	t.Run("the predecessor is gone", func(t *testing.T) {
		c := newClock()
		m := newMemory(t, dag.MemoryConfig{Quiet: time.Minute, Now: c.Now})
		admit(t, m, rules(), p)
		waits := propose(batch(child), rules())
		if _, err := m.Check(t.Context(), waits); err != nil {
			t.Fatalf("Check: %v", err)
		}
		c.add(2 * time.Minute)
		admit(t, m, rules(), tok(9, in(flow(2))))
		_, err := m.Admit(t.Context(), waits)
		wantReason(t, err, dag.Missing)
	})
}

// TestAllOrNothing refuses a batch for its last token and then looks for the others.
func TestAllOrNothing(t *testing.T) {
	good := batch(tok(1), tok(2, after(name(1))), tok(3, unsigned), tok(4, after(name(77)), context))
	for _, tt := range []struct {
		name string
		bad  dag.Entry
		want dag.Reason
	}{
		{"missing", tok(9, after(name(8))), dag.Missing},
		{"equivocation", tok(1, saying("other")), dag.Equivocation},
		{"workflow", tok(9, in(flow(2)), after(name(1))), dag.CrossWorkflow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory(t, dag.MemoryConfig{})
			_, err := m.Admit(t.Context(), propose(append(slices.Clip(good), tt.bad), rules()))
			wantReason(t, err, tt.want)
			wantLen(t, m, 0, 0)
			if n := m.Named(); n != 0 {
				t.Errorf("%d task ids are named", n)
			}
		})
	}
	t.Run("full", func(t *testing.T) {
		m := newMemory(t, dag.MemoryConfig{MaxTasks: 5})
		admit(t, m, rules(), tok(101), tok(102))
		wantFull(t, m, good...)
		wantLen(t, m, 2, 0)
		wantHas(t, m, false, good...)
		admit(t, m, rules(), good[:3]...)
		wantFull(t, m, tok(9))
		admit(t, m, rules(), append(good[:3:3], tok(101), tok(102))...) // all known: no room needed
		wantLen(t, m, 5, 1)
	})
}

func wantFull(t *testing.T, m *dag.Memory, e ...dag.Entry) {
	t.Helper()
	if _, err := m.Check(t.Context(), propose(e, rules())); err != nil {
		t.Errorf("Check of what does not fit: %v, want none: it keeps nothing", err)
	}
	if _, err := m.Admit(t.Context(), propose(e, rules())); !errors.Is(err, dag.ErrFull) {
		t.Fatalf("Admit(%d tokens) = %v, want ErrFull", len(e), err)
	}
}

func TestDropsWholeQuietWorkflows(t *testing.T) {
	c := newClock()
	m := newMemory(t, dag.MemoryConfig{MaxTasks: 6, Quiet: time.Minute, Now: c.Now})
	first := batch(tok(1), tok(2, after(name(1))), tok(3, unsigned))
	second := batch(tok(11, in(flow(2))), tok(12, in(flow(2)), after(name(99)), context))
	admit(t, m, rules(), first[:1]...)
	c.add(40 * time.Second)
	admit(t, m, rules(), second...)
	admit(t, m, rules(), first[1:]...) // the first token's workflow is active again
	wantLen(t, m, 5, 1)
	third := batch(tok(21, in(flow(3))), tok(22, in(flow(3))))

	c.add(30 * time.Second) // the first token came 70 s ago, its workflow was active 30 s ago
	wantFull(t, m, third...)
	wantHas(t, m, true, append(first, second...)...)
	c.add(30 * time.Second) // a minute: not yet longer than that
	wantFull(t, m, third...)
	wantHas(t, m, true, append(first, second...)...)
	admit(t, m, rules(), second[0]) // presented again: active
	c.add(time.Second)
	admit(t, m, rules(), third...)
	wantHas(t, m, false, first...)
	wantHas(t, m, true, append(second, third...)...)
	wantLen(t, m, 4, 0)
	if n := m.Named(); n != 1 {
		t.Errorf("%d task ids are named, want 1", n)
	}

	_, err := m.Check(t.Context(), propose(batch(tok(5, after(name(1)))), rules()))
	wantReason(t, err, dag.Missing) // forgotten
	c.add(2 * time.Minute)
	admit(t, m, rules(), tok(31, in(flow(4))))
	wantLen(t, m, 1, 0)
	if n := m.Named(); n != 0 {
		t.Errorf("%d task ids are named, want none", n)
	}
	admit(t, m, rules(), tok(1, saying("other"))) // what is forgotten is no equivocation
}

func TestActiveWorkflowsStay(t *testing.T) {
	c := newClock()
	m := newMemory(t, dag.MemoryConfig{MaxTasks: 10, Quiet: time.Minute, Now: c.Now})
	for n := range uint64(10) {
		admit(t, m, rules(), tok(n+1, in(flow(n))))
	}
	for range 20 {
		c.add(20 * time.Second)
		for n := range uint64(10) {
			admit(t, m, rules(), tok(n+1, in(flow(n))))
		}
		wantFull(t, m, tok(99))
		wantLen(t, m, 10, 0)
	}
}

// TestQuietWorkflowThatGoesOn is about the workflow that a batch belongs to: with the
// batch it is not quiet any more, so neither room nor tidiness may drop it, and part of
// it never (profile 5.10).
func TestQuietWorkflowThatGoesOn(t *testing.T) {
	known := batch(tok(1), tok(2, after(name(1))), tok(3, after(name(2))))
	setup := func(t *testing.T, limit int) *dag.Memory {
		c := newClock()
		m := newMemory(t, dag.MemoryConfig{MaxTasks: limit, Quiet: time.Minute, Now: c.Now})
		admit(t, m, rules(), known...)
		c.add(2 * time.Minute)
		return m
	}
	t.Run("a new token", func(t *testing.T) {
		m := setup(t, 100)
		if d := diff(l2(known[2]), admit(t, m, rules(), tok(4, after(to(known[2]))))[0]); d != "" {
			t.Errorf("the judgement (-want +got):\n%s", d)
		}
		wantHas(t, m, true, known...)
		if _, err := m.Admit(t.Context(), propose(batch(tok(5, after(to(known[2])))), rules())); err != nil {
			t.Errorf("another token after the same predecessor: %v", err)
		}
	})
	t.Run("a known token again", func(t *testing.T) {
		m := setup(t, 100)
		admit(t, m, rules(), known[2])
		wantHas(t, m, true, known...)
	})
	t.Run("a token of another workflow that comes after it", func(t *testing.T) {
		m := setup(t, 100)
		admit(t, m, cross(), tok(4, in(flow(2)), after(to(known[2]))))
		n := 0
		for _, e := range known {
			if m.Has(e.Key) {
				n++
			}
		}
		if n != 0 && n != len(known) {
			t.Errorf("%d of %d tokens of the workflow are left", n, len(known))
		}
	})
	t.Run("no room but its own", func(t *testing.T) {
		m := setup(t, 3)
		if _, err := m.Admit(t.Context(), propose(batch(tok(4, after(to(known[2])))), rules())); !errors.Is(err, dag.ErrFull) {
			t.Errorf("Admit = %v, want ErrFull", err)
		}
		wantHas(t, m, true, known...)
	})
	t.Run("the bound holds", func(t *testing.T) {
		c := newClock()
		m := newMemory(t, dag.MemoryConfig{MaxTasks: 4, Quiet: time.Minute, Now: c.Now})
		admit(t, m, rules(), known...)
		c.add(2 * time.Minute)
		_, err := m.Admit(t.Context(), propose(append(known[:3:3], tok(11, in(flow(2))), tok(12, in(flow(2)))), rules()))
		if n, _ := m.Len(); n > 4 {
			t.Errorf("the store holds %d tokens of at most 4 after %v", n, err)
		}
	})
	t.Run("no workflow", func(t *testing.T) {
		c := newClock()
		m := newMemory(t, dag.MemoryConfig{Quiet: time.Minute, Now: c.Now})
		p := tok(1, alone)
		admit(t, m, rules(), p)
		c.add(2 * time.Minute)
		admit(t, m, rules(), p)
		wantHas(t, m, true, p)
		admit(t, m, rules(), tok(2, alone))
		wantHas(t, m, true, p)
	})
}

// TestWhatComesAfterKeepsActive: a workflow is active when a token that comes after it is
// let in, whatever workflow that is of, and whether it is new or known.
func TestWhatComesAfterKeepsActive(t *testing.T) {
	known := batch(tok(1), tok(2, after(name(1))))
	for kind, child := range map[string]func(n uint64) dag.Entry{
		"new":   func(n uint64) dag.Entry { return tok(n+100, in(flow(2)), after(to(known[1]))) },
		"known": func(uint64) dag.Entry { return tok(3, in(flow(2)), after(to(known[1]))) },
	} {
		t.Run(kind, func(t *testing.T) {
			c := newClock()
			m := newMemory(t, dag.MemoryConfig{Quiet: time.Minute, Now: c.Now})
			admit(t, m, rules(), known...)
			for n := range uint64(5) {
				c.add(40 * time.Second)
				admit(t, m, cross(), child(n))
				c.add(time.Second)
				admit(t, m, cross(), tok(n+10, in(flow(n+10))))
				wantHas(t, m, true, known...)
			}
			c.add(61 * time.Second)
			admit(t, m, rules(), tok(20, in(flow(20))))
			wantHas(t, m, false, known...)
		})
	}
}

func TestTokensWithoutWorkflowGoByAge(t *testing.T) {
	c := newClock()
	m := newMemory(t, dag.MemoryConfig{MaxTasks: 10, Quiet: 100 * time.Second, Now: c.Now})
	var all []dag.Entry
	for n := range uint64(10) {
		all = append(all, tok(n+1, alone))
		admit(t, m, rules(), all[n])
		c.add(10 * time.Second)
	}
	wantFull(t, m, tok(50, alone)) // the oldest came 100 s ago
	for n := range all {
		c.add(10 * time.Second)
		e := tok(uint64(50+n), alone)
		admit(t, m, rules(), e)
		wantHas(t, m, false, all[:n+1]...)
		wantHas(t, m, true, append(all[n+1:len(all):len(all)], e)...)
		wantLen(t, m, 10, 0)
	}
}

func TestUnsignedHaveTheirShare(t *testing.T) {
	c := newClock()
	m := newMemory(t, dag.MemoryConfig{MaxTasks: 10, MaxUnsigned: 3, Quiet: time.Minute, Now: c.Now})
	for n := range uint64(3) {
		admit(t, m, rules(), tok(n+1, unsigned, in(flow(n))))
	}
	wantFull(t, m, tok(9, unsigned))
	wantFull(t, m, tok(10), tok(9, unsigned))
	for n := range uint64(7) {
		admit(t, m, rules(), tok(n+11))
	}
	wantLen(t, m, 10, 3)
	wantFull(t, m, tok(30))
	admit(t, m, rules(), tok(1, unsigned, in(flow(0)))) // known
	c.add(2 * time.Minute)
	admit(t, m, rules(), tok(31, in(flow(9))), tok(32, unsigned, in(flow(9))))
	if _, u := m.Len(); u > 3 {
		t.Errorf("%d unsigned tokens, want no more than 3", u)
	}
}

func TestUnsignedCannotStarveSigned(t *testing.T) {
	m := newMemory(t, dag.MemoryConfig{MaxTasks: 100, MaxUnsigned: 10})
	refused := 0
	for n := range uint64(1000) {
		if _, err := m.Admit(t.Context(), propose(batch(tok(n+1, unsigned, alone)), rules())); errors.Is(err, dag.ErrFull) {
			refused++
		}
	}
	if refused != 990 {
		t.Errorf("%d unsigned tokens were refused, want 990", refused)
	}
	for n := range uint64(90) {
		admit(t, m, rules(), tok(n+2000))
	}
	wantLen(t, m, 100, 10)
}

func TestDefaultUnsignedShare(t *testing.T) {
	// Of a store smaller than the default share, all may be unsigned.
	m := newMemory(t, dag.MemoryConfig{MaxTasks: 5})
	for n := range uint64(5) {
		admit(t, m, rules(), tok(n+1, unsigned))
	}
	wantFull(t, m, tok(9, unsigned))
}

func TestOwnReserve(t *testing.T) {
	for _, tt := range []struct {
		name              string
		tasks, unsigned   int
		reserve, reserve1 int
	}{
		{"an eighth", 80, 16, 10, 2},
		{"at least one", 3, 1, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory(t, dag.MemoryConfig{MaxTasks: tt.tasks, MaxUnsigned: tt.unsigned})
			for n := range uint64(tt.unsigned) {
				admit(t, m, rules(), tok(n+1, unsigned))
			}
			wantFull(t, m, tok(500, unsigned))
			for n := range uint64(tt.reserve1) {
				admit(t, m, rules(), tok(n+100, unsigned, own))
			}
			wantFull(t, m, tok(501, unsigned, own))
			for n, _ := m.Len(); n < tt.tasks; n++ {
				admit(t, m, rules(), tok(uint64(n)+200))
			}
			wantFull(t, m, tok(502))
			for n := range uint64(tt.reserve) {
				wantFull(t, m, tok(n+300, own), tok(503)) // a stranger's token beside it
				admit(t, m, rules(), tok(n+300, own))
			}
			wantFull(t, m, tok(504, own))
			wantFull(t, m, tok(505))
			wantLen(t, m, tt.tasks+tt.reserve, tt.unsigned+tt.reserve1)
			admit(t, m, rules(), tok(300, own), tok(1, unsigned)) // known
		})
	}
}

// TestTwins drops many tokens of one task id in random order.
func TestTwins(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := newClock()
		m := newMemory(t, dag.MemoryConfig{Quiet: time.Hour, Now: c.Now})
		var all []dag.Entry
		for n := range uint64(40) {
			mods := []mod{in(flow(n / 2)), by(string(rune('a' + n)))}
			if r.IntN(3) == 0 {
				mods = append(mods, unsigned)
			}
			if r.IntN(4) == 0 {
				mods = append(mods, alone)
			}
			e := tok(1, mods...)
			if !m.Has(e.Key) {
				all = append(all, e)
				admit(t, m, rules(), e)
			}
		}
		live := map[id.Digest]dag.Entry{}
		for _, e := range all {
			live[e.Digest] = e
		}
		c.add(15 * time.Minute)
		for len(live) > 0 {
			// Keep some of them active, and drop the rest.
			c.add(40 * time.Minute)
			keep := map[id.Workflow]bool{}
			for _, e := range all {
				if _, ok := live[e.Digest]; ok && r.IntN(3) > 0 {
					admit(t, m, rules(), e)
					if keep[e.Workflow] = true; !e.Workflow.Present {
						keep[id.Workflow{ID: id.UUID(e.Digest[:16]), Present: true}] = true
					}
				}
			}
			c.add(15 * time.Minute)
			for range len(live) {
				admit(t, m, rules(), tok(2, in(flow(999))))
			}
			for d, e := range live {
				w := e.Workflow
				if !w.Present {
					w = id.Workflow{ID: id.UUID(d[:16]), Present: true}
				}
				if got := m.Has(e.Key); got != keep[w] {
					t.Fatalf("seed %d: %v is held: %t, want %t", seed, e.Key, got, keep[w])
				}
				if !keep[w] {
					delete(live, d)
				}
			}
			if err := m.Sound(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			wantLive(t, m, live)
		}
	}
}

// wantLive names task 1, of which those tokens are known, in every way.
func wantLive(t *testing.T, m *dag.Memory, live map[id.Digest]dag.Entry) {
	t.Helper()
	signed := 0
	for _, e := range live {
		if e.Key.Signed {
			signed++
		}
		if _, err := m.Check(t.Context(), propose(batch(tok(3, after(to(e)))), cross())); err != nil {
			t.Fatalf("a token bound to %v: %v", e.Key, err)
		}
	}
	for _, tt := range []struct {
		n    int
		from dag.Entry
	}{{signed, tok(3, after(name(1)))}, {len(live), tok(3, after(name(1)), unsigned)}} {
		want := [...]dag.Reason{dag.Missing, 0, dag.Ambiguous}[min(tt.n, 2)]
		_, err := m.Check(t.Context(), propose(batch(tt.from), cross()))
		wantReason(t, err, want)
	}
	want := dag.Differs
	if signed == 0 { // unsigned ones are not held against a signed one
		want = dag.Missing
	}
	_, err := m.Check(t.Context(), propose(batch(tok(3, after(elsewhere(1)))), cross()))
	wantReason(t, err, want)
}

// TestWaitingEmptyAfterDrops counts what is named, found later, and dropped.
func TestWaitingEmptyAfterDrops(t *testing.T) {
	c := newClock()
	m := newMemory(t, dag.MemoryConfig{Quiet: time.Minute, Now: c.Now})
	r := rand.New(rand.NewPCG(3, 1))
	for n := range uint64(500) {
		var edges []dag.Edge
		for k := range uint64(3) {
			if e := 10*uint64(r.IntN(100)) + k; e != n {
				edges = append(edges, name(e))
			}
		}
		e := tok(n, in(flow(n/7)), after(edges...), allowed)
		for range 1 + r.IntN(2) {
			_, err := m.Admit(t.Context(), propose(batch(e), cross()))
			if err != nil {
				wantReason(t, err, dag.Cycle)
			}
		}
		if r.IntN(10) == 0 {
			_, err := m.Admit(t.Context(), propose(batch(as(e, func(e *dag.Entry) { e.Required = true })), cross()))
			if _, ok := errors.AsType[*dag.Refusal](err); err != nil && !ok {
				t.Fatalf("Admit: %v", err)
			}
		}
		c.add(time.Second)
	}
	if err := m.Sound(); err != nil {
		t.Fatal(err)
	}
	if m.Named() == 0 {
		t.Fatal("nothing is named")
	}
	c.add(time.Hour)
	for range 500 {
		admit(t, m, rules(), tok(10_000, in(flow(10_000))))
	}
	wantLen(t, m, 1, 0)
	if n := m.Named(); n != 0 {
		t.Errorf("%d task ids are named, want none", n)
	}
}
