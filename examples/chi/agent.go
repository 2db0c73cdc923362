// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/otelbridge"
)

// agent is one vendor's service: an identity, a key, traces and a server of its own on
// loopback.
type agent struct {
	name     string
	identity string
	key      demo.Key
	tracers  trace.TracerProvider
	bridge   *otelbridge.Bridge
	// trace is which headers of tracing the others send it.
	trace    core.TraceHeaders
	listener net.Listener
	server   *http.Server
	service  *core.Service
	base     http.Transport
	client   *http.Client
}

// newAgent makes an identity with a new key, and opens a port for it.
func newAgent(ctx context.Context, name, identity string, to *demo.Telemetry) (*agent, error) {
	key, err := demo.NewKey()
	if err != nil {
		return nil, err
	}
	tracers, err := to.Tracers(ctx, name)
	if err != nil {
		return nil, err
	}
	// Work that no request started has a span of its own.
	bridge, err := otelbridge.New(identity, to.Policy, otelbridge.WithTracerProvider(tracers), otelbridge.WithTaskSpans())
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &agent{
		name: name, identity: identity, key: key, tracers: tracers, bridge: bridge, trace: to.Headers(), listener: l,
	}, nil
}

// origin is where the agent's server is.
func (a *agent) origin() string { return "http://" + a.listener.Addr().String() }

// audience is the agent as others see it: it gets one generation of context, since it
// saw nothing of what came before, and hashes, since it holds bodies against them.
func (a *agent) audience() core.Audience {
	return core.Audience{
		ID: a.identity, Endpoints: []string{a.origin()}, Tokens: true,
		Answer: core.AnswerRequired, Context: 1, Hashes: true, Trace: a.trace,
	}
}

// join gives the agent its service: it trusts the keys of the others, and tells those
// that it works with.
func (a *agent) join(all []*agent, peers []*agent, o core.Observer) error {
	keys := map[string]demo.Key{}
	for _, other := range all {
		keys[other.identity] = other.key
	}
	binder, err := demo.Trust(keys)
	if err != nil {
		return err
	}
	verifier, err := core.NewVerifier(binder, core.Policy{
		MinLevel: core.L2,
		Audience: a.identity,
		Missing:  core.RejectMissing,
		Replay:   core.ReplayOncePerInstance,
		Body:     core.BodyMatch,
	}, core.WithObserver(o), core.WithObserver(a.bridge.Observer()))
	if err != nil {
		return err
	}
	signer, err := core.NewSigner(a.key, a.key.ID)
	if err != nil {
		return err
	}
	issuer, err := core.NewIssuer(a.identity, signer)
	if err != nil {
		return err
	}
	told := make([]core.Audience, 0, len(peers))
	for _, p := range peers {
		told = append(told, p.audience())
	}
	audiences, err := core.NewAudiences(told...)
	if err != nil {
		return err
	}
	a.service, err = core.NewService(verifier, issuer, audiences, core.WithTraceParent(a.bridge.TraceParent))
	if err != nil {
		return err
	}
	transport, err := httpect.NewTransport(a.service, &a.base)
	if err != nil {
		return err
	}
	traces := otelhttp.NewTransport(transport, traced(a.tracers, a.bridge)...)
	a.client = &http.Client{Transport: traces, Timeout: 10 * time.Second}
	return nil
}

// traced is how calls and requests become spans of a service's own: nothing is global. What
// becomes of a trace that comes from another vendor is for the bridge's policy to say.
func traced(tracers trace.TracerProvider, bridge *otelbridge.Bridge) []otelhttp.Option {
	return []otelhttp.Option{
		otelhttp.WithTracerProvider(tracers),
		otelhttp.WithMeterProvider(noop.NewMeterProvider()),
		otelhttp.WithPropagators(bridge.EdgePropagator(propagation.TraceContext{})),
	}
}

// serve starts the agent's server; routes adds the handlers that verify and record. The
// span of a request is outside of that, and so has what is refused, too; it is named by the
// route.
func (a *agent) serve(routes func(chi.Router)) {
	r := chi.NewRouter()
	r.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	r.Group(func(r chi.Router) {
		r.Use(otelhttp.NewMiddleware("serve", traced(a.tracers, a.bridge)...), httpect.Middleware(a.service))
		routes(r)
	})
	a.server = &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second}
	go a.server.Serve(a.listener) //nolint:errcheck // ends with ErrServerClosed; a caller of a server that broke sees it
}

// close stops the server, once its requests have ended and with them their spans, and
// closes the client's idle connections.
func (a *agent) close(ctx context.Context) error {
	a.base.CloseIdleConnections()
	if a.server == nil {
		return a.listener.Close()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if a.server.Shutdown(ctx) == nil {
		return nil
	}
	return a.server.Close() // what takes longer is cut off
}

// errOf says what a response that is no success says.
func errOf(name string, status int, body []byte) error {
	return fmt.Errorf("%s answered %d: %w", name, status, errors.New(string(body)))
}
