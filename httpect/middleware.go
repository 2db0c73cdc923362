// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/go-ect/ect/core"
)

// Middleware returns a middleware that verifies the tokens of requests, records what
// the handler does, and answers with the record. Handlers find the task with
// [core.TaskFromContext] and what was verified with [core.ReceivedFromContext].
//
// Mounted again further in, on a group or a route, it only raises requirements: nothing
// is verified or claimed twice (profile 9.10).
//
// It panics when it is made, never while it serves, if s is nil or an option asks for
// less than the verifier's policy.
func Middleware(s *core.Service, opts ...Option) func(http.Handler) http.Handler {
	m := &middleware{service: s, config: config{buffer: DefaultResponseBuffer, drain: DefaultDrain}}
	for _, o := range opts {
		m.config = o.apply(m.config)
	}
	if why := m.wrong(); why != "" {
		panic("httpect.Middleware: " + why) //nolint:forbidigo // wiring time: the program has not begun to serve
	}
	m.match = s.Verifier().Policy().Body == core.BodyMatch
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(w, r, next) })
	}
}

// wrong says what a middleware cannot be made of.
func (m *middleware) wrong() string {
	switch {
	case m.service == nil:
		return "the service is nil"
	case m.mode > Observe:
		return "WithMode: no such mode"
	case m.minLevel > core.L3:
		return "WithMinLevel: no such level"
	case m.minLevel != 0 && m.minLevel < m.service.Verifier().Policy().MinLevel:
		return "WithMinLevel: below the minimum level of the policy, which can only be raised"
	case m.buffer < 0 || m.drain < 0:
		return "a limit is negative"
	case m.length > KeepLength:
		return "WithLengthPolicy: no such policy"
	}
	return ""
}

type middleware struct {
	config
	service *core.Service
	match   bool
}

// exchange is one request and its response on their way through the middleware.
type exchange struct {
	m        *middleware
	received *core.Received // nil where no valid head came
	task     *core.Task     // nil where the service records nothing
	values   []string
	evidence core.Evidence
	// request is what the handler got; its route is known once the handler returned.
	request *http.Request
	body    *body
	// differs is why the body is not the one recorded, once that is known.
	differs *core.Error
	// refused tells that a middleware further in refused the request, so that no handler
	// saw it.
	refused bool
	before  http.Header
}

type exchangeKey struct{}

func (m *middleware) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	ctx := r.Context()
	if outer, ok := ctx.Value(exchangeKey{}).(*exchange); ok && outer.m.service == m.service {
		m.serveInner(w, r, next, outer)
		return
	}
	x := &exchange{m: m, values: r.Header[FieldName], before: maps.Clone(w.Header())}
	if r.TLS != nil {
		x.evidence.Peer = peerOf(r.TLS)
	}
	known := contentOf(r)
	if err := x.verify(ctx, known); err != nil {
		m.writeProblem(w, r, err)
		return
	}
	if err := x.start(r, known); err != nil {
		if rel := x.release(ctx); rel != nil {
			err = core.NewError(err.Code, errors.Join(err, rel))
		}
		m.service.Rejected(ctx, err)
		m.writeProblem(w, r, err)
		return
	}
	if x.task == nil {
		addVary(w.Header())
		next.ServeHTTP(w, x.request)
		x.releaseIfRefused() //nolint:contextcheck // the exchange's request has it
		return
	}
	x.record(w, next) //nolint:contextcheck // the exchange's request has it
}

// verify looks at the tokens of the request as the mode says. Without an error the
// request may go on, with what was received or without.
func (x *exchange) verify(ctx context.Context, content core.Hash) *core.Error {
	if len(x.values) == 0 && x.m.mode != Enforce {
		return nil
	}
	r, err := x.m.service.Verifier().Verify(ctx, x.presented(content, x.m.mode == Observe))
	if err == nil {
		x.received = r
		return nil
	}
	bad := asError(err)
	switch {
	case x.m.mode == Observe, x.m.mode == Optional && bad.Code == core.CodeRequired:
		return nil
	}
	return bad
}

func (x *exchange) presented(content core.Hash, observe bool) core.Presented {
	return core.Presented{
		Values: x.values, Evidence: x.evidence, MinLevel: x.m.minLevel, Content: content, Observe: observe,
	}
}

// asError takes what a verifier or a task returned as the error it documents.
func asError(err error) *core.Error {
	if e, ok := errors.AsType[*core.Error](err); ok {
		return e
	}
	return core.NewError(core.CodeUnavailable, err)
}

// start begins the task, and makes the request that the handler will get.
func (x *exchange) start(r *http.Request, known core.Hash) *core.Error {
	ctx := context.WithValue(r.Context(), exchangeKey{}, x)
	if x.m.service.Records() {
		var err error
		if x.received != nil {
			ctx, x.task, err = x.m.service.AcceptTask(ctx, x.received, method(r))
		} else {
			ctx, x.task, err = x.m.service.StartTask(ctx, method(r))
		}
		if err != nil {
			return core.NewError(core.CodeUnavailable, err)
		}
	} else if x.received != nil {
		ctx = core.ContextWithReceived(ctx, x.received)
	}
	x.request = r.WithContext(ctx)
	if r.Header[FieldName] != nil || r.Header[receiptFieldName] != nil {
		x.request.Header = maps.Clone(r.Header)
		strip(x.request.Header)
	}
	x.wrapBody(r, known) //nolint:contextcheck // the request has it
	return nil
}

// wrapBody lets the body be hashed as the handler reads it, and compared if it is bound.
func (x *exchange) wrapBody(r *http.Request, known core.Hash) {
	want := x.want()
	if known.Present {
		if want.Present {
			x.setBodyState(core.BodyBound) // compared before the claim
		}
		return
	}
	if x.task == nil && !want.Present && r.Trailer == nil {
		return
	}
	hold := 0
	if want.Present {
		x.setBodyState(core.BodyPending)
		if x.m.mode != Observe {
			hold = HoldBack
		}
	}
	x.body = newBody(r.Body, hold, func(sum core.Hash) error {
		strip(r.Trailer)
		switch {
		case !want.Present:
			return nil
		case sum != want:
			bad := errBodyDiffers()
			x.m.service.BodyDiffered(r.Context(), bad)
			if x.m.mode == Observe {
				x.setBodyState(core.BodyNotBound)
				return nil
			}
			x.differs = bad
			return bad
		}
		x.setBodyState(core.BodyBound)
		return nil
	})
	x.request.Body = x.body
}

// want is the hash that the body must have, absent if it is not bound to one.
func (x *exchange) want() core.Hash {
	if !x.m.match || x.received == nil {
		return core.Hash{}
	}
	s, ok := x.received.Sender()
	if !ok {
		return core.Hash{}
	}
	return s.Claims().OutHash
}

func (x *exchange) setBodyState(s core.BodyState) {
	if x.task != nil {
		x.task.SetBodyState(s)
	}
}

// release gives the claims back: no handler saw the request. The request's own context
// may be done already.
func (x *exchange) release(ctx context.Context) error {
	if x.received == nil {
		return nil
	}
	return x.received.Release(context.WithoutCancel(ctx))
}

// releaseIfRefused gives the claims back after a middleware further in refused.
func (x *exchange) releaseIfRefused() bool {
	if !x.refused {
		return false
	}
	if err := x.release(x.request.Context()); err != nil {
		x.m.service.Rejected(x.request.Context(), core.NewError(core.CodeUnavailable, err))
	}
	return true
}

// serveInner raises the requirements on a request that was verified further out.
func (m *middleware) serveInner(w http.ResponseWriter, r *http.Request, next http.Handler, x *exchange) {
	bad := m.raise(r.Context(), x)
	if bad == nil || m.mode == Observe {
		next.ServeHTTP(w, r)
		return
	}
	x.refused = true
	m.service.Rejected(r.Context(), bad)
	m.writeProblem(w, r, bad)
}

// raise says what of this middleware's requirements a request does not meet.
func (m *middleware) raise(ctx context.Context, x *exchange) *core.Error {
	if x.m.mode == Observe && m.mode != Observe && len(x.values) > 0 {
		// Nothing was claimed further out, so the whole of it is due here.
		r, err := m.service.Verifier().Verify(ctx, x.presented(core.Hash{}, false))
		if err != nil {
			return asError(err)
		}
		x.received = r
	}
	if x.received == nil {
		if m.mode == Optional {
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

// contentOf returns the hash of a body that is known to be empty; absent otherwise.
func contentOf(r *http.Request) core.Hash {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return emptyHash
	}
	return core.Hash{}
}

// actionOf returns the default action: the method and the pattern of the route, as known
// once the handler has returned.
func (x *exchange) actionOf() string {
	if x.m.action != nil {
		return x.m.action(x.request)
	}
	pattern := ""
	if rc := chi.RouteContext(x.request.Context()); rc != nil {
		pattern = rc.RoutePattern()
	}
	if pattern == "" {
		pattern = x.request.Pattern
	}
	m := method(x.request)
	if pattern == "" || strings.HasPrefix(pattern, m+" ") {
		if pattern == "" {
			return m
		}
		return pattern
	}
	return m + " " + pattern
}

// method returns the request's method, or "_OTHER" for one that a stranger may have made
// up, as the OpenTelemetry conventions do.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return r.Method
	}
	return "_OTHER"
}

// drain reads a body that is bound to a hash on, so that its end is seen. Where the
// connection broke, the state stays pending and the outcome says that it was cancelled.
func (x *exchange) drain() {
	if x.body != nil && x.want().Present {
		x.body.drain(x.m.drain)
	}
}
