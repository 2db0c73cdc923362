// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/otelbridge"
)

// traces is how the calls of a party become spans of its own, over either transport: nothing
// is global. What becomes of a trace that comes from another team is for the bridge's policy
// to say.
type traces struct {
	tracers trace.TracerProvider
	bridge  *otelbridge.Bridge
	// headers is which headers of tracing the others send the party.
	headers core.TraceHeaders
}

// newTraces returns what a party of that name has for its traces. Work that no request started
// has a span of its own.
func newTraces(ctx context.Context, name, identity string, to *demo.Telemetry) (traces, error) {
	tracers, err := to.Tracers(ctx, name)
	if err != nil {
		return traces{}, err
	}
	bridge, err := otelbridge.New(identity, to.Policy, otelbridge.WithTracerProvider(tracers), otelbridge.WithTaskSpans())
	return traces{tracers, bridge, to.Headers()}, err
}

// propagator has traces go on from HTTP to gRPC and back: both carry the same header.
func (t traces) propagator() propagation.TextMapPropagator {
	return t.bridge.EdgePropagator(propagation.TraceContext{})
}

func (t traces) http() []otelhttp.Option {
	return []otelhttp.Option{
		otelhttp.WithTracerProvider(t.tracers),
		otelhttp.WithMeterProvider(noop.NewMeterProvider()),
		otelhttp.WithPropagators(t.propagator()),
	}
}

func (t traces) grpc() []otelgrpc.Option {
	return []otelgrpc.Option{
		otelgrpc.WithTracerProvider(t.tracers),
		otelgrpc.WithMeterProvider(noop.NewMeterProvider()),
		otelgrpc.WithPropagators(t.propagator()),
	}
}

// grace is how long requests may take that run when a server is stopped. Their spans end with
// them.
const grace = 5 * time.Second

// stopHTTP stops a server once its requests have ended.
func stopHTTP(s *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if s.Shutdown(ctx) == nil {
		return nil
	}
	return s.Close() // what takes longer is cut off
}

// stopGRPC stops a server once its calls have ended.
func stopGRPC(s *grpc.Server) error {
	late := time.AfterFunc(grace, s.Stop)
	defer late.Stop()
	s.GracefulStop()
	return nil
}
