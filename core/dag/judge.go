// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag

import (
	"slices"

	"github.com/go-ect/ect/core/id"
)

// record is a node and what was found out about it.
type record struct {
	Node
	lowest  uint8
	partial bool
	// found has the digest of each predecessor, zero where none was found.
	found []id.Digest
	own   bool
	group *group
	// state and cross belong to the walk over a batch.
	state walkState
	cross bool
	// twin is the place among the tokens of the same task id and level class.
	twin int
}

// unresolved tells whether r names task by an edge that led nowhere and could mean n.
func (r *record) unresolved(n *Node) bool {
	for i, e := range r.Preds {
		if r.found[i] == (id.Digest{}) && e.Task == n.Key.Task && e.Means(&r.Node, n) {
			return true
		}
	}
	return false
}

// complete tells whether every edge of r led somewhere.
func (r *record) complete() bool {
	return !slices.Contains(r.found, id.Digest{})
}

// Means tells whether an edge of from can mean to (profile 3.6).
func (e Edge) Means(from, to *Node) bool {
	if e.Task != to.Key.Task {
		return false
	}
	if e.Bound {
		return to.Digest.Short() == e.Digest
	}
	return to.Key.Signed || !from.Key.Signed
}

// view is the part of a store that the rules read.
type view interface {
	byKey(Key) *record
	byDigest(id.UUID, id.Short) *record
	// candidates returns what an edge of from could mean: nothing, one token, or two of
	// several, which is as many as it takes to be ambiguous.
	candidates(from *Node, e Edge) (first, second *record)
	// names tells whether some token names the task id as a predecessor.
	names(id.UUID) bool
}

// judge is the walk over one batch.
type judge struct {
	view  view
	batch []Entry
	rules Rules
	out   []record
	// walked and edged count ancestors, and edges looked at, over the whole batch.
	walked, edged int
}

// edgesPerWalk is how many edges may be looked at for each ancestor that may be walked.
const edgesPerWalk = 10

type walkState uint8

const (
	unseen walkState = iota
	walking
	judged
)

// judgeBatch holds every entry against the rules. Nothing is stored.
func judgeBatch(v view, batch []Entry, rules Rules) (*judge, error) {
	if rules.MaxWalk == 0 {
		rules.MaxWalk = DefaultMaxWalk
	}
	j := &judge{view: v, batch: batch, rules: rules, out: make([]record, len(batch))}
	for i := range batch {
		if err := j.equivocates(i); err != nil {
			return nil, err
		}
	}
	for i := range batch {
		if err := j.visit(i); err != nil {
			return nil, err
		}
	}
	for i := range batch {
		if err := j.acyclic(i); err != nil {
			return nil, err
		}
	}
	return j, nil
}

func (j *judge) refuse(i int, r Reason) error { return &Refusal{Reason: r, Index: i} }

// equivocates looks for another token of the same issuer, class and task id (profile 5.1).
func (j *judge) equivocates(i int) error {
	n := &j.batch[i].Node
	if known := j.view.byKey(n.Key); known != nil && known.Digest != n.Digest {
		return &Refusal{Reason: Equivocation, Index: i, First: known.Node}
	}
	for o := range i {
		if b := &j.batch[o].Node; b.Key == n.Key && b.Digest != n.Digest {
			return &Refusal{Reason: Equivocation, Index: i, First: *b}
		}
	}
	return nil
}

// visit judges entry i after the entries that it comes after.
func (j *judge) visit(i int) error {
	switch j.out[i].state {
	case judged:
		return nil
	case walking:
		return j.refuse(i, Cycle)
	}
	e := &j.batch[i]
	r := &j.out[i]
	*r = record{Node: e.Node, lowest: e.Level, partial: !e.Key.Signed, found: make([]id.Digest, len(e.Preds)), own: e.Own, state: walking}
	known := j.view.byKey(e.Key)
	if known != nil && (known.complete() || !e.Head) {
		// Its edges were judged when it came first; its ancestors may be gone since.
		r.lowest, r.partial, r.found = known.lowest, known.partial, known.found
		if err := j.leaves(i); err != nil {
			return err
		}
	} else if err := j.edges(i); err != nil {
		return err
	}
	if known != nil {
		r.lowest = min(r.lowest, known.lowest) // what is forgotten since was known once
	}
	if r.lowest < j.rules.MinLevel {
		return j.refuse(i, ChainLevel)
	}
	r.state = judged
	return nil
}

// edges resolves the predecessors of entry i and takes over what is known of them.
func (j *judge) edges(i int) error {
	e, r := &j.batch[i], &j.out[i]
	for n, edge := range e.Preds {
		pred, reason, err := j.resolve(i, edge)
		if err != nil {
			return err
		}
		if reason != 0 {
			if reason == Missing && e.Required || reason != Missing && e.Head {
				return j.refuse(i, reason)
			}
			r.partial = true
			continue
		}
		if pred.IssuedAt > e.IssuedAt+j.rules.Skew {
			return j.refuse(i, TooLate)
		}
		if pred.Workflow != e.Workflow {
			if err := j.admit(i, pred); err != nil {
				return err
			}
		}
		r.found[n] = pred.Digest
		r.lowest = min(r.lowest, pred.lowest)
		r.partial = r.partial || pred.partial
	}
	return nil
}

// resolve finds the one token that an edge of entry i means, or the reason why there
// is none. One that came in the same batch is judged first.
func (j *judge) resolve(i int, edge Edge) (*record, Reason, error) {
	from := &j.batch[i].Node
	found, second := j.view.candidates(from, edge)
	ambiguous := second != nil
	for o := range j.batch {
		if o == i || !edge.Means(from, &j.batch[o].Node) {
			continue
		}
		if err := j.visit(o); err != nil {
			return nil, 0, err
		}
		ambiguous = ambiguous || found != nil && found.Digest != j.out[o].Digest
		found = &j.out[o]
	}
	switch {
	case ambiguous:
		return nil, Ambiguous, nil
	case found != nil:
		return found, 0, nil
	case edge.Bound && !j.batch[i].Own && j.named(from, edge.Task):
		return nil, Differs, nil
	}
	return nil, Missing, nil
}

// named tells whether a task id is borne by a token, known or in the batch, that from
// could mean if it did not say by digest which one it means: an unsigned token, which
// anybody can make, is not held against a signed one.
func (j *judge) named(from *Node, task id.UUID) bool {
	edge := Edge{Task: task}
	for o := range j.batch {
		if n := &j.batch[o].Node; n != from && edge.Means(from, n) {
			return true
		}
	}
	known, _ := j.view.candidates(from, edge)
	return known != nil
}

// leaves asks the policy again for the edges of a known token that leave the workflow.
func (j *judge) leaves(i int) error {
	r := &j.out[i]
	for n, d := range r.found {
		p := j.find(r.Preds[n].Task, d)
		if p == nil || p.Workflow == r.Workflow {
			continue
		}
		if err := j.admit(i, p); err != nil {
			return err
		}
	}
	return nil
}

// admit asks the policy for one edge that leaves the workflow.
func (j *judge) admit(i int, pred *record) error {
	if j.rules.Cross == nil || !j.rules.Cross(&pred.Node, &j.batch[i].Node) {
		return j.refuse(i, CrossWorkflow)
	}
	j.out[i].cross = true
	return nil
}

// find returns the token of a task id with a digest, nil if it is not known any more.
func (j *judge) find(task id.UUID, digest id.Digest) *record {
	if digest == (id.Digest{}) {
		return nil
	}
	for o := range j.out {
		if j.out[o].state == judged && j.out[o].Digest == digest {
			return &j.out[o]
		}
	}
	if r := j.view.byDigest(task, digest.Short()); r != nil && r.Digest == digest {
		return r
	}
	return nil
}

// acyclic walks the ancestors of entry i if it could come after itself: something known
// names it, or it is known itself and its edges changed.
func (j *judge) acyclic(i int) error {
	r := &j.out[i]
	known := j.view.byKey(r.Key)
	if known != nil && known.complete() || known == nil && !j.view.names(r.Key.Task) {
		return nil
	}
	seen := map[id.Digest]struct{}{}
	queue := []*record{r}
	for len(queue) > 0 {
		at := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if j.edged += len(at.found); j.edged > edgesPerWalk*j.rules.MaxWalk {
			return j.refuse(i, WalkLimit)
		}
		for n, d := range at.found {
			p := j.find(at.Preds[n].Task, d)
			if d == (id.Digest{}) {
				if p = j.since(at, at.Preds[n]); p != nil {
					d = p.Digest
				}
			}
			if _, again := seen[d]; again || d == (id.Digest{}) {
				continue
			}
			seen[d] = struct{}{}
			if j.walked++; j.walked > j.rules.MaxWalk {
				return j.refuse(i, WalkLimit)
			}
			if p == nil {
				continue // dropped with its whole workflow
			}
			if p.Key == r.Key || p.unresolved(&r.Node) {
				return j.refuse(i, Cycle)
			}
			queue = append(queue, p)
		}
	}
	return nil
}

// since returns the one token that an edge which led nowhere could mean by now.
func (j *judge) since(from *record, e Edge) *record {
	found, second := j.view.candidates(&from.Node, e)
	several := second != nil
	for o := range j.out {
		if e.Means(&from.Node, &j.out[o].Node) {
			several = several || found != nil && found.Digest != j.out[o].Digest
			found = &j.out[o]
		}
	}
	if several {
		return nil
	}
	return found
}

// judgements turns the outcome of the walk into what callers see.
func (j *judge) judgements() []Judgement {
	js := make([]Judgement, len(j.out))
	for i := range j.out {
		r := &j.out[i]
		js[i] = Judgement{Lowest: r.lowest, Partial: r.partial, Preds: r.found, Cross: r.cross}
		if r.complete() {
			continue
		}
		js[i].Missing = make([]id.UUID, 0, len(r.found))
		for n, d := range r.found {
			if d == (id.Digest{}) {
				js[i].Missing = append(js[i].Missing, r.Preds[n].Task)
			}
		}
	}
	return js
}
