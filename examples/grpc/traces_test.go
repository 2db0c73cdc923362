// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/metadata"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/examples/grpc/examplepb"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/examples/internal/tracetest"
	"github.com/go-ect/ect/internal/jaegertest"
	"github.com/go-ect/ect/otelbridge"
)

// exported runs the demonstration with its traces going to Jaeger, and returns the tokens that
// were issued, what was printed and what Jaeger has of it.
func exported(t *testing.T, p otelbridge.Policy) ([]*core.Issued, string, *tracetest.View) {
	t.Helper()
	j := jaegertest.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", j.OTLPHTTP())
	to, err := demo.NewTelemetry("examples/grpc", demo.Together(p), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := newChain(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.show(t.Context(), order(7), &out); err != nil {
		t.Error(err)
	}
	if err := c.close(); err != nil {
		t.Error(err)
	}
	if err := to.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return c.tokens(), out.String(), tracetest.Of(t, j)
}

func TestTraces(t *testing.T) { tracetest.Shows(t, exported, 4) }

func TestTracesOfNothing(t *testing.T) { tracetest.ShowsNothing(t, exported) }

func TestRunTraces(t *testing.T) { tracetest.Correlates(t, run) }

func TestNotDelivered(t *testing.T) { tracetest.FailsUndelivered(t, run, "planner") }

// TestServeTraces has Jaeger show what -serve was asked: a task, in a trace that begins at
// the service, and a refusal.
func TestServeTraces(t *testing.T) {
	j := jaegertest.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", j.OTLPHTTP())
	d := ecttest.NewDomain()
	from := d.Agent(t, "client")
	addr, stop := start(t, trustFile(t, d.JWKSets()))
	tasks := examplepb.NewTaskServiceClient(dial(t, addr))
	const callersTrace = "0102030405060708090a0b0c0d0e0f10"
	ctx := metadata.AppendToOutgoingContext(with(t, from.Token(audience).Sign(t)), "traceparent", "00-"+callersTrace+"-0102030405060708-01")
	answer, err := tasks.Record(ctx, &examplepb.RecordRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tasks.Record(ctx, &examplepb.RecordRequest{}); err == nil {
		t.Error("the same token was accepted again")
	}
	if err := stop(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
	results := map[string]string{}
	for _, s := range tracetest.Of(t, j).Named("ect.example.v1.TaskService/Record") {
		results[s.Tags["ect.result"]] = s.Tags["ect.task.id"]
		if s.Service != "grpc" || s.Process["service.namespace"] != "examples/grpc" {
			t.Errorf("it is of the service %q in %q", s.Service, s.Process["service.namespace"])
		}
		if s.TraceID == callersTrace || s.Parent() != "" {
			t.Errorf("it goes on with the trace of who called, below %q", s.Parent())
		}
	}
	if diff := cmp.Diff(map[string]string{"accepted": answer.GetTask(), "replayed": ""}, results); diff != "" {
		t.Errorf("results and tasks (-want +got):\n%s", diff)
	}
}
