// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/go-ect/ect/core"
)

// outer returns the exchange of an interceptor further out, nil if this one is the first to
// see the call. What the outer one let through carries no token any more; a call that does
// was made since.
func (s *server) outer(ctx context.Context) *exchange {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok || x.s.service != s.service || incoming(ctx) {
		return nil
	}
	return x
}

// deeperKey is where an interceptor further in finds what tells the one above that there is
// one: whether a handler is reached is then for it to say.
type deeperKey struct{}

// inner raises the requirements on a call that was verified further out (profile 9.10). The
// context that it returns is for what is further in; the error is a status.
func (s *server) inner(ctx context.Context, x *exchange, method string) (context.Context, error) {
	if above, ok := ctx.Value(deeperKey{}).(*atomic.Bool); ok && !above.Swap(true) {
		x.reached.Add(-1)
	}
	least := s.levelOf(method) // of another method, where its handler calls one in its own process
	bad := s.enforce(ctx, x, least)
	if bad == nil {
		if bad = x.Raise(x.enforced(), s.mode, least); bad != nil {
			s.service.Rejected(ctx, bad, s.info())
		}
	}
	if bad == nil || s.mode == core.Observe {
		x.reached.Add(1)
		return context.WithValue(ctx, deeperKey{}, new(atomic.Bool)), nil
	}
	return nil, &refusal{s.refusalOf(bad), x}
}

// turnedAway gives the claims back of a call that no handler saw, as an interceptor further
// in refused it, unless something on the way in has acted on it, or may have: then the call
// does not end with the refusal.
func (x *exchange) turnedAway(ctx context.Context, err error) bool {
	if r, ok := errors.AsType[*refusal](err); !ok || r.x != x || x.reached.Load() > 0 {
		return false
	}
	t := x.Task()
	if t != nil && t.Acted() {
		return false
	}
	if t != nil {
		t.Discard()
	}
	if err := x.Release(ctx); err != nil {
		x.s.service.Rejected(ctx, core.NewError(core.CodeUnavailable, err), x.info())
	}
	return true
}

// enforce verifies and claims what was only observed further out. What something in between
// has read of the messages by now is held against the record before the claim, the rest when
// it is read.
func (s *server) enforce(ctx context.Context, x *exchange, least core.Level) *core.Error {
	if x.enforced() != core.Observe || s.mode == core.Observe {
		return nil
	}
	rebind := func(change func()) {
		x.mu.Lock()
		defer x.mu.Unlock()
		change()
	}
	rebind(func() { x.mode = s.mode })
	if bad := x.Enforce(ctx, s.service, s.mode, x.presented(s, least), rebind); bad != nil {
		return bad
	}
	if x.content().Present && x.want().Present {
		x.setBodyState(core.BodyBound)
	}
	return nil
}

// enforced is the mode that the call was let through under so far.
func (x *exchange) enforced() core.Mode {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.mode
}

// behind returns the exchange of another service further out on the same server, which took
// what the hook knows of the call; nil if there is none.
func (x *exchange) behind(ctx context.Context) *exchange {
	if of, ok := ctx.Value(exchangeKey{}).(*exchange); ok && of.s.hook == x.s.hook {
		return of
	}
	return nil
}
