// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package limited is a context that ends at a time and costs no timer until it is waited
// for.
package limited

import (
	"context"
	"sync"
	"time"
)

// Context is a context that ends at a time. Unlike that of context.WithDeadline it costs
// no timer until somebody waits for it: a signer in this process never does. It is safe for
// concurrent use.
type Context struct {
	context.Context //nolint:containedctx // it is one itself
	end             time.Time

	mu     sync.Mutex
	inner  context.Context //nolint:containedctx // what is waited for
	cancel context.CancelFunc
}

// Until returns a context that ends with parent, at a time, or with [Context.Stop], which
// must be called.
func Until(parent context.Context, end time.Time) *Context {
	return &Context{Context: parent, end: end}
}

// Deadline implements context.Context.
func (l *Context) Deadline() (time.Time, bool) {
	if d, ok := l.Context.Deadline(); ok && d.Before(l.end) {
		return d, true
	}
	return l.end, true
}

// Done implements context.Context.
func (l *Context) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner == nil {
		l.inner, l.cancel = context.WithDeadline(l.Context, l.end)
	}
	return l.inner.Done()
}

// Err implements context.Context.
func (l *Context) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.inner != nil:
		return l.inner.Err()
	case !time.Now().Before(l.end):
		return context.DeadlineExceeded
	}
	return l.Context.Err()
}

// Stop ends the context. It may be called more than once.
func (l *Context) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner == nil {
		l.inner, l.cancel = stopped, func() {}
	}
	l.cancel()
}

// stopped is what has ended before anybody waited for it.
var stopped = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()
