// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/otelbridge"
)

// flushing is how long the end of a run may take to deliver what is left.
const flushing = 10 * time.Second

// Telemetry is where the traces of a run go: over OTLP to the collector that the environment
// names (OTEL_EXPORTER_OTLP_ENDPOINT, and what OpenTelemetry specifies beside it), and nowhere
// if it names none. Nothing of it is global. The zero value exports nothing and tells nothing.
// It is safe for concurrent use.
type Telemetry struct {
	// Policy is what the traces tell of tokens.
	Policy otelbridge.Policy

	namespace string
	exports   bool
	log       *slog.Logger

	mu         sync.Mutex
	deliveries []*delivery
}

// NewTelemetry returns the telemetry of a run. The namespace becomes `service.namespace`;
// an export that fails is logged. It is an error if the environment names no collector that
// HTTP can reach.
func NewTelemetry(namespace string, p otelbridge.Policy, log *slog.Logger) (*Telemetry, error) {
	t := &Telemetry{Policy: p, namespace: namespace, log: log}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		endpoint := strings.TrimSpace(os.Getenv(name))
		if endpoint == "" {
			continue
		}
		// The exporter would take another endpoint in its place, and say so to a global logger.
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("%s is not a URL such as http://127.0.0.1:4318", name)
		}
		t.exports = true
	}
	return t, nil
}

// Tracers returns where the spans of a service come from: one provider for each service,
// whose name becomes `service.name`.
func (t *Telemetry) Tracers(ctx context.Context, service string) (trace.TracerProvider, error) {
	if !t.exports {
		return noop.NewTracerProvider(), nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, err
	}
	return t.deliver(service, exporter), nil
}

// deliver returns a provider whose spans go to an exporter.
func (t *Telemetry) deliver(service string, to sdktrace.SpanExporter) *sdktrace.TracerProvider {
	d := &delivery{SpanExporter: to, service: service, log: t.log}
	d.provider = sdktrace.NewTracerProvider(
		sdktrace.WithResource(resource.NewWithAttributes(semconv.SchemaURL,
			semconv.ServiceName(service), semconv.ServiceNamespace(t.namespace))),
		sdktrace.WithSpanProcessor(ended{d}),
		sdktrace.WithBatcher(d),
	)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deliveries = append(t.deliveries, d)
	return d.provider
}

// Headers is which headers of tracing go to the other services of the run: those that let
// a trace go on, where the policy has it go on.
func (t *Telemetry) Headers() core.TraceHeaders {
	if t.Policy.Edge == otelbridge.EdgeContinue {
		return core.TraceParent
	}
	return 0
}

// Close delivers what is left, also where ctx is done already. Its error says which spans
// were lost: who asked for traces did not get them.
func (t *Telemetry) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushing)
	defer cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	// One after another: they share a connection.
	var errs []error
	for _, d := range t.deliveries {
		errs = append(errs, d.close(ctx))
	}
	t.deliveries = nil
	return errors.Join(errs...)
}
