// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag_test

import (
	"fmt"
	"testing"

	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/id"
)

// rule is one line of the tables: what is known, what comes, what the graph says.
type rule struct {
	name  string
	known []dag.Entry
	batch []dag.Entry
	rules dag.Rules // rules() if zero
	// want is the reason of the refusal, and at which entry.
	want  dag.Reason
	index int
	// judged is what is said of the last entry that is let in.
	judged dag.Judgement
}

// run holds Check and Admit against the line, and a refused batch against the store: of
// a batch that was checked, and of one that was not.
func (l rule) run(t *testing.T) {
	if l.rules.Skew == 0 && l.rules.Cross == nil {
		l.rules.Skew = 30
	}
	for _, check := range []bool{true, false} {
		l.admit(t, check)
	}
}

func (l rule) admit(t *testing.T, check bool) {
	m := newMemory(t, dag.MemoryConfig{})
	known := rules()
	known.Cross = func(_, _ *dag.Node) bool { return true }
	for _, e := range l.known {
		e.Required, e.Head = false, false
		admit(t, m, known, e)
	}
	held, heldUnsigned := m.Len()
	p := propose(l.batch, l.rules)
	var checked []dag.Judgement
	if check {
		var err error
		checked, err = m.Check(t.Context(), p)
		wantLen(t, m, held, heldUnsigned)
		if r := wantReason(t, err, l.want); l.want != 0 && r.Index != l.index {
			t.Errorf("Check refuses entry %d, want %d", r.Index, l.index)
		}
	}
	admitted, err := m.Admit(t.Context(), p)
	if r := wantReason(t, err, l.want); l.want != 0 {
		if r.Index != l.index {
			t.Errorf("Admit refuses entry %d, want %d", r.Index, l.index)
		}
		wantLen(t, m, held, heldUnsigned)
		return
	}
	if d := diff(checked, admitted); check && d != "" {
		t.Errorf("Check and Admit differ (-Check +Admit):\n%s", d)
	}
	if d := diff(l.judged, admitted[len(admitted)-1]); d != "" {
		t.Errorf("the judgement, checked %t (-want +got):\n%s", check, d)
	}
	wantHas(t, m, true, l.batch...)
}

func runRules(t *testing.T, table []rule) {
	t.Helper()
	for _, l := range table {
		t.Run(l.name, func(t *testing.T) { l.run(t) })
	}
}

func found(e ...dag.Entry) (d []id.Digest) {
	for n := range e {
		d = append(d, e[n].Digest)
	}
	return d
}

// l2 is the judgement of a signed token whose predecessors were all found.
func l2(preds ...dag.Entry) dag.Judgement { return dag.Judgement{Lowest: 2, Preds: found(preds...)} }

// without is the judgement of a signed token with one predecessor that was not found.
func without(n uint64) dag.Judgement {
	return dag.Judgement{Lowest: 2, Partial: true, Missing: []id.UUID{task(n)}, Preds: []id.Digest{{}}}
}

func TestEquivocation(t *testing.T) {
	first := tok(1)
	l1 := dag.Judgement{Lowest: 1, Partial: true}
	runRules(t, []rule{
		{name: "another token of the id", known: batch(first), batch: batch(tok(1, saying("other"))), want: dag.Equivocation},
		{name: "whatever the workflow", known: batch(first), batch: batch(tok(1, in(flow(2)))), want: dag.Equivocation},
		{name: "without a workflow", known: batch(first), batch: batch(tok(1, alone)), want: dag.Equivocation},
		{name: "other predecessors", known: batch(first, tok(2)), batch: batch(tok(1, after(name(2)))), want: dag.Equivocation},
		{name: "of context", known: batch(first), batch: batch(tok(3), tok(1, saying("other"), context)), want: dag.Equivocation, index: 1},
		{name: "in one batch", batch: batch(first, tok(1, saying("other"))), want: dag.Equivocation, index: 1},
		{name: "in one batch, last", batch: batch(tok(2), first, tok(3), tok(1, saying("other"))), want: dag.Equivocation, index: 3},
		{name: "of an unsigned issuer", known: batch(tok(1, unsigned)), batch: batch(tok(1, unsigned, saying("other"))), want: dag.Equivocation},
		{name: "before anything else", known: batch(first), batch: batch(tok(2, after(name(9))), tok(1, saying("other"))), want: dag.Equivocation, index: 1},
		{name: "the same token again", known: batch(first), batch: batch(first), judged: l2()},
		{name: "the same token twice in a batch", batch: batch(first, first), judged: l2()},
		{name: "another issuer", known: batch(first), batch: batch(tok(1, by("b"))), judged: l2()},
		{name: "another class", known: batch(first), batch: batch(tok(1, unsigned)), judged: l1},
		{name: "another class first", known: batch(tok(1, unsigned)), batch: batch(first), judged: l2()},
		{name: "another issuer in one batch", batch: batch(first, tok(1, by("b"))), judged: l2()},
		{name: "another class in one batch", batch: batch(first, tok(1, unsigned)), judged: l1},
		{name: "unsigned without issuer", known: batch(tok(1, unsigned)), batch: batch(tok(1, unsigned, by(""))), judged: l1},
	})
}

func TestEquivocationKeepsTheFirst(t *testing.T) {
	m := newMemory(t, dag.MemoryConfig{})
	first, second := tok(1), tok(1, saying("other"), in(flow(2)))
	admit(t, m, rules(), first)
	_, err := m.Admit(t.Context(), propose(batch(second), rules()))
	r := wantReason(t, err, dag.Equivocation)
	if d := diff(first.Node, r.First); d != "" {
		t.Errorf("the first token (-want +got):\n%s", d)
	}
	admit(t, m, rules(), first)
	admit(t, m, rules(), tok(2, after(to(first))))
	wantLen(t, m, 2, 0)

	_, err = m.Check(t.Context(), propose(batch(tok(7), tok(7, saying("other"))), rules()))
	if r := wantReason(t, err, dag.Equivocation); r.First.Digest != tok(7).Digest {
		t.Errorf("the first token of the batch is %v", r.First)
	}
}

func TestPredecessors(t *testing.T) {
	p, other := tok(1), tok(1, by("b"))
	noted := dag.Judgement{Lowest: 2, Partial: true, Missing: []id.UUID{task(1)}, Preds: []id.Digest{{}}}
	// withContext is a head, and a context token whose judgement is looked at.
	withContext := func(c ...mod) []dag.Entry { return batch(tok(8), tok(9, append(c, context)...)) }
	runRules(t, []rule{
		{name: "missing, required", batch: batch(tok(2, after(name(1)))), want: dag.Missing},
		{name: "missing, bound and required", batch: batch(tok(2, after(elsewhere(1)))), want: dag.Missing},
		{name: "missing, not required", batch: batch(tok(2, after(name(1)), allowed)), judged: without(1)},
		{name: "missing, bound and not required", batch: batch(tok(2, after(elsewhere(1)), allowed)), judged: without(1)},
		{name: "missing, of context", batch: withContext(after(name(1))), judged: noted},
		{name: "missing, one of three", known: batch(p, tok(3)), batch: batch(tok(2, after(to(p), name(4), name(3)))), want: dag.Missing},
		{
			name: "missing, one of three allowed", known: batch(p, tok(3)), batch: batch(tok(2, after(to(p), name(4), name(3)), allowed)),
			judged: dag.Judgement{Lowest: 2, Partial: true, Missing: []id.UUID{task(4)}, Preds: []id.Digest{p.Digest, {}, tok(3).Digest}},
		},
		{name: "known", known: batch(p), batch: batch(tok(2, after(name(1)))), judged: l2(p)},
		{name: "known, bound", known: batch(p), batch: batch(tok(2, after(to(p)))), judged: l2(p)},
		{name: "in the batch, before", batch: batch(p, tok(2, after(name(1)))), judged: l2(p)},
		{name: "in the batch, after", batch: batch(tok(2, after(to(tok(3)))), tok(3)), judged: l2()},
		{name: "known and in the batch", known: batch(p), batch: batch(as(p, context), tok(2, after(name(1)))), judged: l2(p)},
		{name: "known and in the batch, bound", known: batch(p), batch: batch(tok(2, after(to(p))), as(p, context)), judged: l2()},

		{name: "differs", known: batch(p), batch: batch(tok(2, after(elsewhere(1)))), want: dag.Differs},
		{name: "differs, not required", known: batch(p), batch: batch(tok(2, after(elsewhere(1)), allowed)), want: dag.Differs},
		{name: "differs in the batch", batch: batch(tok(2, after(elsewhere(1)), allowed), as(p, context)), want: dag.Differs},
		{name: "differs from both", known: batch(p, other), batch: batch(tok(2, after(elsewhere(1)), allowed)), want: dag.Differs},
		{name: "differs, of context", known: batch(p), batch: withContext(after(elsewhere(1))), judged: noted},
		{name: "differs from one, is the other", known: batch(p, other), batch: batch(tok(2, after(to(other)))), judged: l2(other)},
		{name: "bound to one of two in the batch", batch: batch(as(p, context), as(other, context), tok(2, after(to(p)))), judged: l2(p)},

		{name: "ambiguous", known: batch(p, other), batch: batch(tok(2, after(name(1)))), want: dag.Ambiguous},
		{name: "ambiguous, not required", known: batch(p, other), batch: batch(tok(2, after(name(1)), allowed)), want: dag.Ambiguous},
		{name: "ambiguous, known and in the batch", known: batch(p), batch: batch(as(other, context), tok(2, after(name(1)), allowed)), want: dag.Ambiguous, index: 1},
		{name: "ambiguous in the batch", batch: batch(as(p, context), as(other, context), tok(2, after(name(1)))), want: dag.Ambiguous, index: 2},
		{name: "ambiguous, three", known: batch(p, other, tok(1, by("c"))), batch: batch(tok(2, after(name(1)))), want: dag.Ambiguous},
		{name: "ambiguous, of context", known: batch(p, other), batch: withContext(after(name(1))), judged: noted},
	})
}

func TestUnboundEdgesAcrossClasses(t *testing.T) {
	signed, l1 := tok(1), tok(1, unsigned)
	child := tok(2, after(name(1)))
	low := func(p dag.Entry) dag.Judgement {
		return dag.Judgement{Lowest: 1, Partial: true, Preds: found(p)}
	}
	runRules(t, []rule{
		{name: "signed child takes the signed one", known: batch(l1, signed), batch: batch(child), judged: l2(signed)},
		{name: "signed child takes the signed one in the batch", batch: batch(as(l1, context), as(signed, context), child), judged: l2(signed)},
		{name: "signed child, unsigned alone", known: batch(l1), batch: batch(child), want: dag.Missing},
		{name: "signed child, unsigned alone, not required", known: batch(l1), batch: batch(as(child, allowed)), judged: without(1)},
		{name: "signed child, unsigned alone in the batch", batch: batch(as(l1, context), child), want: dag.Missing, index: 1},
		{name: "signed child, two signed and an unsigned", known: batch(l1, signed, tok(1, by("b"))), batch: batch(child), want: dag.Ambiguous},
		{name: "signed child bound to the unsigned one", known: batch(l1, signed), batch: batch(tok(2, after(to(l1)))), judged: low(l1)},
		{name: "unsigned child, signed alone", known: batch(signed), batch: batch(tok(2, unsigned, after(name(1)))), judged: low(signed)},
		{name: "unsigned child, unsigned alone", known: batch(l1), batch: batch(tok(2, unsigned, after(name(1)))), judged: low(l1)},
		{name: "unsigned child, both", known: batch(l1, signed), batch: batch(tok(2, unsigned, after(name(1)))), want: dag.Ambiguous},
		{name: "unsigned child, both in the batch", batch: batch(as(l1, context), as(signed, context), tok(2, unsigned, after(name(1)))), want: dag.Ambiguous, index: 2},
		{name: "unsigned child bound to the signed one", known: batch(l1, signed), batch: batch(tok(2, unsigned, after(to(signed)))), judged: low(signed)},
		{name: "unsigned child, two unsigned", known: batch(l1, tok(1, unsigned, by("b"))), batch: batch(tok(2, unsigned, after(name(1)))), want: dag.Ambiguous},
	})
}

func TestMeans(t *testing.T) {
	signed, l1 := tok(1), tok(1, unsigned)
	for _, tt := range []struct {
		name     string
		edge     dag.Edge
		from, to dag.Entry
		want     bool
	}{
		{"signed, signed", name(1), tok(2), signed, true},
		{"signed, unsigned", name(1), tok(2), l1, false},
		{"unsigned, signed", name(1), tok(2, unsigned), signed, true},
		{"unsigned, unsigned", name(1), tok(2, unsigned), l1, true},
		{"another task", name(3), tok(2), signed, false},
		{"bound", to(signed), tok(2), signed, true},
		{"bound, differs", to(signed), tok(2), l1, false},
		{"bound, another task of the digest", dag.Edge{Task: task(3), Bound: true, Digest: signed.Digest.Short()}, tok(2), signed, false},
		{"bound across classes", to(l1), tok(2), l1, true},
		{"not bound, a digest that does not stand", dag.Edge{Task: task(1), Digest: id.Short{1}}, tok(2), signed, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.edge.Means(&tt.from.Node, &tt.to.Node); got != tt.want {
				t.Errorf("Means() = %t, want %t", got, tt.want)
			}
		})
	}
}

func TestSkew(t *testing.T) {
	late := func(s int64) []dag.Entry { return batch(tok(1, seconds(s))) }
	child := batch(tok(2, after(name(1))))
	none := rules()
	none.Skew, none.Cross = 0, func(_, _ *dag.Node) bool { return false }
	runRules(t, []rule{
		{name: "long before", known: late(-1 << 40), batch: child, judged: l2(late(-1 << 40)...)},
		{name: "the same second", known: late(0), batch: child, judged: l2(late(0)...)},
		{name: "under", known: late(29), batch: child, judged: l2(late(29)...)},
		{name: "at", known: late(30), batch: child, judged: l2(late(30)...)},
		{name: "over", known: late(31), batch: child, want: dag.TooLate},
		{name: "over, not required", known: late(31), batch: batch(as(child[0], allowed)), want: dag.TooLate},
		{name: "over, bound", known: late(31), batch: batch(tok(2, after(to(late(31)[0])))), want: dag.TooLate},
		{name: "over, in the batch", batch: batch(as(late(31)[0], context), child[0]), want: dag.TooLate, index: 1},
		{name: "over, of context", known: late(31), batch: batch(tok(3), as(child[0], context)), want: dag.TooLate, index: 1},
		{name: "no skew, at", known: late(0), batch: child, rules: none, judged: l2(late(0)...)},
		{name: "no skew, over", known: late(1), batch: child, rules: none, want: dag.TooLate},
	})
}

func TestWorkflows(t *testing.T) {
	none := id.Workflow{}
	crossed := func(p dag.Entry) dag.Judgement { j := l2(p); j.Cross = true; return j }
	for _, tt := range []struct {
		name     string
		from, to id.Workflow
		leaves   bool
	}{
		{"same", flow(1), flow(1), false},
		{"both absent", none, none, false},
		{"another", flow(1), flow(2), true},
		{"absent to present", none, flow(1), true},
		{"present to absent", flow(1), none, true},
		{"absent and the nil UUID", none, id.Workflow{Present: true}, true},
	} {
		p, c := tok(1, in(tt.from)), tok(2, in(tt.to), after(name(1)))
		denied, context := l2(p), as(c, context)
		if tt.leaves {
			denied = crossed(p)
		}
		var asked [][2]id.UUID
		r := rules()
		r.Cross = func(from, to *dag.Node) bool {
			asked = append(asked, [2]id.UUID{from.Key.Task, to.Key.Task})
			if from.Workflow != tt.from || to.Workflow != tt.to {
				t.Errorf("Cross is asked about %v and %v", from.Workflow, to.Workflow)
			}
			return true
		}
		want := dag.Reason(0)
		if tt.leaves {
			want = dag.CrossWorkflow
		}
		t.Run(tt.name, func(t *testing.T) {
			no := rules()
			no.Cross = func(_, _ *dag.Node) bool { return false }
			runRules(t, []rule{
				{name: "no predicate", known: batch(p), batch: batch(c), want: want, judged: l2(p)},
				{name: "no predicate, in the batch", batch: batch(p, c), want: want, index: 1, judged: l2(p)},
				{name: "no predicate, context", known: batch(p), batch: batch(context), want: want, judged: l2(p)},
				{name: "refused", known: batch(p), batch: batch(c), rules: no, want: want, judged: l2(p)},
				{name: "admitted", known: batch(p), batch: batch(c), rules: r, judged: denied},
				{name: "admitted, in the batch", batch: batch(p, c), rules: r, judged: denied},
				{name: "known, asked again", known: batch(p, c), batch: batch(c), rules: r, judged: denied},
				{name: "known, refused now", known: batch(p, c), batch: batch(c), rules: no, want: want, judged: l2(p)},
			})
			if tt.leaves == (len(asked) == 0) {
				t.Errorf("the predicate was asked about %v", asked)
			}
			for _, a := range asked {
				if a != [2]id.UUID{task(1), task(2)} {
					t.Errorf("the predicate was asked about %v", a)
				}
			}
		})
	}
	t.Run("not about what is not chosen", func(t *testing.T) {
		never := rules()
		never.Cross = func(_, _ *dag.Node) bool { t.Error("the predicate was asked"); return true }
		p, q := tok(1, in(flow(2))), tok(1, by("b"), in(flow(3)))
		runRules(t, []rule{
			{name: "ambiguous", known: batch(p, q), batch: batch(tok(2, after(name(1)))), rules: never, want: dag.Ambiguous},
			{name: "differs", known: batch(p), batch: batch(tok(2, after(elsewhere(1)))), rules: never, want: dag.Differs},
			{name: "beyond the predecessor", known: batch(p, tok(2, in(flow(1)), after(to(p)))), batch: batch(tok(3, after(name(2)))), rules: never, judged: l2(tok(2, after(to(p))))},
		})
	})
}

func TestChainLevel(t *testing.T) {
	floor := func(l uint8) dag.Rules { r := rules(); r.MinLevel = l; return r }
	l1 := tok(1, unsigned)
	over := tok(2, after(to(l1)))
	far := tok(3, after(to(over)))
	low := func(p dag.Entry) dag.Judgement { return dag.Judgement{Lowest: 1, Partial: true, Preds: found(p)} }
	runRules(t, []rule{
		{name: "none, the token itself", batch: batch(l1), judged: dag.Judgement{Lowest: 1, Partial: true}},
		{name: "1, the token itself", batch: batch(l1), rules: floor(1), judged: dag.Judgement{Lowest: 1, Partial: true}},
		{name: "2, the token itself", batch: batch(l1), rules: floor(2), want: dag.ChainLevel},
		{name: "2, signed root", batch: batch(tok(4)), rules: floor(2), judged: l2()},
		{name: "3, signed root", batch: batch(tok(4)), rules: floor(3), want: dag.ChainLevel},
		{name: "none, a predecessor", known: batch(l1), batch: batch(over), judged: low(l1)},
		{name: "2, a predecessor", known: batch(l1), batch: batch(over), rules: floor(2), want: dag.ChainLevel},
		{name: "2, an ancestor", known: batch(l1, over), batch: batch(far), rules: floor(2), want: dag.ChainLevel},
		{name: "2, an ancestor in the batch", known: batch(l1), batch: batch(far, as(over, context)), rules: floor(2), want: dag.ChainLevel, index: 1},
		{name: "2, context", known: batch(l1), batch: batch(tok(4), as(over, context)), rules: floor(2), want: dag.ChainLevel, index: 1},
		{name: "2, known itself", known: batch(l1, over), batch: batch(over), rules: floor(2), want: dag.ChainLevel},
		{name: "2, one of two", known: batch(l1, over, tok(4)), batch: batch(tok(5, after(name(4), name(2)))), rules: floor(2), want: dag.ChainLevel},
		{name: "2, a missing one has no level", batch: batch(tok(5, after(name(9)), allowed)), rules: floor(2), judged: without(9)},
	})
}

func TestPartialAndLowestAreCarriedFar(t *testing.T) {
	const length = 2000
	l3 := func(e *dag.Entry) { e.Level = 3 }
	for _, tt := range []struct {
		name    string
		root    dag.Entry
		lowest  uint8
		partial bool
	}{
		{"complete", tok(1, l3), 3, false},
		{"signed", tok(1), 2, false},
		{"unsigned", tok(1, unsigned), 1, true},
		{"partial", tok(1, l3, after(name(1<<20)), allowed), 3, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory(t, dag.MemoryConfig{})
			admit(t, m, rules(), tt.root)
			last := tt.root
			for n := range uint64(length) {
				last = tok(n+2, l3, after(to(last)))
				j := admit(t, m, rules(), last)[0]
				if j.Lowest != tt.lowest || j.Partial != tt.partial || len(j.Missing) > 0 {
					t.Fatalf("token %d: lowest %d, partial %t, missing %v, want %d, %t, none", n+2, j.Lowest, j.Partial, j.Missing, tt.lowest, tt.partial)
				}
			}
			// As a message: newest first.
			var all []dag.Entry
			last = tt.root
			for n := range uint64(50) {
				last = tok(1<<10*(n+5), l3, after(to(last)))
				all = append([]dag.Entry{as(last, context)}, all...)
			}
			for n, j := range admit(t, m, rules(), all...) {
				if j.Lowest != tt.lowest || j.Partial != tt.partial {
					t.Errorf("token %d of the batch: lowest %d, partial %t", n, j.Lowest, j.Partial)
				}
			}
		})
	}
}

func TestUnsignedIsPartial(t *testing.T) {
	m := newMemory(t, dag.MemoryConfig{})
	p := tok(1)
	admit(t, m, rules(), p)
	for _, e := range batch(tok(2, unsigned), tok(3, unsigned, after(to(p)))) {
		if j := admit(t, m, rules(), e); !j[0].Partial {
			t.Errorf("Admit(%v) is not partial", e.Key)
		}
	}
}

func TestLatePredecessor(t *testing.T) {
	child, pred := tok(2, after(name(1))), tok(1)
	newest := tok(3, after(to(child)))
	known := func(t *testing.T) *dag.Memory {
		m := newMemory(t, dag.MemoryConfig{})
		if d := diff(without(1), admit(t, m, rules(), as(child, allowed))[0]); d != "" {
			t.Fatalf("before the predecessor (-want +got):\n%s", d)
		}
		if j := admit(t, m, rules(), newest)[0]; !j.Partial || len(j.Missing) > 0 {
			t.Fatalf("the newest is %+v", j)
		}
		admit(t, m, rules(), pred)
		return m
	}
	t.Run("does not change what was said", func(t *testing.T) {
		m := known(t)
		for _, e := range batch(newest, as(newest, context)) {
			if j := admit(t, m, rules(), e)[0]; !j.Partial {
				t.Errorf("the newest is %+v, want partial", j)
			}
		}
		if d := diff(without(1), admit(t, m, rules(), as(child, context))[0]); d != "" {
			t.Errorf("the child as context (-want +got):\n%s", d)
		}
		if j := admit(t, m, rules(), tok(4, after(to(child))))[0]; !j.Partial {
			t.Errorf("what comes after it is %+v, want partial", j)
		}
	})
	t.Run("is found when it is required", func(t *testing.T) {
		m := known(t)
		if d := diff(l2(pred), admit(t, m, rules(), child)[0]); d != "" {
			t.Errorf("the child again (-want +got):\n%s", d)
		}
		if j := admit(t, m, rules(), tok(4, after(to(child))))[0]; j.Partial {
			t.Errorf("what comes after it then is %+v, want complete", j)
		}
	})
	t.Run("is still required if it did not come", func(t *testing.T) {
		m := newMemory(t, dag.MemoryConfig{})
		admit(t, m, rules(), as(child, allowed))
		_, err := m.Admit(t.Context(), propose(batch(child), rules()))
		wantReason(t, err, dag.Missing)
	})
	t.Run("came with it", func(t *testing.T) {
		m := newMemory(t, dag.MemoryConfig{})
		admit(t, m, rules(), as(child, allowed))
		if d := diff(l2(pred), admit(t, m, rules(), as(pred, context), child)[1]); d != "" {
			t.Errorf("the child again (-want +got):\n%s", d)
		}
	})
}

// TestContextThenHead is about a token that was history first, where what is wrong with
// its edges is noted, and then is presented for itself: as a head it is refused whatever
// the policy says of missing ones (profile 3.6, 5.2).
func TestContextThenHead(t *testing.T) {
	p, other := tok(1), tok(1, by("b"))
	for _, tt := range []struct {
		name  string
		known []dag.Entry
		token dag.Entry
		want  dag.Reason
	}{
		{"differs", batch(p), tok(2, after(elsewhere(1))), dag.Differs},
		{"ambiguous", batch(p, other), tok(2, after(name(1))), dag.Ambiguous},
		{"ambiguous, one of two", batch(p, other, tok(3)), tok(2, after(name(3), name(1))), dag.Ambiguous},
	} {
		for _, policy := range []struct {
			name string
			mod  mod
		}{{"reject missing", func(*dag.Entry) {}}, {"allow partial", allowed}} {
			t.Run(fmt.Sprintf("%s, %s", tt.name, policy.name), func(t *testing.T) {
				m := newMemory(t, dag.MemoryConfig{})
				admit(t, m, rules(), tt.known...)
				admit(t, m, rules(), tok(9, after(to(tt.token))), as(tt.token, context))
				_, err := m.Check(t.Context(), propose(batch(as(tt.token, policy.mod)), rules()))
				wantReason(t, err, tt.want)
				_, err = m.Admit(t.Context(), propose(batch(as(tt.token, policy.mod)), rules()))
				wantReason(t, err, tt.want)
			})
		}
	}
}

func TestReasons(t *testing.T) {
	seen := map[string]dag.Reason{}
	for r := dag.Missing; r <= dag.Equivocation; r++ {
		s := r.String()
		if s == "" || s == "unknown" || seen[s] != 0 {
			t.Errorf("String() of %d = %q", r, s)
		}
		seen[s] = r
		if got := (&dag.Refusal{Reason: r}).Error(); got != "ect: graph: "+s {
			t.Errorf("Error() = %q", got)
		}
	}
	for _, r := range []dag.Reason{0, dag.Equivocation + 1, 255} {
		if got := r.String(); got != "unknown" {
			t.Errorf("String() of %d = %q", r, got)
		}
	}
}
