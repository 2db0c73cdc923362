// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/otelbridge"
)

// party is one service with traces of its own.
type party struct {
	*ecttest.Agent
	spans   *tracetest.SpanRecorder
	balance *balance
	tracers *sdktrace.TracerProvider
	bridge  *otelbridge.Bridge
	service *core.Service
	server  *httptest.Server
	client  *http.Client
}

var w3c = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

func newParty(t *testing.T, d *ecttest.Domain, name string, p otelbridge.Policy) *party {
	t.Helper()
	w := &party{Agent: d.Agent(t, name), spans: tracetest.NewSpanRecorder()}
	w.tracers = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(w.spans))
	var err error
	if w.bridge, err = otelbridge.New(w.Identity, p, otelbridge.WithTracerProvider(w.tracers)); err != nil {
		t.Fatal(err)
	}
	return w
}

// serve starts the party's service, otelhttp outside of the middleware.
func (w *party) serve(t *testing.T, d *ecttest.Domain, h http.Handler, to ...core.Audience) {
	t.Helper()
	w.service = d.ServiceWithPolicy(t, w.Agent, w.Policy(), to, core.WithObserver(w.bridge.Observer()))
	outer := otelhttp.NewHandler(httpect.Middleware(w.service)(h), "serve",
		otelhttp.WithTracerProvider(w.tracers), otelhttp.WithPropagators(w3c))
	w.server = httptest.NewServer(outer)
	t.Cleanup(w.server.Close)
}

// dial makes the party's client, otelhttp outside of the transport.
func (w *party) dial(t *testing.T, d *ecttest.Domain, to ...core.Audience) {
	t.Helper()
	if w.service == nil {
		w.service = d.ServiceWithPolicy(t, w.Agent, w.Policy(), to, core.WithObserver(w.bridge.Observer()))
	}
	inner, err := httpect.NewTransport(w.service, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.client = &http.Client{Transport: otelhttp.NewTransport(inner, otelhttp.WithTracerProvider(w.tracers), otelhttp.WithPropagators(w3c))}
}

func get(ctx context.Context, t *testing.T, c *http.Client, url string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if e := resp.Body.Close(); err == nil {
		err = e
	}
	return resp.StatusCode, err
}

// attr returns an attribute of a span or an event, "" if it is not there.
func attr(kvs []attribute.KeyValue, k attribute.Key) string {
	for _, kv := range kvs {
		if kv.Key == k {
			return kv.Value.String()
		}
	}
	return ""
}
