// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import "context"

// Fork is a place in a task where branches begin. It is safe for concurrent use.
type Fork struct {
	task   *Task
	parent *frontier
	from   *stand
	// joined tells that Join was called; begun are the branches until then. The task's
	// lock guards both.
	joined bool
	begun  []*frontier
}

// Fork fixes where ctx stands in the task now as the place where branches begin. Give
// each of several pieces of work that run side by side a branch of its own, and join
// them when all are done: then the graph is what the code says, whatever the timing.
//
//	fork := task.Fork(ctx)
//	g, during := errgroup.WithContext(ctx) // ctx itself goes on after the group
//	for _, page := range pages {
//		on := fork.Branch(during)
//		g.Go(func() error { return fetch(on, page) })
//	}
//	err := g.Wait()
//	fork.Join()
//
// Without a branch of its own each piece of work would come after whatever happened to
// be over when it began. Forks may be nested: fork again on the context of a branch.
func (t *Task) Fork(ctx context.Context) *Fork {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.at(ctx)
	return &Fork{task: t, parent: at, from: at.stand()}
}

// Branch returns ctx on a branch of its own, which begins where the fork is, whenever it
// is asked for and wherever ctx stands. Code that is on one branch shares its frontier,
// so ask once for each piece of work. Ask in the loop that starts the work rather than
// in the work: branches are joined in the order in which they were asked for, and so
// even the join steps of a wide fork do not depend on timing. After [Fork.Join] nothing
// can be issued on the branches, nor on one that is asked for then.
func (f *Fork) Branch(ctx context.Context) context.Context {
	f.task.mu.Lock()
	defer f.task.mu.Unlock()
	own := f.task.newFrontier(f.parent, f.from)
	if own.ended = f.joined; !f.joined {
		f.task.branches.Add(own, own)
		f.begun = append(f.begun, own)
	}
	return f.task.on(ctx, own)
}

// Join makes what the branches did a part of where the fork is: whatever follows there
// comes after all of it. Call it once the work on the branches is over; what is still
// to be issued on them is refused. Joining twice, or after the task finished, changes
// nothing. Branches that are never joined are joined by the end of the task, and what
// comes between stands beside them.
func (f *Fork) Join() {
	f.task.mu.Lock()
	defer f.task.mu.Unlock()
	f.joined = true
	for _, b := range f.begun {
		f.task.join(b)
	}
	f.begun = nil
}

// Branch is a frontier of its own for code that takes several steps beside other code,
// so that timing never decides what a token says it came after.
type Branch struct{ own *frontier }

// Branch begins a branch where ctx stands in the task, and returns the context that is
// on it. A branch that is never joined is joined by the end of the task.
//
// A branch that begins after another was joined comes after it. Where a loop starts work
// that joins its branch when it is done, timing decides that: use [Task.Fork] there.
func (t *Task) Branch(ctx context.Context) (context.Context, *Branch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	parent := t.at(ctx)
	own := t.newFrontier(parent, parent.stand())
	t.branches.Add(own, own)
	return t.on(ctx, own), &Branch{own}
}

// Join makes what the branch did a part of where it began: whatever follows there comes
// after it. Joining twice, or after the task finished, changes nothing. What is issued
// on the branch after that would come before nothing, and so is refused.
func (b *Branch) Join() {
	t := b.own.task
	t.mu.Lock()
	defer t.mu.Unlock()
	t.join(b.own)
}

// on returns a context on a frontier of the task.
func (t *Task) on(ctx context.Context, f *frontier) context.Context {
	return context.WithValue(ctx, positionKey{}, &f.place)
}

// join ends a branch. The lock is held.
func (t *Task) join(b *frontier) {
	if t.finished || b.ended {
		return
	}
	b.ended = true
	t.branches.Remove(b)
	b.standing().absorb(b)
}
