// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
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

// TestTraces has Jaeger find every task, what each came after, and what was refused.
func TestTraces(t *testing.T) {
	for _, tt := range []struct {
		name    string
		policy  otelbridge.Policy
		carried bool // tokens carry their span contexts
	}{
		{"tasks", otelbridge.ShowTasks(), false},
		{"everything", otelbridge.ShowEverything(), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tokens, printed, seen := exported(t, tt.policy)
			if n := seen.Found(t, tracetest.Issued(tokens)); n != len(tokens) {
				t.Errorf("%d of %d tasks are found", n, len(tokens))
			}
			if n := seen.FanIns(t, tokens, tt.carried); n < 4 {
				t.Errorf("%d tokens have predecessors in the plural; there are more", n)
			}
			seen.OneTrace(t, tokens)
			seen.Refusals(t, printed)
		})
	}
}

// TestTracesOfNothing has Jaeger tell that requests were refused and why, and of no task.
func TestTracesOfNothing(t *testing.T) {
	tokens, printed, seen := exported(t, otelbridge.ShowNothing())
	if n := seen.Found(t, tracetest.Issued(tokens)); n != 0 {
		t.Errorf("%d of %d tasks are found", n, len(tokens))
	}
	seen.Refusals(t, printed)
}

// TestRunTraces has Jaeger show of tokens what -correlation says.
func TestRunTraces(t *testing.T) {
	var every []attribute.Key
	for _, a := range otelbridge.Attributes() {
		if a.Claim != 0 {
			every = append(every, a.Key)
		}
	}
	for _, tt := range []struct {
		name string
		args []string
		want []attribute.Key
	}{
		{"tasks if nothing is said", nil, []attribute.Key{otelbridge.AttrTaskID, otelbridge.AttrWorkflowID}},
		{"nothing", []string{"-correlation", "nothing"}, nil},
		{"everything", []string{"-correlation", "everything"}, every},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := jaegertest.Start(t)
			t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", j.OTLPHTTP()+"/v1/traces")
			var out bytes.Buffer
			if err := run(t.Context(), tt.args, &out, t.Output()); err != nil {
				t.Fatalf("run: %v\n%s", err, &out)
			}
			seen, tasks := tracetest.Of(t, j), tracetest.Printed(out.String())
			if diff := cmp.Diff(tt.want, seen.Claims()); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			due := 0
			if tt.want != nil {
				due = len(tasks)
			}
			if n := seen.Found(t, tasks); n != due || len(tasks) == 0 {
				t.Errorf("%d tasks of %d that were printed are found, want %d", n, len(tasks), due)
			}
		})
	}
}

// TestNotDelivered fails a run whose traces nobody takes, when all else was as it should be.
func TestNotDelivered(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", gone.URL)
	var out bytes.Buffer
	err := run(t.Context(), nil, &out, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "spans of planner were not delivered") {
		t.Errorf("run = %v", err)
	}
	if !strings.Contains(out.String(), "All as it should be.") {
		t.Errorf("the run itself:\n%s", &out)
	}
}

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
