// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/httpect"
)

// chain is three services, and the client that asks the first of them.
type chain struct {
	deployer, gate, health, billing *party

	mu     sync.Mutex
	issued []*core.Issued
}

// newChain makes the parties. What they believe can be changed until they join.
func newChain(ctx context.Context, to *demo.Telemetry) (*chain, error) {
	c := &chain{}
	for _, p := range []struct {
		to                     **party
		name, identity, scheme string
	}{
		{&c.deployer, "deployer", "spiffe://build.example/deployer", "http://"},
		{&c.gate, "gate", "spiffe://release.example/gate", "http://"},
		{&c.health, "health", "spiffe://ops.example/health", ""},
		{&c.billing, "billing", "spiffe://billing.example/billing", "http://"},
	} {
		made, err := newParty(ctx, p.name, p.identity, p.scheme, to)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		made.watch(core.Observer{Issued: c.keep})
		*p.to = made
	}
	return c, nil
}

func (c *chain) parties() []*party { return []*party{c.deployer, c.gate, c.health, c.billing} }

// join connects the parties. Each is told by its neighbours alone.
func (c *chain) join() error {
	peers := map[*party][]*party{
		c.deployer: {c.gate}, c.gate: {c.deployer, c.health}, c.health: {c.gate, c.billing}, c.billing: {c.health},
	}
	for _, p := range c.parties() {
		if err := p.join(c.parties(), peers[p]); err != nil {
			return err
		}
	}
	return c.gate.dial(c.health)
}

// start lets the three services serve.
func (c *chain) start() {
	c.gate.serve(routes(c.gate, http.MethodPost, "/releases", c.release))
	c.health.serveGRPC(checks(c.health, &checker{chain: c}))
	c.billing.serve(routes(c.billing, http.MethodGet, "/status", ready))
}

// routes returns a chi service of one route, which verifies and records.
func routes(p *party, method, pattern string, h http.HandlerFunc) http.Handler {
	r := chi.NewRouter()
	r.Group(func(r chi.Router) {
		r.Use(otelhttp.NewMiddleware("serve", p.traces.http()...), httpect.Middleware(p.service))
		r.Method(method, pattern, h)
	})
	return r
}

// checks returns a gRPC server that verifies and records.
func checks(p *party, h healthpb.HealthServer, opts ...grpc.ServerOption) *grpc.Server {
	opts = append(append([]grpc.ServerOption{
		grpc.StatsHandler(otelgrpc.NewServerHandler(p.traces.grpc()...)),
	}, grpcect.ServerOptions(p.service)...), opts...)
	s := grpc.NewServer(opts...)
	healthpb.RegisterHealthServer(s, h)
	return s
}

func (c *chain) close() error {
	var errs []error
	for _, p := range c.parties() {
		if p != nil {
			errs = append(errs, p.close())
		}
	}
	return errors.Join(errs...)
}

// keep collects every token that anybody issued, in order.
func (c *chain) keep(_ context.Context, i *core.Issued) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.issued = append(c.issued, i)
}

func (c *chain) tokens() []*core.Issued {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.issued)
}

// graph is what an auditor makes of the tokens.
func (c *chain) graph(tokens []*core.Issued) *demo.Graph {
	var all []demo.Party
	for _, p := range c.parties() {
		all = append(all, demo.Party{Name: p.name, Identity: p.identity, Key: p.key.Public()})
	}
	return demo.NewGraph(all, tokens)
}

// release is what a deployer asks for, and verdict what it is told.
type release struct {
	Service string `json:"service"`
	Version string `json:"version"`
}

type verdict struct {
	Decision core.Decision `json:"decision"`
	Reason   string        `json:"reason"`
}

// maxBody is how long a body may be, in bytes.
const maxBody = 64 << 10

// deploy asks the gate, as work that no request started.
func (c *chain) deploy(ctx context.Context, r release) (v verdict, err error) {
	ctx, task, err := c.deployer.service.StartTask(ctx, "deploy")
	if err != nil {
		return v, err
	}
	defer func() {
		end := core.Completion{Outcome: core.OutcomeOK}
		switch {
		case ctx.Err() != nil:
			end.Outcome = core.OutcomeCancelled
		case err != nil:
			end.Outcome = core.OutcomeError
		}
		_, finished := task.Finish(context.WithoutCancel(ctx), end)
		err = errors.Join(err, finished)
	}()
	body, err := json.Marshal(r)
	if err != nil {
		return v, err
	}
	err = call(ctx, c.deployer, http.MethodPost, c.gate.endpoint+"/releases", body, &v)
	return v, err
}

// release is the gate's handler: what is not well gets no release on top. The context of the
// HTTP request goes into the gRPC call, and the task with it.
func (c *chain) release(w http.ResponseWriter, r *http.Request) {
	var in release
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil {
		http.Error(w, "the request is not JSON", http.StatusBadRequest)
		return
	}
	h, err := healthpb.NewHealthClient(c.gate.conn).Check(r.Context(), &healthpb.HealthCheckRequest{Service: in.Service})
	switch {
	case status.Code(err) == codes.NotFound:
		http.Error(w, "nobody knows the service", http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, "the service's health is not known", http.StatusBadGateway)
		return
	}
	v := verdict{core.Rejected, "the service is not serving"}
	if h.GetStatus() == healthpb.HealthCheckResponse_SERVING {
		v = verdict{core.Approved, "the service is serving"}
	}
	task, ok := core.TaskFromContext(r.Context())
	if !ok {
		http.Error(w, "no task", http.StatusInternalServerError)
		return
	}
	err = task.Checkpoint(core.PolicyCheckpoint{
		Policy: "release-onto-what-serves/v1", Decision: v.Decision, Enforcer: c.gate.identity, Time: time.Now(),
	})
	if err != nil {
		http.Error(w, "the decision could not be recorded", http.StatusInternalServerError)
		return
	}
	reply(w, v)
}

// checker is the health service, the one that grpc-go has generated code of. Asking it is
// work here, so it is recorded; what asks a server for its own health should not be, see
// package grpcect.
type checker struct {
	healthpb.UnimplementedHealthServer
	chain *chain
}

// Check implements healthpb.HealthServer: it asks the service itself. The context of the gRPC
// call goes into the HTTP request, and the task with it.
func (c *checker) Check(ctx context.Context, in *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	if in.GetService() != "billing" {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	var s state
	if err := call(ctx, c.chain.health, http.MethodGet, c.chain.billing.endpoint+"/status", nil, &s); err != nil {
		return nil, status.Error(codes.Unavailable, "the service does not say")
	}
	h := healthpb.HealthCheckResponse_NOT_SERVING
	if s.Serving {
		h = healthpb.HealthCheckResponse_SERVING
	}
	return &healthpb.HealthCheckResponse{Status: h}, nil
}

// state is what billing says of itself.
type state struct {
	Serving bool `json:"serving"`
}

// ready is billing's handler.
func ready(w http.ResponseWriter, _ *http.Request) { reply(w, state{Serving: true}) }

// call makes a request and decodes the answer. Reading the body to its end is what
// verifies it.
func call(ctx context.Context, from *party, method, url string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := from.client.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d: %s", url, resp.StatusCode, answer)
	}
	return json.Unmarshal(answer, into)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		http.Error(w, "the answer could not be written", http.StatusInternalServerError)
	}
}
