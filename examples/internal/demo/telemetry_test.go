// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package demo_test

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/otelbridge"
)

const (
	endpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
)

// environment has no collector but those that are named.
func environment(t *testing.T, vars map[string]string) {
	t.Helper()
	t.Setenv(endpoint, "")
	t.Setenv(tracesEndpoint, "")
	for name, value := range vars {
		t.Setenv(name, value)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestNewTelemetry(t *testing.T) {
	for _, tt := range []struct {
		name    string
		vars    map[string]string
		exports bool
		fails   string // what the error names, "" for none
	}{
		{"nothing named", nil, false, ""},
		{"blank", map[string]string{endpoint: " "}, false, ""},
		{"a collector", map[string]string{endpoint: "http://127.0.0.1:4318"}, true, ""},
		{"a collector with TLS", map[string]string{endpoint: "https://collector.example"}, true, ""},
		{"one for traces", map[string]string{tracesEndpoint: "http://127.0.0.1:4318/v1/traces"}, true, ""},
		{"no scheme", map[string]string{endpoint: "127.0.0.1:4318"}, false, endpoint},
		{"a host for a scheme", map[string]string{endpoint: "localhost:4318"}, false, endpoint},
		{"another scheme", map[string]string{endpoint: "grpc://127.0.0.1:4317"}, false, endpoint},
		{"no host", map[string]string{endpoint: "http:///v1"}, false, endpoint},
		{"no URL", map[string]string{endpoint: "http://[::1"}, false, endpoint},
		{"no URL for traces", map[string]string{endpoint: "http://127.0.0.1:4318", tracesEndpoint: "x"}, false, tracesEndpoint},
	} {
		t.Run(tt.name, func(t *testing.T) {
			environment(t, tt.vars)
			to, err := demo.NewTelemetry("test", otelbridge.ShowTasks(), quiet())
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails+" ") {
					t.Fatalf("NewTelemetry = %v, want an error that names %s", err, tt.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tracers, err := to.Tracers(t.Context(), "service")
			if err != nil {
				t.Fatal(err)
			}
			if _, span := tracers.Tracer("test").Start(t.Context(), "span"); span.IsRecording() != tt.exports {
				t.Errorf("a span records: %t, want %t", span.IsRecording(), tt.exports)
			}
			if err := to.Close(t.Context()); err != nil { // the span has not ended
				t.Error(err)
			}
		})
	}
}

// spans ends some spans of a service.
func spans(t *testing.T, to *demo.Telemetry, n int) {
	t.Helper()
	tracers, err := to.Tracers(t.Context(), "service")
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		_, span := tracers.Tracer("test").Start(t.Context(), "span", trace.WithSpanKind(trace.SpanKindServer))
		span.End()
	}
}

// TestClose has collectors that take spans, and that do not.
func TestClose(t *testing.T) {
	for _, tt := range []struct {
		name    string
		status  int
		sampler string
		spans   int
		want    string // of the error, "" for none
		posted  bool
	}{
		{"taken", http.StatusOK, "", 3, "", true},
		{"nothing to take", http.StatusOK, "", 0, "", false},
		{"none is sampled", http.StatusBadRequest, "always_off", 3, "", false},
		{"refused", http.StatusBadRequest, "", 3, "3 of 3 spans of service were not delivered: ", true},
		{"not allowed", http.StatusUnauthorized, "", 1, "1 of 1 spans of service were not delivered: ", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var posts atomic.Int32
			collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost && r.URL.Path == "/v1/traces" && r.Header.Get("X-Key") == "k" {
					posts.Add(1)
				}
				w.WriteHeader(tt.status)
			}))
			t.Cleanup(collector.Close)
			environment(t, map[string]string{endpoint: collector.URL})
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=k")
			if tt.sampler != "" {
				t.Setenv("OTEL_TRACES_SAMPLER", tt.sampler)
			}
			var log strings.Builder
			to, err := demo.NewTelemetry("test", otelbridge.ShowTasks(), slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			spans(t, to, tt.spans)
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // as by a signal
			err = to.Close(ctx)
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Close = %v, want %q", err, tt.want)
			}
			if logged := strings.Contains(log.String(), "spans not delivered"); logged != (tt.want != "") {
				t.Errorf("it logged %q", log.String())
			}
			if got := posts.Load() > 0; got != tt.posted {
				t.Errorf("the collector was asked: %t, want %t", got, tt.posted)
			}
			if err := to.Close(t.Context()); err != nil {
				t.Errorf("Close again: %v", err)
			}
		})
	}
}

// TestCloseNobody exports to where nobody listens.
func TestCloseNobody(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	environment(t, map[string]string{tracesEndpoint: gone.URL + "/v1/traces"})
	to, err := demo.NewTelemetry("test", otelbridge.ShowTasks(), quiet())
	if err != nil {
		t.Fatal(err)
	}
	spans(t, to, 2)
	if err := to.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "2 of 2 spans of service were not delivered: ") {
		t.Errorf("Close = %v", err)
	}
}

func TestZeroTelemetry(t *testing.T) {
	var to demo.Telemetry
	spans(t, &to, 1)
	if err := to.Close(t.Context()); err != nil || to.Headers() != 0 {
		t.Errorf("Close = %v, Headers() = %d", err, to.Headers())
	}
}

func TestCorrelation(t *testing.T) {
	for _, tt := range []struct {
		name    string
		args    []string
		want    otelbridge.Policy
		edge    otelbridge.Edge // among those who agreed
		headers core.TraceHeaders
	}{
		{"nothing said", nil, otelbridge.ShowTasks(), otelbridge.EdgeContinue, core.TraceParent},
		{"tasks", []string{"-correlation", "tasks"}, otelbridge.ShowTasks(), otelbridge.EdgeContinue, core.TraceParent},
		{"nothing", []string{"-correlation", "nothing"}, otelbridge.ShowNothing(), otelbridge.EdgeRestart, 0},
		{"everything", []string{"-correlation", "everything"}, otelbridge.ShowEverything(), otelbridge.EdgeContinue, core.TraceParent},
		{"the last counts", []string{"-correlation", "everything", "-correlation", "nothing"}, otelbridge.ShowNothing(), otelbridge.EdgeRestart, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			flags := flag.NewFlagSet("test", flag.ContinueOnError)
			got := demo.Correlation(flags)
			if err := flags.Parse(tt.args); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("the policy (-want +got):\n%s", diff)
			}
			to := demo.Telemetry{Policy: demo.Together(*got)}
			if to.Policy.Edge != tt.edge || to.Headers() != tt.headers {
				t.Errorf("together: %v and headers %d, want %v and %d", to.Policy.Edge, to.Headers(), tt.edge, tt.headers)
			}
		})
	}
	for _, name := range []string{"", "all", "Tasks"} {
		flags := flag.NewFlagSet("test", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		demo.Correlation(flags)
		if err := flags.Parse([]string{"-correlation", name}); err == nil {
			t.Errorf("-correlation %q is accepted", name)
		}
	}
}
