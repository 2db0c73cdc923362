// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-chi/chi/v5"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/internal/tlspeer"
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
	m := &middleware{service: s, config: config{buffer: DefaultResponseBuffer, drain: DefaultDrain, whole: DefaultBodyBuffer}}
	for _, o := range opts {
		m.config = o.apply(m.config)
	}
	if why := m.wrong(); why != "" {
		panic("httpect.Middleware: " + why) //nolint:forbidigo // wiring time: the program has not begun to serve
	}
	m.binding = s.Verifier().Policy().Body
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
	case m.buffer < 0 || m.drain < 0 || m.whole < 0:
		return "a limit is negative"
	case m.length > KeepLength:
		return "WithLengthPolicy: no such policy"
	}
	return ""
}

type middleware struct {
	config
	service *core.Service
	binding core.BodyBinding
}

// exchange is one request and its response on their way through the middleware.
type exchange struct {
	core.Entry
	m *middleware
	// values are the tokens, inBody tells that they came in the body, which then comes
	// from source. fault says why the body was not looked into under Observe.
	values   []string
	inBody   bool
	source   *source
	fault    *core.Error
	evidence core.Evidence
	// request is what the handler got; its route is known once the handler returned.
	request *http.Request
	body    *body
	// outer is the request whose body it is; trailer is what the handler sees of its trailer.
	outer    *http.Request
	trailer  http.Header
	trailing sync.Mutex
	// mode is that of the middleware furthest out, or of one further in that enforces what
	// was only observed before. known is the hash of a body that is empty.
	mode  Mode
	known core.Hash
	// refused tells that a middleware further in refused the request, and reached that one
	// let it through, as something in between may ask several. expects tells that the sender
	// waits to be asked for the body.
	refused atomic.Bool
	reached atomic.Int32
	expects bool

	// What every exchange needs, so that it costs no allocation of its own.
	ctx      exchangeContext
	incoming body
	response response
}

// exchangeContext is the context of the request that a handler gets.
type exchangeContext struct {
	context.Context //nolint:containedctx // it is one itself
	x               *exchange
}

// Value implements context.Context.
func (c *exchangeContext) Value(key any) any {
	if key == (exchangeKey{}) {
		return c.x
	}
	return c.Context.Value(key)
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
	came := r
	x := &exchange{m: m, mode: m.mode, expects: r.ProtoAtLeast(1, 1) && r.Header.Get("Expect") != ""}
	if r, x.fault = x.unfold(r); x.fault != nil {
		m.service.Rejected(ctx, x.fault, x.info())
		if m.mode != Observe {
			m.writeProblem(w, r, x.fault)
			return
		}
	}
	x.known = contentOf(r)
	if r.TLS != nil {
		x.evidence.Peer = tlspeer.Identity(r.TLS)
	}
	if m.binding == core.BodyRequire && !x.known.Present {
		x.takeBody(r)
	}
	if x.fault == nil {
		if err := x.Verify(ctx, m.service, m.mode, x.presented()); err != nil {
			m.writeProblem(w, r, err)
			return
		}
	}
	if err := x.start(r); err != nil {
		m.writeProblem(w, r, err)
		return
	}
	defer func() {
		if x.request.Pattern != came.Pattern {
			came.Pattern = x.request.Pattern // which muxes set on the request that they are given
		}
	}()
	x.record(w, next) //nolint:contextcheck // the exchange's request has it
}

// info says of which message observers are told.
func (x *exchange) info() core.VerifyInfo {
	return core.VerifyInfo{Transport: core.TransportHTTP, Observed: x.mode == Observe}
}

// presented is what came with the request, as the verifier looks at it.
func (x *exchange) presented() core.Presented {
	p := core.Presented{
		Values: x.values, Transport: core.TransportHTTP, Evidence: x.evidence, MinLevel: x.m.minLevel, Content: x.known,
	}
	if x.m.binding == core.BodyRequire && !x.known.Present {
		p.ReadContent = x.readBody
	}
	return p
}

// start begins the task, and makes the request that the handler will get.
func (x *exchange) start(r *http.Request) *core.Error {
	ctx, err := x.Begin(r.Context(), x.m.service, x.m.mode, method(r))
	if err != nil {
		return err
	}
	x.ctx = exchangeContext{ctx, x}
	x.request = r.WithContext(&x.ctx) //nolint:contextcheck // it is made of the request's
	if carries(r.Header) {
		x.request.Header = maps.Clone(r.Header)
		strip(x.request.Header)
	}
	x.bindBody(r)
	return nil
}

// turnedAway tells whether no handler saw the request, since a middleware further in
// refused it.
func (x *exchange) turnedAway() bool { return x.refused.Load() && x.reached.Load() == 0 }

// releaseIfRefused gives the claims back of a request that was turned away, unless something
// on the way in has acted on it.
func (x *exchange) releaseIfRefused() bool {
	task := x.Task()
	if !x.turnedAway() || task != nil && task.Acted() {
		return false
	}
	if task != nil {
		task.Discard()
	}
	if err := x.Release(x.request.Context()); err != nil {
		x.m.service.Rejected(x.request.Context(), core.NewError(core.CodeUnavailable, err), x.info())
	}
	return true
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
