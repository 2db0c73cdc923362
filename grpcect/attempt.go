// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"context"
	"sync/atomic"

	"github.com/go-ect/ect/core"
)

// sendingContext is the context of a call that a dispatch goes with.
type sendingContext struct {
	context.Context //nolint:containedctx // it is one itself
	method          string
	d               *core.Dispatch
}

type sendingKey struct{}

// Value implements context.Context.
func (c *sendingContext) Value(key any) any {
	if key == (sendingKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// attempt is the context of one attempt of a call that a dispatch goes with.
type attempt struct {
	context.Context //nolint:containedctx // it is one itself
	d               *core.Dispatch
	told            atomic.Bool
}

type attemptKey struct{}

// Value implements context.Context.
func (a *attempt) Value(key any) any {
	if key == (attemptKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// withAttempt returns the context of an attempt: ctx, if it is that already, or of a call that no
// dispatch goes with.
func withAttempt(ctx context.Context, method string) context.Context {
	c, ok := ctx.Value(sendingKey{}).(*sendingContext)
	if !ok || c.method != method {
		return ctx
	}
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok && a.d == c.d {
		return ctx
	}
	return &attempt{Context: ctx, d: c.d}
}

// begins tells observers of an attempt of a call, once, on the context that it is made in.
func begins(ctx context.Context) {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok && !a.told.Swap(true) {
		a.d.Sent(ctx)
	}
}
