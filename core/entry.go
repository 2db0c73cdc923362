// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"errors"
	"strings"
)

// Entry is a message on its way to a handler: what came of its tokens, and the task that
// answers it. It is for adapters, which embed one in what they keep of a call, so that it
// costs no allocation of its own. Its zero value is ready, for one message.
//
// [Entry.Verify] and [Entry.Begin] come first, in this order and from one goroutine. After
// that its methods are safe for concurrent use, but for [Entry.Enforce], which says itself
// what it must not meet.
type Entry struct {
	received *Received // nil where no valid head came
	task     *Task     // nil where the service records nothing, or the task is only prepared
	// prepared is the task of a message without a token, until somebody asks for it.
	prepared  *PreparedTask
	observer  TaskObserver // of a message for which the service records nothing
	transport Transport
}

// AnyToken tells whether the values of a field, or of metadata, hold more than empty list
// elements.
func AnyToken(values []string) bool {
	for _, v := range values {
		if strings.Trim(v, " \t,") != "" {
			return true
		}
	}
	return false
}

// Verify looks at the tokens of the message as the mode says, whatever p.Observe is.
// Without an error the message may go on, with what was received or without. Observers
// were told of what was found, also where the mode lets it pass (profile 9.5). The codes
// are those of [Verifier.Verify].
func (e *Entry) Verify(ctx context.Context, s *Service, m Mode, p Presented) *Error {
	e.transport = p.Transport
	if m == Optional && !AnyToken(p.Values) {
		return nil
	}
	p.Observe = m == Observe
	r, bad := s.verifier.accept(ctx, p)
	if bad == nil {
		e.received = r
		return nil
	}
	if m == Observe {
		return nil
	}
	return bad
}

// Begin starts the task that the message asked for, and returns the context of its
// handler. Under Optional a message without a token has a task once somebody asks for it,
// see [PreparedTask]. Where the service records nothing there is none, and the context has
// what was received.
//
// The one code is [CodeUnavailable]: the action is none. Then the claims of the message
// were given back, as no handler will see it, and observers were told.
func (e *Entry) Begin(ctx context.Context, s *Service, m Mode, action string) (context.Context, *Error) {
	var err error
	switch {
	case !s.Records():
		if e.received != nil {
			ctx, e.observer = s.verifier.cfg.observers.entered(ctx, e.received)
			ctx = ContextWithReceived(ctx, e.received)
		}
	case e.received != nil:
		ctx, e.task, err = s.AcceptTask(ctx, e.received, action)
	case m == Optional:
		ctx, e.prepared, err = s.PrepareTask(ctx, action)
	default:
		ctx, e.task, err = s.StartTask(ctx, action)
	}
	if err == nil {
		return ctx, nil
	}
	if rel := e.Release(ctx); rel != nil {
		err = errors.Join(err, rel)
	}
	bad := NewError(CodeUnavailable, err)
	s.Rejected(ctx, bad, VerifyInfo{Transport: e.transport, Observed: m == Observe})
	return ctx, bad
}

// Received returns the message as it was accepted, nil where no valid head came.
func (e *Entry) Received() *Received { return e.received }

// Task returns the task, nil if there is none by now. It begins none.
func (e *Entry) Task() *Task {
	if e.prepared != nil {
		t, _ := e.prepared.Task()
		return t
	}
	return e.task
}

// End returns the task, to be finished or discarded, nil if there is none. From then on none
// begins: the handler is done.
func (e *Entry) End() *Task {
	if o := e.observer; o != nil {
		e.observer = nil
		o.Ended(nil)
	}
	if e.prepared != nil {
		t, _ := e.prepared.End()
		return t
	}
	return e.task
}

// Release gives the claims of the message back, where no handler saw it (profile 7.3). The
// context may be done already. See [Received.Release].
func (e *Entry) Release(ctx context.Context) error {
	if e.received == nil {
		return nil
	}
	return e.received.Release(ctx)
}

// Raise says what of the requirements of an adapter further in the message does not meet,
// nil if it meets them (profile 9.10): there the mode is m, and no head may be below the
// level least. The mode under which the message was verified is outer. Nobody is told: that
// is for the adapter, also under a mode that only observes.
func (e *Entry) Raise(outer, m Mode, least Level) *Error {
	if e.received == nil {
		if m == Optional || outer == Observe { // observers were told already
			return nil
		}
		return refuse(CodeRequired, "no token came")
	}
	for _, h := range e.received.heads {
		if h.Level() < least {
			return refuse(CodeLevel, "below the minimum level of the route")
		}
	}
	return nil
}

// Enforce verifies and claims what was only observed further out, for an adapter further in
// whose mode m is another (profile 9.10). Observers were told of an error.
//
// What was received is replaced, within rebind where that is not nil: it must call what it
// is given, at a time when no other goroutine asks for it.
//
// A message that is accepted only now is refused with [CodeUnavailable]: the same tokens
// could not be verified a moment ago, and what runs further out took it for one without a
// head. [Entry.Release] gives back what it claimed.
func (e *Entry) Enforce(ctx context.Context, s *Service, m Mode, p Presented, rebind func(change func())) *Error {
	if m == Optional && !AnyToken(p.Values) {
		return nil
	}
	p.Observe = false
	r, bad := s.verifier.accept(ctx, p)
	if bad != nil {
		return bad
	}
	seen := e.received != nil
	if rebind != nil {
		rebind(func() { e.received = r })
	} else {
		e.received = r
	}
	if seen {
		return nil
	}
	bad = refuse(CodeUnavailable, "the tokens verified at the second look alone")
	s.Rejected(ctx, bad, VerifyInfo{Transport: p.Transport})
	return bad
}
