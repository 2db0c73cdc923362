// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/go-ect/ect/core/id"
	"github.com/go-ect/ect/internal/ordered"
)

// ErrTaskFinished reports that a task was finished already: nothing can be recorded
// as a part of it any more.
var ErrTaskFinished = errors.New("ect: the task is finished")

// Task is one unit of work: what it answers, what it came after, what it did on the
// way. It ends with [Task.Finish], which issues the task token. It is safe for
// concurrent use.
type Task struct {
	service  *Service
	id       UUID
	workflow Workflow
	received *Received
	heads    []*link
	observer TaskObserver // nil if nobody watches

	mu       sync.Mutex
	finished bool
	action   string
	chosen   bool // SetAction was called
	policy   *PolicyCheckpoint
	members  map[string]json.RawMessage
	body     BodyState
	input    Hash // of what came in, where that was known when the task began
	// ids has every token beside the heads that may come to stand in a pred of the task, by
	// task id.
	ids map[UUID]Digest
	// main is the frontier of code that is in no branch; branches are those that were
	// not joined; open are the dispatches whose call has not ended.
	main     frontier
	branches ordered.Set[*frontier, *frontier]
	open     ordered.Set[*Dispatch, *Dispatch]
	// joining is held by who issues join steps; nil before anyone did.
	joining chan struct{}

	// Where main begins, and room for the one head that most tasks have.
	start stand
	head  [1]*link
}

// BodyState says whether what a handler reads is what the sender's record names
// (profile 9.7).
type BodyState uint8

// The states of body binding.
const (
	// BodyNotBound: nothing was compared.
	BodyNotBound BodyState = iota
	// BodyPending: the body has not been read to its end.
	BodyPending
	// BodyBound: the body is the one that the sender's record names.
	BodyBound
)

// String returns "not bound", "pending" or "bound".
func (b BodyState) String() string {
	switch b {
	case BodyPending:
		return "pending"
	case BodyBound:
		return "bound"
	}
	return "not bound"
}

// StartTask starts a root task in a workflow of its own, for work that no request
// started, and returns a context that carries it. The action becomes `exec_act`.
func (s *Service) StartTask(ctx context.Context, action string) (context.Context, *Task, error) {
	return s.start(ctx, action, nil, id.NewWorkflow())
}

// AcceptTask starts the task that a message asked for, and returns a context that
// carries it: the message's heads are what the task answers, and where its frontier
// begins. It is for adapters.
func (s *Service) AcceptTask(ctx context.Context, r *Received, action string) (context.Context, *Task, error) {
	return s.start(ctx, action, r, r.Workflow())
}

func (s *Service) start(ctx context.Context, action string, r *Received, w Workflow) (context.Context, *Task, error) {
	if err := s.mayStart(action); err != nil {
		return ctx, nil, err
	}
	ctx, t := s.begin(ctx, action, r, w)
	return ctx, t, nil
}

// begin is start where it may.
func (s *Service) begin(ctx context.Context, action string, r *Received, w Workflow) (context.Context, *Task) {
	ctx, o := s.verifier.cfg.observers.entered(ctx, r)
	t := s.newTask(action, r, w, o)
	return t.on(ctx, &t.main), t
}

func (s *Service) mayStart(action string) error {
	if s.issuer == nil {
		return errors.New("ect: the service has no issuer, so it records no tasks")
	}
	if !isAction(action) {
		return errAction
	}
	return nil
}

func (s *Service) newTask(action string, r *Received, w Workflow, o TaskObserver) *Task {
	t := &Task{
		service: s, id: id.NewUUID(), workflow: w, received: r, action: action, observer: o,
	}
	t.heads = t.head[:0]
	if r != nil {
		for _, h := range r.heads {
			t.heads = append(t.heads, &h.link)
		}
	}
	t.start.links = slices.Clip(t.heads)
	t.main.begin(t, nil, &t.start)
	return t
}

var errAction = errors.New("ect: an action is 1 to 256 bytes of text without control characters")

// taken tells whether the task has another token of this id.
func (t *Task) taken(task UUID, d Digest) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.free(task, d)
}

// free tells whether no other token of the task has this id. The lock is held.
func (t *Task) free(task UUID, d Digest) bool {
	if task == t.id {
		return false
	}
	for _, h := range t.heads {
		if h.task == task && h.digest != d {
			return false
		}
	}
	known, ok := t.ids[task]
	return !ok || known == d
}

// note keeps the id of a token. The lock is held.
func (t *Task) note(task UUID, d Digest) {
	if t.ids == nil {
		t.ids = map[UUID]Digest{}
	}
	t.ids[task] = d
}

// take notes a token, and tells whether its id was free. The lock is held.
func (t *Task) take(task UUID, d Digest) bool {
	if !t.free(task, d) {
		return false
	}
	t.note(task, d)
	return true
}

// at returns the frontier that ctx is on: that of a branch, or the task's own.
func (t *Task) at(ctx context.Context) *frontier {
	if p := positionOf(ctx); p.task == t {
		return p.frontier
	}
	return &t.main
}

// ID returns the id that the task token will have.
func (t *Task) ID() UUID { return t.id }

// Workflow returns the workflow that the task is part of.
func (t *Task) Workflow() Workflow { return t.workflow }

// Received returns the message that the task answers; false for a root task.
func (t *Task) Received() (*Received, bool) { return t.received, t.received != nil }

// Heads returns the heads that the task answers; none for a root task.
func (t *Task) Heads() []*Verified {
	if t.received == nil {
		return nil
	}
	return t.received.Heads()
}

// Acted tells whether anything was issued in the task: a step, or a dispatch that may have
// gone. It is for adapters.
func (t *Task) Acted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.ids) > 0
}

// Discard ends the task without a record, as no handler saw the message that asked for it.
// It is for adapters; it does nothing once the task is finished.
func (t *Task) Discard() {
	t.mu.Lock()
	finished := t.finished
	t.finished = true
	t.mu.Unlock()
	if !finished {
		t.ended(nil)
	}
}

// ended tells who watches that the task is over.
func (t *Task) ended(err error) {
	if t.observer != nil {
		t.observer.Ended(err)
	}
}

// SetAction replaces the action that the task token will have.
func (t *Task) SetAction(action string) error {
	if !isAction(action) {
		return errAction
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.finished {
		return ErrTaskFinished
	}
	t.action, t.chosen = action, true
	return nil
}

// MaxTaskExtBytes is how much of `ect_ext` checkpoint and annotations of a task may
// take; the rest is kept for what the task token says itself.
const MaxTaskExtBytes = 2304

// Checkpoint records a policy decision with the task; the last one stands.
func (t *Task) Checkpoint(p PolicyCheckpoint) error {
	return t.extend(func() { t.policy = &p })
}

// Annotate adds a member to the `ect_ext` of the task token. The name is a reverse
// domain name, such as "com.example.model"; the value is JSON. All members together
// have 2304 bytes and, `ect_ext` included, five levels of nesting.
func (t *Task) Annotate(name string, value json.RawMessage) error {
	return t.extend(func() {
		t.members = maps.Clone(t.members)
		if t.members == nil {
			t.members = map[string]json.RawMessage{}
		}
		t.members[name] = slices.Clone(value)
	})
}

// extend changes what the task token will say in `ect_ext`, unless that would make it
// one that cannot be issued.
func (t *Task) extend(change func()) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.finished {
		return ErrTaskFinished
	}
	policy, members := t.policy, t.members
	change()
	ext, err := appendExt(nil, &Ext{Policy: t.policy}, t.members)
	if err == nil && len(ext) > MaxTaskExtBytes {
		err = fmt.Errorf("ect: checkpoint and annotations are longer than %d bytes", MaxTaskExtBytes)
	}
	if err != nil {
		t.policy, t.members = policy, members
	}
	return err
}

// BodyState tells how the body of the request compares with the sender's record.
func (t *Task) BodyState() BodyState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.body
}

// SetBodyState is for adapters, which read the body.
func (t *Task) SetBodyState(b BodyState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.body = b
}

// StepInput says what a step token records beside its action.
type StepInput struct {
	InpHash, OutHash Hash
	Outcome          Outcome
	Policy           *PolicyCheckpoint
	Members          map[string]json.RawMessage
}

// Step issues a token for a local step of the task. It comes after the frontier of ctx
// and takes its place there.
func (t *Task) Step(ctx context.Context, action string, in StepInput) (*Issued, error) {
	f := t.at(ctx)
	return t.advance(ctx, f, KindStep, IssueRequest{
		Action: action, InpHash: in.InpHash, OutHash: in.OutHash,
		Ext: Ext{Outcome: in.Outcome, Policy: in.Policy}, Members: in.Members,
	})
}
