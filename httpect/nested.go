// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/go-ect/ect/core"
)

// serveInner raises the requirements on a request that was verified further out.
func (m *middleware) serveInner(w http.ResponseWriter, r *http.Request, next http.Handler, x *exchange) {
	ctx := r.Context()
	if above, ok := ctx.Value(deeperKey{}).(*atomic.Bool); ok && !above.Swap(true) {
		x.reached.Add(-1)
	}
	bad := m.enforce(ctx, x)
	if bad == nil {
		if bad = x.Raise(x.mode, m.mode, m.minLevel); bad != nil {
			m.service.Rejected(ctx, bad, core.VerifyInfo{Transport: core.TransportHTTP, Observed: m.mode == Observe})
		}
	}
	if bad == nil || m.mode == Observe {
		m.reach(w, r, next, x)
		return
	}
	// A handler may ask its own router, and answer what it likes: then it has seen the request.
	if out, ok := find[*response](w); ok && out == &x.response {
		x.refused.Store(true)
	}
	m.writeProblem(w, r, bad)
}

// deeperKey is where a middleware further in finds what tells the one above that there is
// one: whether a handler is reached is then for it to say.
type deeperKey struct{}

// reach runs what is further in, which counts as a handler until a middleware there says
// that it is none: a handler may begin its response, and it may panic.
func (m *middleware) reach(w http.ResponseWriter, r *http.Request, next http.Handler, x *exchange) {
	x.reached.Add(1)
	in := r.WithContext(context.WithValue(r.Context(), deeperKey{}, new(atomic.Bool)))
	defer func() {
		if in.Pattern != r.Pattern {
			r.Pattern = in.Pattern // which net/http's mux sets on the request that it is given
		}
	}()
	next.ServeHTTP(w, in)
}

// enforce verifies and claims what was only observed further out.
func (m *middleware) enforce(ctx context.Context, x *exchange) *core.Error {
	if x.mode != Observe || m.mode == Observe {
		return nil
	}
	x.rebind(func() { x.mode = m.mode })
	if x.fault != nil {
		m.service.Rejected(ctx, x.fault, x.info())
		return x.fault
	}
	if bad := x.Enforce(ctx, m.service, m.mode, x.presented(), x.rebind); bad != nil {
		return bad
	}
	if x.body == nil || !x.want().Present {
		return nil
	}
	// Something in between may have read the body already.
	switch sum := x.body.content(); {
	case !sum.Present:
		x.body.holdBack(HoldBack)
	case sum == x.want():
		x.setBodyState(core.BodyBound)
	default:
		bad := errBodyDiffers()
		m.service.Rejected(ctx, bad, x.info())
		return bad
	}
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
