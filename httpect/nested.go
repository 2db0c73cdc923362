// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-ect/ect/core"
)

// serveInner raises the requirements on a request that was verified further out.
func (m *middleware) serveInner(w http.ResponseWriter, r *http.Request, next http.Handler, x *exchange) {
	ctx := r.Context()
	bad := m.enforce(ctx, x)
	if bad == nil {
		if bad = m.raise(x); bad != nil {
			m.service.Rejected(ctx, bad)
		}
	}
	if bad == nil || m.mode == Observe {
		next.ServeHTTP(w, r)
		return
	}
	x.refused = true
	m.writeProblem(w, r, bad)
}

// enforce verifies and claims what was only observed further out.
func (m *middleware) enforce(ctx context.Context, x *exchange) *core.Error {
	if x.mode != Observe || m.mode == Observe {
		return nil
	}
	x.rebind(func() { x.mode = m.mode })
	if x.fault != nil {
		m.service.Rejected(ctx, x.fault)
		return x.fault
	}
	if m.mode == Optional && !anyToken(x.values) {
		return nil
	}
	r, err := m.service.Verifier().Verify(ctx, x.presented())
	if err != nil {
		return asError(err)
	}
	seen := x.received != nil
	x.rebind(func() { x.received = r })
	if !seen && x.task != nil {
		// The task began as a root, since the same could not be verified a moment ago.
		bad := core.NewError(core.CodeUnavailable, errors.New("the tokens verified at the second look alone"))
		m.service.Rejected(ctx, bad)
		return bad
	}
	if x.body == nil || !x.want().Present {
		return nil
	}
	// Something in between may have read the body already.
	if sum := x.body.content(); sum.Present && sum != x.want() {
		bad := errBodyDiffers()
		m.service.Rejected(ctx, bad)
		return bad
	}
	x.body.holdBack(HoldBack)
	return nil
}

// rebind changes what the body is held against, when nobody is reading it.
func (x *exchange) rebind(change func()) {
	if x.body != nil {
		x.body.reading.Lock()
		defer x.body.reading.Unlock()
	}
	change()
}

// raise says what of this middleware's requirements a request does not meet.
func (m *middleware) raise(x *exchange) *core.Error {
	if x.received == nil {
		if m.mode == Optional || x.mode == Observe { // observers were told already
			return nil
		}
		return core.NewError(core.CodeRequired, errors.New("no token came"))
	}
	for _, h := range x.received.Heads() {
		if h.Level() < m.minLevel {
			return core.NewError(core.CodeLevel, errors.New("below the minimum level of the route"))
		}
	}
	return nil
}
