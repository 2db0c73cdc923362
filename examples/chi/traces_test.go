// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
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
	to, err := demo.NewTelemetry("examples/chi", demo.Together(p), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := newPipeline(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := pipe.show(t.Context(), shipped, &out); err != nil {
		t.Error(err)
	}
	if err := pipe.close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := to.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return pipe.tokens(), out.String(), tracetest.Of(t, j)
}

func TestTraces(t *testing.T) { tracetest.Shows(t, exported, 5) }

func TestTracesOfNothing(t *testing.T) { tracetest.ShowsNothing(t, exported) }

func TestRunTraces(t *testing.T) { tracetest.Correlates(t, run) }

func TestNotDelivered(t *testing.T) { tracetest.FailsUndelivered(t, run, "intake") }

// TestServeTraces has Jaeger show what -serve was asked: a task, in a trace that begins at
// the service, and a refusal.
func TestServeTraces(t *testing.T) {
	j := jaegertest.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", j.OTLPHTTP())
	t.Setenv("OTEL_SERVICE_NAME", "echo")
	d := ecttest.NewDomain()
	from := d.Agent(t, "curl")
	const audience = "https://service.example/echo"
	url, stop := start(t, trustFile(t, d.JWKSets()), audience)
	token := from.Token(audience).Sign(t)
	_, body, _ := post1(t, url, token)
	post1(t, url, token)
	if err := stop(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
	var answer struct {
		Task string `json:"task"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	results := map[string]string{}
	for _, s := range tracetest.Of(t, j).Named("POST /tasks/{action}") {
		results[s.Tags["ect.result"]] = s.Tags["ect.task.id"]
		if s.Service != "echo" || s.Process["service.namespace"] != "examples/chi" {
			t.Errorf("it is of the service %q in %q", s.Service, s.Process["service.namespace"])
		}
		if s.TraceID == callersTrace || s.Parent() != "" {
			t.Errorf("it goes on with the trace of who called, below %q", s.Parent())
		}
	}
	if diff := cmp.Diff(map[string]string{"accepted": answer.Task, "replayed": ""}, results); diff != "" {
		t.Errorf("results and tasks (-want +got):\n%s", diff)
	}
}
