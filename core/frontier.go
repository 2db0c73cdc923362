// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"errors"

	"github.com/go-ect/ect/internal/ordered"
)

// frontier is the newest tokens that some code of a task has seen or issued and that
// nothing newer of it comes after. The task's lock guards it.
type frontier struct {
	task *Task
	// place is what a context on it holds.
	place position
	// from is where it began, and where it stands until something was done on it.
	from  *stand
	moved bool
	links ordered.Set[Digest, *link]
	// now is where it stands, nil until that is asked for again.
	now *stand
	// passed has the digests of what left, so that joining a branch takes it from the
	// parent as well.
	passed map[Digest]struct{}
	// parent is where a branch began, nil for the task's own frontier.
	parent *frontier
	// ended tells that a branch was joined.
	ended bool
}

// stand is where code stands in a task at one moment. Branches that begin there share
// it, so that join steps are issued once for all of them. The task's lock guards it.
type stand struct {
	// links are the newest tokens, or the join steps that took their place.
	links []*link
	joins []*link
}

func (t *Task) newFrontier(parent *frontier, from *stand) *frontier {
	f := new(frontier)
	f.begin(t, parent, from)
	return f
}

// begin makes f a frontier of a task.
func (f *frontier) begin(t *Task, parent *frontier, from *stand) {
	f.task, f.parent, f.from = t, parent, from
	f.place = position{task: t, frontier: f, received: t.received}
}

// standing is the frontier itself, or where a branch that was joined went: what comes
// late on a branch still finds its place.
func (f *frontier) standing() *frontier {
	for f.ended {
		f = f.parent
	}
	return f
}

// stand returns where the frontier stands.
func (f *frontier) stand() *stand {
	if !f.moved {
		return f.from
	}
	if f.now == nil {
		f.now = &stand{links: f.links.Values()}
	}
	return f.now
}

// move makes the frontier one that can change.
func (f *frontier) move() {
	f.now = nil
	if f.moved {
		return
	}
	f.moved = true
	for _, l := range f.from.links {
		f.links.Add(l.digest, l)
	}
}

// advance lets a token in and what it names out.
func (f *frontier) advance(l *link) {
	for _, p := range l.preds {
		f.pass(p.digest)
	}
	f.add(l)
}

func (f *frontier) add(l *link) {
	if _, gone := f.passed[l.digest]; !gone {
		f.move()
		f.links.Add(l.digest, l)
	}
}

// pass takes a token out: something newer comes after it.
func (f *frontier) pass(d Digest) {
	f.move()
	f.links.Remove(d)
	if f.passed == nil {
		f.passed = map[Digest]struct{}{}
	}
	f.passed[d] = struct{}{}
}

// knows tells whether a token is in the frontier or was.
func (f *frontier) knows(d Digest) bool {
	_, gone := f.passed[d]
	return gone || f.moved && f.links.Has(d)
}

// narrow lets the join steps of a stand take the place of what they join.
func (f *frontier) narrow(s *stand) {
	if len(s.joins) == 0 || f.from == s || f.knows(s.joins[len(s.joins)-1].digest) {
		return
	}
	for _, l := range s.joins {
		f.advance(l)
	}
}

// absorb joins a branch: what left the branch leaves, what is newest in it comes in.
func (f *frontier) absorb(b *frontier) {
	f.narrow(b.from)
	if !b.moved {
		return
	}
	for d := range b.passed {
		f.pass(d)
	}
	for _, l := range b.links.Values() {
		f.add(l)
	}
}

var errBranchJoined = errors.New("ect: the branch was joined already")

// usable says whether something may still be issued on a frontier.
func (t *Task) usable(f *frontier) error {
	switch {
	case t.finished:
		return ErrTaskFinished
	case f.ended:
		return errBranchJoined
	}
	return nil
}

// advance issues a token that comes after a frontier and takes its place there.
func (t *Task) advance(ctx context.Context, f *frontier, kind Kind, r IssueRequest) (*Issued, error) {
	preds, err := t.newest(ctx, f)
	if err != nil {
		return nil, err
	}
	i, l, err := t.issueAfter(ctx, kind, preds, r)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(f); err != nil {
		return nil, err
	}
	f.advance(l)
	return i, nil
}

// newest returns the frontier as it stands, no wider than MaxFrontier: where it is wider,
// it issues join steps, so that no token outgrows its limits however many calls one
// handler makes. One at a time does that in a task, and the others find it done.
func (t *Task) newest(ctx context.Context, f *frontier) ([]*link, error) {
	links, joining, err := t.narrowed(f)
	if err != nil || joining == nil {
		return links, err
	}
	select {
	case joining <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-joining }()
	t.mu.Lock()
	s := f.stand()
	t.mu.Unlock()
	err = t.joinSteps(ctx, s)
	t.mu.Lock()
	defer t.mu.Unlock()
	f.standing().narrow(s) // also where the last one failed: what was issued is not lost
	if err == nil {
		err = t.usable(f)
	}
	return s.links, err
}

// narrowed returns the frontier as it stands, or what to hold while join steps that it
// needs are issued.
func (t *Task) narrowed(f *frontier) (links []*link, joining chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(f); err != nil {
		return nil, nil, err
	}
	s := f.stand()
	if len(s.links) <= MaxFrontier {
		f.narrow(s)
		return s.links, nil, nil
	}
	if t.joining == nil {
		t.joining = make(chan struct{}, 1)
	}
	return nil, t.joining, nil
}

// joinAction is the `exec_act` of a step that stands for a frontier grown too wide.
const joinAction = "join"

// joinSteps issues join steps where a stand is wider than MaxFrontier, until the last one
// stands for all of it: what comes after it stays small, and so does the context that a
// peer needs to know all predecessors. Who calls it holds t.joining, or has the stand alone.
func (t *Task) joinSteps(ctx context.Context, s *stand) error {
	if len(s.links) <= MaxFrontier {
		return nil
	}
	for len(s.links) > 1 {
		n := min(len(s.links), MaxIssuedPred)
		_, l, err := t.issueAfter(ctx, KindJoin, s.links[:n:n], IssueRequest{Action: joinAction})
		if err != nil {
			return err
		}
		t.mu.Lock()
		s.links, s.joins = append(s.links[n:], l), append(s.joins, l)
		t.mu.Unlock()
	}
	return nil
}

// issueAfter issues a token of this task, addressed to this service unless r says
// otherwise.
func (t *Task) issueAfter(ctx context.Context, kind Kind, preds []*link, r IssueRequest) (*Issued, *link, error) {
	r.Workflow = t.workflow
	r.Pred = predecessors(preds)
	if r.Audience == nil {
		r.Audience = []string{t.service.Identity()}
	}
	i, err := t.issue(ctx, kind, r)
	if err != nil {
		return nil, nil, err
	}
	l := newLink(&i.claims, i.digest, i.text)
	l.preds = preds
	l.deepen()
	t.mu.Lock()
	t.note(l.task, l.digest)
	t.mu.Unlock()
	return i, l.trim(max(t.service.audiences.context, 1)), nil
}
