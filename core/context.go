// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import "context"

type positionKey struct{}

// position is where some code runs: in which task, on which frontier, asked by what.
type position struct {
	task     *Task
	frontier *frontier
	received *Received
	prepared *PreparedTask
}

// nowhere is where code runs that is in no task. It is never changed.
var nowhere position

func positionOf(ctx context.Context) *position {
	if p, ok := ctx.Value(positionKey{}).(*position); ok {
		return p
	}
	return &nowhere
}

// TaskFromContext returns the running task, which begins now where it was only prepared. It
// is false where there is none.
func TaskFromContext(ctx context.Context) (*Task, bool) {
	p := positionOf(ctx)
	if p.prepared != nil {
		return p.prepared.begin(), true
	}
	return p.task, p.task != nil
}

// ContextWithReceived returns a context that carries a message to handlers of a service
// that records no tasks. It is for adapters; [Service.AcceptTask] does it by itself.
func ContextWithReceived(ctx context.Context, r *Received) context.Context {
	return context.WithValue(ctx, positionKey{}, &position{received: r})
}

// ReceivedFromContext returns the message that was verified for the code that runs. It
// is false where none was.
func ReceivedFromContext(ctx context.Context) (*Received, bool) {
	r := positionOf(ctx).received
	return r, r != nil
}
