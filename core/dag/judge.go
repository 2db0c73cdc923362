// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag

import (
	"slices"

	"github.com/go-ect/ect/core/id"
)

// token is a token as it was judged, whether it is kept or came just now.
type token struct {
	*Node
	*outcome
}

// token returns the token of a place.
func (m *Memory) token(place uint32) token {
	r := m.tasks.records.at(place)
	return token{&r.Node, &r.outcome}
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

// unresolved tells whether t names n by an edge that led nowhere.
func (t token) unresolved(n *Node) bool {
	for i, e := range t.Preds {
		if t.found[i] == (id.Digest{}) && e.Means(t.Node, n) {
			return true
		}
	}
	return false
}

// verdict is what comes of one entry.
type verdict struct {
	*Entry
	outcome
	// self is its own task id, refs those of its edges.
	self  ref
	refs  []ref
	cross bool
	state walkState
	// into is the group it goes into, if it is known.
	into uint32
}

func (v *verdict) token() token { return token{&v.Node, &v.outcome} }

// judge is the walk over one batch, with the store locked.
type judge struct {
	m     *Memory
	batch []Entry
	rules Rules
	out   []verdict
	says  []Judgement
	// walked tells that ancestors were walked, so that more counts than out refers to.
	// ancestors and edged count what was looked at, over the whole batch.
	walked           bool
	ancestors, edged int
	// few is room for a message of one token with few edges.
	few struct {
		out   [1]verdict
		says  [1]Judgement
		refs  [2]ref
		found [2]id.Digest
	}
}

// edgesPerWalk is how many edges may be looked at for each ancestor that may be walked.
const edgesPerWalk = 10

type walkState uint8

const (
	unseen walkState = iota
	walking
	judged
)

// judge holds every entry of a proposal against the rules. Nothing is stored.
func (m *Memory) judge(p *Proposal) (*judge, error) {
	j := &judge{m: m, batch: p.Batch, rules: p.Rules}
	if j.rules.MaxWalk == 0 {
		j.rules.MaxWalk = DefaultMaxWalk
	}
	j.makeOut()
	for i := range j.batch {
		if err := j.equivocates(i); err != nil {
			return nil, err
		}
	}
	for i := range j.batch {
		if err := j.visit(i); err != nil {
			return nil, err
		}
	}
	for i := range j.batch {
		if err := j.acyclic(i); err != nil {
			return nil, err
		}
	}
	j.say()
	return j, nil
}

// makeOut makes room for the outcome.
func (j *judge) makeOut() {
	edges := 0
	for i := range j.batch {
		edges += len(j.batch[i].Preds)
	}
	refs, found := j.few.refs[:], j.few.found[:]
	if edges > len(refs) {
		refs, found = make([]ref, edges), make([]id.Digest, edges)
	}
	j.out, j.says = j.few.out[:], j.few.says[:]
	if len(j.batch) != 1 {
		j.out, j.says = make([]verdict, len(j.batch)), make([]Judgement, len(j.batch))
	}
	for i := range j.batch {
		v, n := &j.out[i], len(j.batch[i].Preds)
		v.Entry = &j.batch[i]
		v.refs, refs = refs[:n:n], refs[n:]
		v.found, found = found[:n:n], found[n:]
	}
}

func (j *judge) refuse(i int, r Reason) error { return &Refusal{Reason: r, Index: i} }

// equivocates looks for another token of the same issuer, class and task id (profile 5.1).
func (j *judge) equivocates(i int) error {
	v := &j.out[i]
	v.self = j.m.refer(v.Key.Task)
	if v.self.meant = j.m.tasks.byKey(v.self.task, &v.Key); v.self.meant != 0 {
		if known := j.m.token(v.self.meant); known.Digest != v.Digest {
			first := *known.Node
			first.Preds = slices.Clone(first.Preds) // the store's own may change
			return &Refusal{Reason: Equivocation, Index: i, First: first}
		}
	}
	for o := range i {
		if b := &j.batch[o].Node; b.Key == v.Key && b.Digest != v.Digest {
			return &Refusal{Reason: Equivocation, Index: i, First: *b}
		}
	}
	return nil
}

// visit judges entry i after the entries that it comes after.
func (j *judge) visit(i int) error {
	v := &j.out[i]
	switch v.state {
	case judged:
		return nil
	case walking:
		return j.refuse(i, Cycle)
	}
	v.state = walking
	v.lowest, v.partial = v.Level, !v.Key.Signed
	if v.self.meant == 0 {
		if err := j.edges(i); err != nil {
			return err
		}
	} else {
		known := j.m.token(v.self.meant)
		if known.complete() || !v.Head {
			// Its edges were judged when it came first; its ancestors may be gone since.
			v.lowest, v.partial = known.lowest, known.partial
			copy(v.found, known.found)
			if err := j.leaves(i); err != nil {
				return err
			}
		} else if err := j.edges(i); err != nil {
			return err
		}
		v.lowest = min(v.lowest, known.lowest) // what is forgotten since was known once
	}
	if v.lowest < j.rules.MinLevel {
		return j.refuse(i, ChainLevel)
	}
	v.state = judged
	return nil
}

// edges resolves the predecessors of entry i and takes over what is known of them.
func (j *judge) edges(i int) error {
	v := &j.out[i]
	for n := range v.Preds {
		pred, reason, err := j.resolve(i, n)
		if err != nil {
			return err
		}
		if reason != 0 {
			if reason == Missing && v.Required || reason != Missing && v.Head {
				return j.refuse(i, reason)
			}
			v.partial = true
			continue
		}
		if pred.IssuedAt > v.IssuedAt+j.rules.Skew {
			return j.refuse(i, TooLate)
		}
		if pred.Workflow != v.Workflow {
			if err := j.admit(i, pred); err != nil {
				return err
			}
		}
		v.found[n] = pred.Digest
		v.lowest = min(v.lowest, pred.lowest)
		v.partial = v.partial || pred.partial
	}
	return nil
}

// resolve finds the one token that edge n of entry i means, or the reason why there is
// none. One that came in the same batch is judged first.
func (j *judge) resolve(i, n int) (found token, _ Reason, _ error) {
	from := &j.batch[i].Node
	edge, r := from.Preds[n], &j.out[i].refs[n]
	*r = j.m.refer(edge.Task)
	known, second := j.m.tasks.candidates(r.task, from, edge)
	ambiguous := second != 0
	if known != 0 {
		found = j.m.token(known)
	}
	for o := range j.batch {
		if o == i || !edge.Means(from, &j.batch[o].Node) {
			continue
		}
		if err := j.visit(o); err != nil {
			return token{}, 0, err
		}
		ambiguous = ambiguous || found.Node != nil && found.Digest != j.out[o].Digest
		found = j.out[o].token()
	}
	switch {
	case ambiguous:
		return token{}, Ambiguous, nil
	case found.Node != nil:
		r.meant = known
		return found, 0, nil
	case edge.Bound && !j.batch[i].Own && j.named(from, edge.Task, r.task):
		return token{}, Differs, nil
	}
	return token{}, Missing, nil
}

// named tells whether a task id is borne by a token, known or in the batch, that from
// could mean if it did not say by digest which one it means: an unsigned token, which
// anybody can make, is not held against a signed one.
func (j *judge) named(from *Node, u id.UUID, place uint32) bool {
	edge := Edge{Task: u}
	for o := range j.batch {
		if n := &j.batch[o].Node; n != from && edge.Means(from, n) {
			return true
		}
	}
	known, _ := j.m.tasks.candidates(place, from, edge)
	return known != 0
}

// leaves asks the policy again for the edges of a known token that leave the workflow.
func (j *judge) leaves(i int) error {
	v := &j.out[i]
	for n, d := range v.found {
		r := &v.refs[n]
		*r = j.m.refer(v.Preds[n].Task)
		if d == (id.Digest{}) {
			continue
		}
		r.meant = j.m.tasks.whole(r.task, d)
		if p := j.token(d, r.meant); p.Node != nil && p.Workflow != v.Workflow {
			if err := j.admit(i, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// token returns the entry of a digest among those judged so far, or else the token of a
// place, which may be 0 for none.
func (j *judge) token(d id.Digest, place uint32) token {
	for o := range j.out {
		if v := &j.out[o]; v.state == judged && v.Digest == d {
			return v.token()
		}
	}
	if place == 0 {
		return token{}
	}
	return j.m.token(place)
}

// admit asks the policy for one edge that leaves the workflow.
func (j *judge) admit(i int, pred token) error {
	if j.rules.Cross == nil || !j.rules.Cross(pred.Node, &j.batch[i].Node) {
		return j.refuse(i, CrossWorkflow)
	}
	j.out[i].cross = true
	return nil
}

// say turns the outcome into what callers see.
func (j *judge) say() {
	for i := range j.out {
		v := &j.out[i]
		j.says[i] = Judgement{Lowest: v.lowest, Partial: v.partial, Preds: v.found, Cross: v.cross}
		if v.complete() {
			continue
		}
		missing := make([]id.UUID, 0, len(v.found))
		for n, d := range v.found {
			if d == (id.Digest{}) {
				missing = append(missing, v.Preds[n].Task)
			}
		}
		j.says[i].Missing = missing
	}
}
