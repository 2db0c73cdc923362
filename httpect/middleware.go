// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"

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
	// mode is that of the middleware furthest out, or of one further in that enforces what
	// was only observed before. known is the hash of a body that is empty.
	mode  Mode
	known core.Hash
	// refused tells that a middleware further in refused the request, so that no handler
	// saw it.
	refused bool
	before  http.Header
}

type exchangeKey struct{}

func (m *middleware) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	ctx := r.Context()
	// What the outer one let through carries no token any more; a request that does was
	// made since.
	if outer, ok := ctx.Value(exchangeKey{}).(*exchange); ok && outer.m.service == m.service && !carries(r.Header) {
		m.serveInner(w, r, next, outer)
		return
	}
	x := &exchange{m: m, mode: m.mode, known: contentOf(r), values: r.Header[FieldName], before: maps.Clone(w.Header())}
	if r.TLS != nil {
		x.evidence.Peer = peerOf(r.TLS)
	}
	if err := x.verify(ctx); err != nil {
		m.writeProblem(w, r, err)
		return
	}
	if err := x.start(r); err != nil {
		if rel := x.release(ctx); rel != nil {
			err = core.NewError(err.Code, errors.Join(err, rel))
		}
		m.service.Rejected(ctx, err)
		m.writeProblem(w, r, err)
		return
	}
	x.record(w, next) //nolint:contextcheck // the exchange's request has it
}

// verify looks at the tokens of the request as the mode says. Without an error the
// request may go on, with what was received or without.
func (x *exchange) verify(ctx context.Context) *core.Error {
	if x.m.mode == Optional && !anyToken(x.values) {
		return nil
	}
	r, err := x.m.service.Verifier().Verify(ctx, x.presented())
	if err == nil {
		x.received = r
		return nil
	}
	bad := asError(err)
	if x.m.mode == Observe {
		return nil
	}
	return bad
}

func (x *exchange) presented() core.Presented {
	return core.Presented{
		Values: x.values, Evidence: x.evidence, MinLevel: x.m.minLevel, Content: x.known, Observe: x.mode == Observe,
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
func (x *exchange) start(r *http.Request) *core.Error {
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
	if carries(r.Header) {
		x.request.Header = maps.Clone(r.Header)
		strip(x.request.Header)
	}
	x.wrapBody(r) //nolint:contextcheck // the request has it
	return nil
}

// wrapBody lets the body be hashed as the handler reads it, and compared if it is bound.
func (x *exchange) wrapBody(r *http.Request) {
	want := x.want()
	if x.known.Present {
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
		if x.mode != Observe {
			hold = HoldBack
		}
	}
	trailer := x.wrapTrailer(r)
	x.body = newBody(r.Body, hold, func(sum core.Hash) error {
		trailer()
		switch {
		case !want.Present:
			return nil
		case sum != want:
			bad := errBodyDiffers()
			x.m.service.BodyDiffered(r.Context(), bad)
			if x.mode == Observe {
				x.setBodyState(core.BodyNotBound)
				return nil
			}
			return bad
		}
		x.setBodyState(core.BodyBound)
		return nil
	})
	x.body.closed, x.body.onClose = trailer, x.m.drain
	x.request.Body = x.body
}

// wrapTrailer gives the handler a trailer section of its own, as tokens in a request's
// trailer are ignored and not passed on. It returns what copies the other fields over
// once they came.
func (x *exchange) wrapTrailer(r *http.Request) func() {
	if r.Trailer == nil {
		return func() {}
	}
	own := maps.Clone(r.Trailer)
	strip(own)
	x.request.Trailer = own
	var mu sync.Mutex // a body may be closed while it is read
	return func() {
		mu.Lock()
		defer mu.Unlock()
		maps.Copy(own, r.Trailer)
		strip(own)
	}
}

// differs says why the body is not the one recorded, once that is known.
func (x *exchange) differs() *core.Error {
	if x.body == nil {
		return nil
	}
	if bad, ok := errors.AsType[*core.Error](x.body.failure()); ok {
		return bad
	}
	return nil
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
	x.setMode(m.mode)
	if m.mode == Optional && !anyToken(x.values) {
		return nil
	}
	r, err := m.service.Verifier().Verify(ctx, x.presented())
	if err != nil {
		return asError(err)
	}
	seen := x.received != nil
	x.received = r
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

// setMode changes how the body is judged, when nobody is reading it.
func (x *exchange) setMode(mode Mode) {
	if x.body != nil {
		x.body.reading.Lock()
		defer x.body.reading.Unlock()
	}
	x.mode = mode
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

// contentOf returns the hash of a body that is known to be empty; absent otherwise. One
// of no length may still have trailers, which come with its end.
func contentOf(r *http.Request) core.Hash {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 && r.Trailer == nil {
		return emptyHash
	}
	return core.Hash{}
}

// actionOf returns the action that a task which chose none has.
func (x *exchange) actionOf() string {
	if x.m.action != nil {
		return x.m.action(x.request)
	}
	return x.route()
}

// route returns the method and the pattern of the route, as known once the handler has
// returned.
func (x *exchange) route() string {
	pattern := ""
	if rc := chi.RouteContext(x.request.Context()); rc != nil {
		pattern = rc.RoutePattern()
	}
	if pattern == "" {
		pattern = x.request.Pattern
	}
	if _, path, ok := strings.Cut(pattern, " "); ok {
		pattern = path // a pattern of net/http may name a method, which HEAD need not be
	}
	if pattern == "" {
		return method(x.request)
	}
	return method(x.request) + " " + pattern
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

// discarded is how much of a request body net/http reads and drops over HTTP/1 when a
// response begins before it was read.
const discarded = 256 << 10

// settle sees to the end of a bound body that net/http would drop unseen as soon as the
// header goes out.
func (x *exchange) settle() {
	if x.body != nil && x.request.ContentLength-x.body.passedSoFar() < discarded {
		x.drain(true)
	}
}

// drain reads a body that is bound to a hash on, so that its end is seen. Where the
// connection broke, the state stays pending and the outcome says that it was cancelled.
// A client that waits to be asked for its body, and has been answered instead, will not
// send it.
func (x *exchange) drain(answered bool) {
	if x.body == nil || !x.want().Present || answered && x.request.Header.Get("Expect") != "" && !x.body.begun() {
		return
	}
	x.body.drain(x.m.drain, false)
}
