// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/internal/readme"
	"github.com/go-ect/ect/otelbridge"
)

func TestPageHoldsTheSender(t *testing.T) { readme.Check(t, page, "sender_example_test.go", 1) }

// senderPage is what docs/correlation.md shows.
func senderPage(bridge *otelbridge.Bridge, service *core.Service, handler http.Handler) http.Handler {
	w3c := propagation.TraceContext{}
	// readme: sender
	propagator := bridge.SenderPropagator(w3c)
	inner := httpect.Middleware(service)(handler)
	outermost := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r.WithContext(propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))))
	})
	// end
	return outermost
}

// TestSenderPage: the trace of a sender of the own trust domain goes on, that of another does
// not, and both have the task's span.
func TestSenderPage(t *testing.T) {
	d := ecttest.NewDomain()
	own, from := d.Agent(t, "billing"), d.Agent(t, "shop")
	for home, identity := range map[bool]string{true: own.Identity, false: "spiffe://elsewhere.example/billing"} {
		spans := tracetest.NewSpanRecorder()
		tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		bridge := must(otelbridge.New(identity, otelbridge.ShowTasks(), otelbridge.WithTaskSpans(), otelbridge.WithTracerProvider(tracers)))
		service := d.ServiceWithPolicy(t, own, own.Policy(), nil, core.WithObserver(bridge.Observer()))
		r := httptest.NewRequest(http.MethodPost, "/invoices", http.NoBody)
		r.Header.Set(httpect.FieldName, from.Token(own.Identity).Sign(t))
		r.Header.Set("traceparent", "00-"+cameTrace+"-"+cameSpan+"-01")
		senderPage(bridge, service, http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
		all := spans.Ended()
		if len(all) != 1 || attr(all[0].Attributes(), otelbridge.AttrTaskID) == "" {
			t.Fatalf("the spans are %v, want one with the task", all)
		}
		if goesOn := all[0].SpanContext().TraceID().String() == cameTrace; goesOn != home {
			t.Errorf("the trace goes on: %t, want %t", goesOn, home)
		}
	}
}
