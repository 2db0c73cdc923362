// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/go-ect/ect/core/id"
)

// PreparedTask is a root task that begins when somebody first asks for it, with
// [TaskFromContext] as transports do. It is for adapters, for work that nobody asked to
// have recorded and that costs nothing until it does something to be recorded. It is
// safe for concurrent use.
type PreparedTask struct {
	context.Context //nolint:containedctx // it is the context that it is prepared in
	service         *Service
	action          string
	observer        TaskObserver
	place           position
	task            atomic.Pointer[Task]
	mu              sync.Mutex
	ended           bool
}

// PrepareTask returns a context in which a root task begins, in a workflow of its own,
// once somebody asks for it. The errors are those of [Service.StartTask].
func (s *Service) PrepareTask(ctx context.Context, action string) (context.Context, *PreparedTask, error) {
	if err := s.mayStart(action); err != nil {
		return ctx, nil, err
	}
	ctx, o := s.verifier.cfg.observers.entered(ctx, nil)
	p := &PreparedTask{Context: ctx, service: s, action: action, observer: o}
	p.place.prepared = p
	return p, p, nil
}

// Value implements context.Context.
func (p *PreparedTask) Value(key any) any {
	if key == (positionKey{}) {
		return &p.place
	}
	return p.Context.Value(key)
}

// Task returns the task if it has begun.
func (p *PreparedTask) Task() (*Task, bool) {
	t := p.task.Load()
	return t, t != nil
}

// End returns the task if it has begun, to be finished. From then on none begins any more:
// who asks for one that never did gets a finished one, in which nothing can be recorded.
func (p *PreparedTask) End() (*Task, bool) {
	p.mu.Lock()
	t, begun := p.Task()
	never := !begun && !p.ended
	p.ended = true
	p.mu.Unlock()
	if never && p.observer != nil {
		p.observer.Ended(nil)
	}
	return t, begun
}

// begin returns the task, which begins now if it has not.
func (p *PreparedTask) begin() *Task {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.task.Load()
	if t == nil {
		if p.ended {
			t = p.service.newTask(p.action, nil, id.NewWorkflow(), nil)
			t.finished = true
			return t
		}
		t = p.service.newTask(p.action, nil, id.NewWorkflow(), p.observer)
		p.task.Store(t)
	}
	return t
}
