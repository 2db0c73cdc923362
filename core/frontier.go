// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"errors"
	"slices"
)

// frontier is the newest tokens that some code of a task has seen or issued and that
// nothing newer of it comes after. The task's lock guards it.
type frontier struct {
	task  *Task
	links []*link
	// passed has the digests of what left, so that joining a branch takes it from the
	// parent as well.
	passed map[Digest]struct{}
	// parent is where a branch began, nil for the task's own frontier.
	parent *frontier
	// ended tells that a branch was joined.
	ended bool
}

func (t *Task) newFrontier(parent *frontier, links []*link) *frontier {
	return &frontier{task: t, parent: parent, links: slices.Clone(links), passed: map[Digest]struct{}{}}
}

// standing is the frontier itself, or where a branch that was joined went: what comes
// late on a branch still finds its place.
func (f *frontier) standing() *frontier {
	for f.ended {
		f = f.parent
	}
	return f
}

// advance lets a token in and what it names out.
func (f *frontier) advance(l *link) {
	for _, p := range l.preds {
		f.pass(p.digest)
	}
	f.add(l)
}

func (f *frontier) add(l *link) {
	if _, gone := f.passed[l.digest]; gone || f.has(l.digest) {
		return
	}
	f.links = append(f.links, l)
}

func (f *frontier) has(d Digest) bool {
	return slices.ContainsFunc(f.links, func(l *link) bool { return l.digest == d })
}

// pass takes a token out: something newer comes after it.
func (f *frontier) pass(d Digest) {
	f.passed[d] = struct{}{}
	f.links = slices.DeleteFunc(f.links, func(l *link) bool { return l.digest == d })
}

// absorb joins a branch: what left the branch leaves, what is newest in it comes in.
func (f *frontier) absorb(b *frontier) {
	for d := range b.passed {
		f.pass(d)
	}
	for _, l := range b.links {
		f.add(l)
	}
}

// Branch is a frontier of its own for code that takes several steps beside other code,
// so that timing never decides what a token says it came after.
type Branch struct{ own *frontier }

// Branch begins a branch where ctx stands in the task, and returns the context that is
// on it. A branch that is never joined is joined by the end of the task.
func (t *Task) Branch(ctx context.Context) (context.Context, *Branch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	parent := t.at(ctx)
	own := t.newFrontier(parent, parent.links)
	t.branches = append(t.branches, own)
	return context.WithValue(ctx, positionKey{}, position{task: t, frontier: own, received: t.received}), &Branch{own}
}

// Join makes what the branch did a part of where it began: whatever follows there comes
// after it. Joining twice, or after the task finished, changes nothing. What is issued
// on the branch after that would come before nothing, and so is refused.
func (b *Branch) Join() {
	t := b.own.task
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.finished || b.own.ended {
		return
	}
	b.own.ended = true
	t.branches = slices.DeleteFunc(t.branches, func(f *frontier) bool { return f == b.own })
	b.own.standing().absorb(b.own)
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
func (t *Task) advance(ctx context.Context, f *frontier, r IssueRequest) (*Issued, error) {
	preds, err := t.newest(ctx, f)
	if err != nil {
		return nil, err
	}
	i, l, err := t.issueAfter(ctx, preds, r)
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

// newest returns the frontier as it stands, after join steps if it had grown too wide.
func (t *Task) newest(ctx context.Context, f *frontier) ([]*link, error) {
	for {
		t.mu.Lock()
		links, err := slices.Clone(f.links), t.usable(f)
		t.mu.Unlock()
		if err != nil || len(links) <= MaxFrontier {
			return links, err
		}
		if err := t.join(ctx, f); err != nil {
			return nil, err
		}
	}
}

// issueAfter issues a token of this task, addressed to this service unless r says
// otherwise.
func (t *Task) issueAfter(ctx context.Context, preds []*link, r IssueRequest) (*Issued, *link, error) {
	r.Workflow = t.workflow
	r.Pred = predecessors(preds)
	if r.Audience == nil {
		r.Audience = []string{t.service.Identity()}
	}
	i, err := t.service.issue(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	l := newLink(&i.claims, i.digest, i.text)
	l.preds = preds
	t.mu.Lock()
	t.ids[l.task] = l.digest
	t.mu.Unlock()
	return i, l.trim(max(t.service.audiences.context, 1)), nil
}

// joinAction is the `exec_act` of a step that stands for a frontier grown too wide.
const joinAction = "join"

// join issues join steps until a frontier is no wider than MaxFrontier, so that no
// token outgrows its limits however many calls one handler makes.
func (t *Task) join(ctx context.Context, f *frontier) error {
	for {
		t.mu.Lock()
		n := min(len(f.links), MaxIssuedPred)
		preds := slices.Clone(f.links[:n])
		t.mu.Unlock()
		if n <= MaxFrontier {
			return nil
		}
		_, l, err := t.issueAfter(ctx, preds, IssueRequest{Action: joinAction})
		if err != nil {
			return err
		}
		t.mu.Lock()
		f.advance(l)
		t.mu.Unlock()
	}
}

func predecessors(links []*link) []Predecessor {
	p := make([]Predecessor, len(links))
	for n, l := range links {
		p[n] = Predecessor{TaskID: l.task, Digest: l.digest}
	}
	return p
}

// withContext returns a token and as many generations of what it came after as the peer
// may have, nearest first, each once and without what the peer has already, as far as the
// limits of a message allow. A token that is left out takes what only it leads to along:
// without it that would be no context.
func withContext(text string, preds []*link, to Audience, has []*link) []string {
	tokens := []string{text}
	total := len(text)
	seen := map[Digest]struct{}{}
	for _, l := range has {
		seen[l.digest] = struct{}{}
	}
	for generation := 0; generation < to.Context && len(preds) > 0; generation++ {
		var next []*link
		for _, l := range preds {
			if _, again := seen[l.digest]; again || l.hashed && !to.Hashes {
				continue
			}
			seen[l.digest] = struct{}{}
			if total += len(l.text) + len(", "); len(tokens) == DefaultTokens || total > DefaultTotalBytes {
				return tokens
			}
			tokens = append(tokens, l.text)
			next = append(next, l.preds...)
		}
		preds = next
	}
	return tokens
}
