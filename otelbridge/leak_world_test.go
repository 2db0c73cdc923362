// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/internal/jaegertest"
	"github.com/go-ect/ect/otelbridge"
)

// bureau is a group of services that work for two tenants, each with telemetry of its own
// that goes to Jaeger. The agent asks three services at once: the scorer and the archive by
// HTTP, the registry by gRPC; and the cabinet, which knows nothing of tokens.
type bureau struct {
	jaeger                           *jaegertest.Jaeger
	domain                           *ecttest.Domain
	policy                           otelbridge.Policy
	log                              *workLog
	agent, scorer, registry, archive *office
	cabinet                          string

	names      grpc_testing.TestServiceClient
	meet       func(context.Context) error
	crossing   *submission // what goes on where heads of two workflows meet, nil if nothing does
	scorerURL  string
	archiveURL string
	agentURL   string
}

// office is one service of the bureau.
type office struct {
	*ecttest.Agent
	name    string
	tracers *sdktrace.TracerProvider
	bridge  *otelbridge.Bridge
	service *core.Service
	// client has otelhttp outside of the transport, bare has no otelhttp, and plain has no
	// transport of ours.
	client, bare, plain *http.Client
}

func newBureau(t *testing.T, p otelbridge.Policy) *bureau {
	t.Helper()
	b := &bureau{
		jaeger: jaegertest.Start(t), domain: ecttest.NewDomain(), policy: p,
		log: &workLog{tokens: map[string][]string{}, traces: map[string]map[string]bool{}},
	}
	agent := core.Audience{ID: b.domain.Agent(t, "agent").Identity, Tokens: true, Hashes: true, Trace: core.TraceParent}

	b.scorer = b.office(t, "scorer", agent)
	mux := http.NewServeMux()
	mux.Handle(scored, b.scorer.observed(b, httpect.Middleware(b.scorer.service)(http.HandlerFunc(give))))
	b.scorerURL = serve(t, mux)

	b.archive = b.office(t, "archive", agent)
	mux = http.NewServeMux()
	mux.Handle("POST /files/{id}", httpect.Middleware(b.archive.service)(b.log.noted(http.HandlerFunc(give))))
	mux.Handle("POST /boxes/{id}", b.archive.observed(b, httpect.Middleware(b.archive.service, httpect.WithResponseBuffer(0),
		httpect.WithLengthPolicy(httpect.KeepLength))(http.HandlerFunc(box))))
	b.archiveURL = serve(t, mux)
	b.cabinet = serve(t, http.HandlerFunc(give))

	b.registry = b.office(t, "registry", agent)
	target := b.serveRegistry(t)

	tells := []core.Audience{
		{ID: b.scorer.Identity, Endpoints: []string{b.scorerURL}, Answer: core.AnswerRequired},
		{ID: b.archive.Identity, Endpoints: []string{b.archiveURL}, Answer: core.AnswerOptional},
		{ID: b.registry.Identity, Answer: core.AnswerRequired},
		{ID: ecttest.Name + "/cabinet", Endpoints: []string{b.cabinet}, Answer: core.AnswerRequired},
		{ID: b.domain.Agent(t, "tenant-a").Identity},
		{ID: b.domain.Agent(t, "tenant-b").Identity},
	}
	for i := range tells {
		tells[i].Tokens, tells[i].Hashes, tells[i].Trace = true, true, core.TraceParent
	}
	b.agent = b.office(t, "agent", tells...)
	b.names = b.dialRegistry(t, target)
	mux = http.NewServeMux()
	handle := func(pattern string, h http.HandlerFunc) {
		mux.Handle(pattern, b.agent.observed(b, httpect.Middleware(b.agent.service)(h)))
	}
	handle("POST /documents/{id}", b.assess)
	handle("POST /notes", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("POST /cases", httpect.Middleware(b.agent.service)(b.log.noted(http.HandlerFunc(b.refer))))
	b.agentURL = serve(t, mux)
	return b
}

// office opens an office, which tells those others.
func (b *bureau) office(t *testing.T, name string, to ...core.Audience) *office {
	t.Helper()
	o := &office{Agent: b.domain.Agent(t, name), name: name, tracers: b.tracers(t, name)}
	opts := []otelbridge.Option{otelbridge.WithTracerProvider(o.tracers)}
	if name == "archive" || name == "agent" { // which have no otelhttp on one of their routes
		opts = append(opts, otelbridge.WithTaskSpans())
	}
	var err error
	if o.bridge, err = otelbridge.New(o.Identity, b.policy, opts...); err != nil {
		t.Fatal(err)
	}
	p := o.Policy()
	p.Missing, p.Replay = core.AllowPartial, core.ReplayIdempotent
	p.CrossWorkflow = func(core.CrossWorkflowEdge) (core.Workflow, bool) {
		if b.crossing == nil {
			return core.Workflow{}, false
		}
		return b.crossing.workflow, true
	}
	v, err := core.NewVerifier(b.domain, p, core.WithObserver(o.bridge.Observer()), core.WithObserver(core.Observer{
		Issued: func(_ context.Context, i *core.Issued) { b.log.token(i.Workflow(), i.Text()) },
	}))
	if err != nil {
		t.Fatal(err)
	}
	audiences, err := core.NewAudiences(to...)
	if err != nil {
		t.Fatal(err)
	}
	if o.service, err = core.NewService(v, o.Issuer(t), audiences, core.WithTraceParent(o.bridge.TraceParent)); err != nil {
		t.Fatal(err)
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxConnsPerHost = 1 // so that whether calls share a connection is not left to chance
	t.Cleanup(base.CloseIdleConnections)
	ours, err := httpect.NewTransport(o.service, base)
	if err != nil {
		t.Fatal(err)
	}
	traced := []otelhttp.Option{otelhttp.WithTracerProvider(o.tracers), otelhttp.WithPropagators(w3c)}
	o.client = &http.Client{Transport: otelhttp.NewTransport(ours, traced...)}
	o.bare = &http.Client{Transport: ours}
	o.plain = &http.Client{Transport: otelhttp.NewTransport(base, traced...)}
	return o
}

// tracers makes a tracer provider that exports to Jaeger.
func (b *bureau) tracers(t *testing.T, name string) *sdktrace.TracerProvider {
	t.Helper()
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(b.jaeger.OTLPHTTP()+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	of, err := resource.Merge(resource.Default(), resource.NewSchemaless(attribute.String("service.name", name)))
	if err != nil {
		t.Fatal(err)
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(of), sdktrace.WithSampler(sdktrace.AlwaysSample()))
	t.Cleanup(func() {
		if err := p.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return p
}

// observed puts otelhttp outside. The agent is at the edge, where tenants come in.
func (o *office) observed(b *bureau, h http.Handler) http.Handler {
	propagators := w3c
	if o == b.agent {
		propagators = o.bridge.EdgePropagator(w3c)
	}
	return otelhttp.NewHandler(b.log.noted(h), "serve", otelhttp.WithTracerProvider(o.tracers), otelhttp.WithPropagators(propagators))
}

func serve(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// serveRegistry starts the registry, and returns its address.
func (b *bureau) serveRegistry(t *testing.T) string {
	t.Helper()
	opts := append(grpcect.ServerOptions(b.registry.service), grpc.StatsHandler(otelgrpc.NewServerHandler(
		otelgrpc.WithTracerProvider(b.registry.tracers), otelgrpc.WithPropagators(w3c))))
	s := grpc.NewServer(opts...)
	grpc_testing.RegisterTestServiceServer(s, names{log: b.log})
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func (b *bureau) dialRegistry(t *testing.T, target string) grpc_testing.TestServiceClient {
	t.Helper()
	opts := append(grpcect.DialOptions(b.agent.service, grpcect.WithAudience(b.registry.Identity)),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithTracerProvider(b.agent.tracers), otelgrpc.WithPropagators(w3c))))
	c, err := grpc.NewClient(target, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return grpc_testing.NewTestServiceClient(c)
}
