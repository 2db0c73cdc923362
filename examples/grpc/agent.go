// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/grpcect"
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
	server   *grpc.Server
	service  *core.Service
	conns    []*grpc.ClientConn
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
	// Work that no call started has a span of its own.
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

// target is where the agent's server is, as others dial it.
func (a *agent) target() string { return a.listener.Addr().String() }

// audience is the agent as others see it: it gets one generation of context, since it
// saw nothing of what came before, and hashes, since it holds messages against them.
func (a *agent) audience() core.Audience {
	return core.Audience{
		ID: a.identity, Endpoints: []string{a.target()}, Tokens: true,
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
	return err
}

// connect returns a connection to another agent, whose calls are recorded.
func (a *agent) connect(to *agent) (*grpc.ClientConn, error) {
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(grpcect.GuardTrace(otelgrpc.NewClientHandler(traced(a.tracers, a.bridge)...))),
	}
	cc, err := grpc.NewClient(to.target(), append(opts, grpcect.DialOptions(a.service)...)...)
	if err == nil {
		a.conns = append(a.conns, cc)
	}
	return cc, err
}

// serve starts the agent's server, which verifies and records every call. What is refused
// has a span, too.
func (a *agent) serve(register func(grpc.ServiceRegistrar)) {
	traces := grpc.StatsHandler(otelgrpc.NewServerHandler(traced(a.tracers, a.bridge)...))
	a.server = grpc.NewServer(append([]grpc.ServerOption{traces}, grpcect.ServerOptions(a.service)...)...)
	register(a.server)
	go a.server.Serve(a.listener) //nolint:errcheck // ends when it is stopped; a caller of a server that broke sees it
}

// traced is how calls become spans of a service's own: nothing is global. What becomes of a
// trace that comes from another vendor is for the bridge's policy to say.
func traced(tracers trace.TracerProvider, bridge *otelbridge.Bridge) []otelgrpc.Option {
	return []otelgrpc.Option{
		otelgrpc.WithTracerProvider(tracers),
		otelgrpc.WithMeterProvider(noop.NewMeterProvider()),
		otelgrpc.WithPropagators(bridge.EdgePropagator(propagation.TraceContext{})),
	}
}

// close ends the connections and stops the server, once its calls have ended and with them
// their spans.
func (a *agent) close() error {
	var errs []error
	for _, cc := range a.conns {
		errs = append(errs, cc.Close())
	}
	if a.server == nil {
		return errors.Join(append(errs, a.listener.Close())...)
	}
	stop(a.server, grace)
	return errors.Join(errs...)
}
