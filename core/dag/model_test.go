// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/id"
)

// model is the graph as one would write it down: all tokens in a map, and a look at all
// of them for each question. What the store drops is up to the store, within bounds.
type model struct {
	config dag.MemoryConfig
	nodes  map[dag.Key]*modelNode
	// last is when a group, by groupOf, was active for certain; maybe is when it may
	// have counted as active: something came after it, or found no room.
	last, maybe map[id.Workflow]int64
}

type modelNode struct {
	dag.Entry
	found   []id.Digest
	lowest  uint8
	partial bool
	cross   bool
}

func (n *modelNode) complete() bool { return !slices.Contains(n.found, id.Digest{}) }

// groupOf is what a token is dropped with; a token without a workflow is alone.
func groupOf(n *dag.Node) id.Workflow {
	if n.Workflow.Present {
		return n.Workflow
	}
	return id.Workflow{ID: id.UUID(n.Digest[:16])}
}

// modelRun is the judgement of one batch.
type modelRun struct {
	*model
	batch   []dag.Entry
	rules   dag.Rules
	nodes   []*modelNode
	walking []bool
	reasons map[dag.Reason]bool
}

func (m *model) judge(batch []dag.Entry, rules dag.Rules) *modelRun {
	r := &modelRun{
		model: m, batch: batch, rules: rules, reasons: map[dag.Reason]bool{},
		nodes: make([]*modelNode, len(batch)), walking: make([]bool, len(batch)),
	}
	for i, e := range batch {
		for _, o := range batch[:i] {
			if o.Key == e.Key && o.Digest != e.Digest {
				r.reasons[dag.Equivocation] = true
			}
		}
		if k := m.nodes[e.Key]; k != nil && k.Digest != e.Digest {
			r.reasons[dag.Equivocation] = true
		}
	}
	if len(r.reasons) > 0 {
		return r
	}
	for i := range batch {
		r.visit(i)
	}
	if len(r.reasons) > 0 {
		return r
	}
	for i := range batch {
		if k := m.nodes[batch[i].Key]; (k == nil || !k.complete()) && r.afterItself(r.nodes[i]) {
			r.reasons[dag.Cycle] = true
		}
	}
	return r
}

// all returns every token that is known or in the batch, once.
func (r *modelRun) all() map[id.Digest]*modelNode {
	all := map[id.Digest]*modelNode{}
	for _, n := range r.model.nodes {
		all[n.Digest] = n
	}
	for i := range r.batch {
		if r.nodes[i] != nil {
			all[r.batch[i].Digest] = r.nodes[i]
		}
	}
	return all
}

func (r *modelRun) visit(i int) {
	if r.nodes[i] != nil {
		return
	}
	if r.walking[i] {
		r.reasons[dag.Cycle] = true
		r.reasons[dag.ChainLevel] = r.rules.MinLevel > 0
		return
	}
	r.walking[i] = true
	e := r.batch[i]
	n := &modelNode{Entry: e, found: make([]id.Digest, len(e.Preds)), lowest: e.Level, partial: !e.Key.Signed}
	known := r.model.nodes[e.Key]
	if known != nil && (known.complete() || !e.Head) {
		n.found, n.lowest, n.partial = known.found, known.lowest, known.partial
		for _, d := range n.found {
			if p := r.all()[d]; p != nil {
				r.leaves(n, p)
			}
		}
	} else {
		for k, edge := range e.Preds {
			r.edge(n, k, edge)
		}
		if known != nil {
			n.lowest = min(n.lowest, known.lowest)
		}
	}
	if n.lowest < r.rules.MinLevel {
		r.reasons[dag.ChainLevel] = true
	}
	r.nodes[i] = n
}

func (r *modelRun) edge(n *modelNode, k int, edge dag.Edge) {
	for i := range r.batch {
		if r.batch[i].Digest != n.Digest && edge.Means(&n.Node, &r.batch[i].Node) {
			r.visit(i)
		}
	}
	var could []*modelNode
	named := false
	unbound := dag.Edge{Task: edge.Task}
	for _, o := range r.all() {
		named = named || !n.Own && unbound.Means(&n.Node, &o.Node)
		if edge.Means(&n.Node, &o.Node) {
			could = append(could, o)
		}
	}
	for i := range r.batch {
		named = named || !n.Own && r.batch[i].Digest != n.Digest && unbound.Means(&n.Node, &r.batch[i].Node)
	}
	switch {
	case len(could) > 1 && n.Head:
		r.reasons[dag.Ambiguous] = true
	case len(could) == 0 && edge.Bound && named && n.Head:
		r.reasons[dag.Differs] = true
	case len(could) == 0 && (!edge.Bound || !named) && n.Required:
		r.reasons[dag.Missing] = true
	case len(could) != 1:
		n.partial = true
	default:
		p := could[0]
		if p.IssuedAt > n.IssuedAt+r.rules.Skew {
			r.reasons[dag.TooLate] = true
		}
		r.leaves(n, p)
		n.found[k], n.lowest, n.partial = p.Digest, min(n.lowest, p.lowest), n.partial || p.partial
	}
}

func (r *modelRun) leaves(n, pred *modelNode) {
	if n.Workflow == pred.Workflow {
		return
	}
	n.cross = true
	if r.rules.Cross == nil || !r.rules.Cross(&pred.Node, &n.Node) {
		r.reasons[dag.CrossWorkflow] = true
	}
}

// afterItself tells whether n is its own ancestor, or an ancestor could mean it. An edge
// that led nowhere leads to what came since, if that is one token.
func (r *modelRun) afterItself(n *modelNode) bool {
	all, seen := r.all(), map[id.Digest]bool{}
	var walk func(*modelNode) bool
	walk = func(at *modelNode) bool {
		for k, d := range at.found {
			if d == (id.Digest{}) {
				d = since(all, at, at.Preds[k])
			}
			p := all[d]
			if p == nil || seen[d] {
				continue
			}
			seen[d] = true
			if p.Digest == n.Digest {
				return true
			}
			for k, e := range p.Preds {
				if p.found[k] == (id.Digest{}) && e.Means(&p.Node, &n.Node) {
					return true
				}
			}
			if walk(p) {
				return true
			}
		}
		return false
	}
	return walk(n)
}

func since(all map[id.Digest]*modelNode, from *modelNode, e dag.Edge) (found id.Digest) {
	for d, n := range all {
		if !e.Means(&from.Node, &n.Node) {
			continue
		}
		if found != (id.Digest{}) {
			return id.Digest{}
		}
		found = d
	}
	return found
}

func (r *modelRun) judgements() []dag.Judgement {
	js := make([]dag.Judgement, len(r.nodes))
	for i, n := range r.nodes {
		js[i] = dag.Judgement{Lowest: n.lowest, Partial: n.partial, Preds: n.found, Cross: n.cross}
		for k, d := range n.found {
			if d == (id.Digest{}) {
				js[i].Missing = append(js[i].Missing, n.Preds[k].Task)
			}
		}
	}
	return js
}

// active notes which groups may count as active for the batch's sake.
func (r *modelRun) active(now int64) {
	for _, n := range r.nodes {
		r.maybe[groupOf(&n.Node)] = now
		for _, d := range n.found {
			if p := r.all()[d]; p != nil {
				r.maybe[groupOf(&p.Node)] = now
			}
		}
	}
}

// room returns how many tokens there would be at least, and the limits, if all that may
// be dropped was.
func (r *modelRun) room(now int64) (tasks, unsigned, limit, unsignedLimit int) {
	busy := map[id.Workflow]bool{}
	fresh, own := map[dag.Key]bool{}, true
	for i := range r.batch {
		busy[groupOf(&r.batch[i].Node)] = true
		if r.model.nodes[r.batch[i].Key] == nil && !fresh[r.batch[i].Key] {
			fresh[r.batch[i].Key] = true
			own = own && r.batch[i].Own
		}
	}
	for k := range fresh {
		if tasks++; !k.Signed {
			unsigned++
		}
	}
	for k, n := range r.model.nodes {
		if g := groupOf(&n.Node); busy[g] || now-max(r.last[g], r.maybe[g]) <= int64(r.config.Quiet/time.Second) {
			if tasks++; !k.Signed {
				unsigned++
			}
		}
	}
	limit, unsignedLimit = r.config.MaxTasks, r.config.MaxUnsigned
	if own {
		limit += max(limit/8, 1)
		unsignedLimit += max(unsignedLimit/8, 1)
	}
	return tasks, unsigned, limit, unsignedLimit
}

// keep takes the batch in, and what the store dropped out, if it was allowed to.
func (r *modelRun) keep(s *dag.Memory, now int64) error {
	busy := map[id.Workflow]bool{}
	for i, n := range r.nodes {
		g := groupOf(&n.Node)
		busy[g] = true
		if k := r.model.nodes[n.Key]; k != nil {
			k.found, k.lowest, k.partial = n.found, n.lowest, n.partial
		} else {
			r.model.nodes[n.Key] = r.nodes[i]
		}
	}
	held, gone := map[id.Workflow]bool{}, map[id.Workflow]bool{}
	for _, n := range r.model.nodes {
		g := groupOf(&n.Node)
		if s.Has(n.Key) {
			held[g] = true
		} else {
			gone[g] = true
		}
	}
	for g := range gone {
		switch {
		case held[g]:
			return fmt.Errorf("part of workflow %v was dropped", g)
		case busy[g]:
			return fmt.Errorf("workflow %v was dropped, which the batch belongs to", g)
		case now-r.last[g] <= int64(r.config.Quiet/time.Second):
			return fmt.Errorf("workflow %v was dropped, which was active %d s ago", g, now-r.last[g])
		}
		delete(r.last, g)
	}
	for g := range busy {
		r.last[g] = now
	}
	for k, n := range r.model.nodes {
		if gone[groupOf(&n.Node)] {
			delete(r.model.nodes, k)
		}
	}
	return nil
}

// acyclic looks at the whole graph.
func (m *model) acyclic() error {
	r := &modelRun{model: m}
	all, state := r.all(), map[id.Digest]int{}
	var walk func(id.Digest) bool
	walk = func(d id.Digest) bool {
		if all[d] == nil || state[d] == 2 {
			return true
		}
		if state[d] == 1 {
			return false
		}
		state[d] = 1
		for _, p := range all[d].found {
			if !walk(p) {
				return false
			}
		}
		state[d] = 2
		return true
	}
	for d := range all {
		if !walk(d) {
			return errors.New("the graph has a cycle")
		}
	}
	return nil
}

// modelPair is a store and its model on one clock, and the tokens they were shown.
type modelPair struct {
	store *dag.Memory
	model *model
	clock *clock
	r     *rand.Rand
	pool  []dag.Entry
	// waiting are proposals that were checked, for what comes in between.
	waiting []*dag.Proposal
	// tasks is from how many task ids to draw, flows from how many workflows.
	tasks, flows int
	counts       map[string]int
}

func (p *modelPair) token() dag.Entry {
	if len(p.pool) > 0 && p.r.IntN(3) == 0 {
		return p.pool[len(p.pool)-1-p.r.IntN(min(len(p.pool), 40))]
	}
	n := uint64(p.r.IntN(p.tasks))
	mods := []mod{by(string(rune('a' + p.r.IntN(8)/6))), seconds(int64(p.r.IntN(45))), in(flow(uint64(p.r.IntN(p.flows))))}
	if p.r.IntN(6) == 0 {
		mods = append(mods, unsigned)
	}
	if p.r.IntN(4) == 0 {
		mods = append(mods, alone)
	}
	if p.r.IntN(12) == 0 {
		mods = append(mods, saying("other"))
	}
	named := map[id.UUID]bool{task(n): true}
	for range p.r.IntN(4) {
		var e dag.Edge
		switch k := p.r.IntN(10); {
		case k < 5 || len(p.pool) == 0:
			e = name(uint64(p.r.IntN(p.tasks)))
		case k < 9:
			e = to(p.pool[len(p.pool)-1-p.r.IntN(min(len(p.pool), 40))])
		default:
			e = elsewhere(uint64(p.r.IntN(p.tasks)))
		}
		if !named[e.Task] {
			named[e.Task] = true
			mods = append(mods, after(e))
		}
	}
	e := tok(n, mods...)
	p.pool = append(p.pool, e)
	return e
}

// propose makes a proposal of tokens of the pool, or new ones.
func (p *modelPair) propose() *dag.Proposal {
	var batch []dag.Entry
	for range 1 + p.r.IntN(8)/5 + p.r.IntN(8)/7*p.r.IntN(4) {
		e := p.token()
		if slices.ContainsFunc(batch, func(o dag.Entry) bool { return o.Digest == e.Digest }) {
			continue // equal tokens of a message count once (profile 4.1)
		}
		e.Head = p.r.IntN(4) > 0
		e.Required = e.Head && p.r.IntN(4) == 0
		batch = append(batch, e)
	}
	if p.r.IntN(10) == 0 {
		for n := range batch {
			batch[n].Own = true
		}
	}
	rules := dag.Rules{Skew: 30}
	if p.r.IntN(3) > 0 {
		rules.Cross = func(from, to *dag.Node) bool { return from.Workflow.ID[15]+to.Workflow.ID[15] != 3 }
	}
	if p.r.IntN(10) == 0 {
		rules.MinLevel = 2
	}
	return propose(batch, rules)
}

func (p *modelPair) check(t *testing.T, q *dag.Proposal) error {
	run := p.model.judge(q.Batch, q.Rules)
	got, err := p.store.Check(t.Context(), q)
	return p.compare("Check", run, got, err)
}

// step checks a proposal that may wait, or admits one that has waited, or one that was
// checked just now, or not at all.
func (p *modelPair) step(t *testing.T) error {
	if p.r.IntN(4) == 0 {
		p.clock.add(time.Duration(p.r.IntN(40)) * time.Second)
	}
	q := p.propose()
	switch waits := len(p.waiting); {
	case p.r.IntN(3) == 0:
		p.waiting = append(p.waiting, q)
		return p.check(t, q)
	case waits > 0 && p.r.IntN(2) == 0:
		n := max(0, waits-1-p.r.IntN(10))
		q = p.waiting[n]
		p.waiting = slices.Delete(p.waiting, n, n+1)
		if q.Basis != nil {
			p.counts["waited"]++
		}
	case p.r.IntN(2) == 0:
		if err := p.check(t, q); err != nil {
			return err
		}
	}
	batch, rules := q.Batch, q.Rules
	now := p.clock.unix.Load()
	run := p.model.judge(batch, rules)
	got, err := p.store.Admit(t.Context(), q)
	if errors.Is(err, dag.ErrFull) {
		p.counts["full"]++
		run.active(now)
		if tasks, unsigned, limit, unsignedLimit := run.room(now); len(run.reasons) > 0 || tasks <= limit && unsigned <= unsignedLimit {
			return fmt.Errorf("Admit: %w, but %d tokens, %d unsigned, are no more than %d, %d; the model says %v", err, tasks, unsigned, limit, unsignedLimit, run.reasons)
		}
		// Room may have been made all the same.
		return (&modelRun{model: p.model}).keep(p.store, now)
	}
	if err := p.compare("Admit", run, got, err); err != nil {
		return err
	}
	if err != nil {
		return nil
	}
	p.counts["admitted"]++
	_, _, limit, unsignedLimit := run.room(now)
	run.active(now)
	if err := run.keep(p.store, now); err != nil {
		return err
	}
	tasks, unsigned := p.store.Len()
	if tasks != len(p.model.nodes) {
		return fmt.Errorf("the store holds %d tokens, want %d", tasks, len(p.model.nodes))
	}
	if most := p.model.config.MaxTasks + max(p.model.config.MaxTasks/8, 1); tasks > max(limit, most) || unsigned > unsignedLimit+p.model.config.MaxUnsigned {
		return fmt.Errorf("the store holds %d tokens, %d unsigned", tasks, unsigned)
	}
	return p.model.acyclic()
}

// compare holds what the store says against the model. Where several things are wrong,
// any of them may be named.
func (p *modelPair) compare(op string, run *modelRun, got []dag.Judgement, err error) error {
	if len(run.reasons) == 0 {
		if err != nil {
			return fmt.Errorf("%s: %w, want none", op, err)
		}
		if d := diff(run.judgements(), got); d != "" {
			return fmt.Errorf("%s (-want +got):\n%s", op, d)
		}
		return nil
	}
	r, ok := errors.AsType[*dag.Refusal](err)
	if !ok || !run.reasons[r.Reason] {
		return fmt.Errorf("%s: %v, want one of %v", op, err, run.reasons) //nolint:errorlint // may be nil
	}
	p.counts[r.Reason.String()]++
	return nil
}

func TestMemoryLikeModel(t *testing.T) {
	steps := 1000
	if testing.Short() {
		steps = 500
	}
	for _, tt := range []struct {
		name         string
		config       dag.MemoryConfig
		tasks, flows int
	}{
		{"tight", dag.MemoryConfig{MaxTasks: 12, MaxUnsigned: 3, Quiet: time.Minute}, 20, 4},
		{"dense", dag.MemoryConfig{MaxTasks: 1000, MaxUnsigned: 1000, Quiet: 5 * time.Minute}, 12, 2},
		{"middle", dag.MemoryConfig{MaxTasks: 60, MaxUnsigned: 10, Quiet: 5 * time.Minute}, 60, 6},
		{"wide", dag.MemoryConfig{MaxTasks: 1000, MaxUnsigned: 300, Quiet: 20 * time.Minute}, 500, 30},
	} {
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("%s/seed=%d", tt.name, seed), func(t *testing.T) {
				t.Parallel()
				c := newClock()
				config := tt.config
				config.Now = c.Now
				p := &modelPair{
					store: newMemory(t, config), clock: c, r: rand.New(rand.NewPCG(seed, 11)), tasks: tt.tasks, flows: tt.flows,
					model:  &model{config: config, nodes: map[dag.Key]*modelNode{}, last: map[id.Workflow]int64{}, maybe: map[id.Workflow]int64{}},
					counts: map[string]int{},
				}
				for n := range steps {
					if err := p.step(t); err != nil {
						t.Fatalf("step %d: %v", n, err)
					}
					if n%50 == 0 {
						if err := p.store.Sound(); err != nil {
							t.Fatalf("step %d: %v", n, err)
						}
					}
				}
				t.Log(p.counts)
			})
		}
	}
}
