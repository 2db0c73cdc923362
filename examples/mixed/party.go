// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/httpect"
)

// party is one team: an identity, a key, what it believes, traces, and a server of its own on
// loopback. Over which transport it is called and calls makes no difference to the rest.
type party struct {
	name     string
	identity string
	key      demo.Key
	// policy is what it believes. Below L2 it signs nothing itself.
	policy core.Policy
	// observers are told of all that it does.
	observers []core.VerifierOption
	traces    traces
	// context is how many generations of history its peers send along: one, as it saw nothing
	// of what came before its caller.
	context  int
	endpoint string
	listener net.Listener
	service  *core.Service
	// client and conn are how it calls others.
	client *http.Client
	base   http.Transport
	conn   *grpc.ClientConn
	stop   func() error
}

// newParty makes an identity with a new key, and opens a port for it.
func newParty(ctx context.Context, name, identity, scheme string, to *demo.Telemetry) (*party, error) {
	key, err := demo.NewKey()
	if err != nil {
		return nil, err
	}
	ts, err := newTraces(ctx, name, identity, to)
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &party{
		name: name, identity: identity, key: key, traces: ts, context: 1,
		endpoint: scheme + l.Addr().String(), listener: l, stop: l.Close,
		policy: core.Policy{
			MinLevel: core.L2,
			Audience: identity,
			Missing:  core.RejectMissing,
			Replay:   core.ReplayOncePerInstance,
			Body:     core.BodyMatch,
		},
	}
	p.watch(ts.bridge.Observer())
	return p, nil
}

// watch adds an observer.
func (p *party) watch(o core.Observer) { p.observers = append(p.observers, core.WithObserver(o)) }

// audience is the party as others see it. The endpoint of an HTTP service is its origin,
// that of a gRPC service the target of the connection to it.
func (p *party) audience() core.Audience {
	return core.Audience{
		ID: p.identity, Endpoints: []string{p.endpoint}, Tokens: true,
		Answer: core.AnswerRequired, Context: p.context, Hashes: true, Trace: p.traces.headers,
	}
}

// issuer issues in the party's name, unsigned where L1 is enough.
func (p *party) issuer() (*core.Issuer, error) {
	if p.policy.MinLevel == core.L1 {
		return core.NewUnsignedIssuer(p.identity)
	}
	signer, err := core.NewSigner(p.key, p.key.ID)
	if err != nil {
		return nil, err
	}
	return core.NewIssuer(p.identity, signer)
}

// join gives the party its service: it trusts the keys of the others, and tells its peers.
func (p *party) join(all, peers []*party) error {
	keys := map[string]demo.Key{}
	for _, other := range all {
		keys[other.identity] = other.key
	}
	binder, err := demo.Trust(keys)
	if err != nil {
		return err
	}
	verifier, err := core.NewVerifier(binder, p.policy, p.observers...)
	if err != nil {
		return err
	}
	issuer, err := p.issuer()
	if err != nil {
		return err
	}
	told := make([]core.Audience, 0, len(peers))
	for _, other := range peers {
		told = append(told, other.audience())
	}
	audiences, err := core.NewAudiences(told...)
	if err != nil {
		return err
	}
	p.service, err = core.NewService(verifier, issuer, audiences, core.WithTraceParent(p.traces.bridge.TraceParent))
	if err != nil {
		return err
	}
	transport, err := httpect.NewTransport(p.service, &p.base)
	if err != nil {
		return err
	}
	p.client = &http.Client{Transport: otelhttp.NewTransport(transport, p.traces.http()...), Timeout: 10 * time.Second}
	return nil
}

// dial connects the party with a gRPC service.
func (p *party) dial(to *party) (err error) {
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(grpcect.GuardTrace(otelgrpc.NewClientHandler(p.traces.grpc()...))),
	}
	p.conn, err = grpc.NewClient(to.endpoint, append(opts, grpcect.DialOptions(p.service)...)...)
	return err
}

// serve starts an HTTP server.
func (p *party) serve(h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	p.stop = func() error { return stopHTTP(s) }
	go s.Serve(p.listener) //nolint:errcheck // ends with ErrServerClosed; a caller of a server that broke sees it
}

// serveGRPC starts a gRPC server.
func (p *party) serveGRPC(s *grpc.Server) {
	p.stop = func() error { return stopGRPC(s) }
	go s.Serve(p.listener) //nolint:errcheck // as above
}

// close stops the server and closes the connections to others.
func (p *party) close() error {
	var err error
	p.base.CloseIdleConnections()
	if p.conn != nil {
		err = p.conn.Close()
	}
	return errors.Join(err, p.stop())
}
