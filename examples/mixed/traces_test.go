// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"log/slog"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/examples/internal/tracetest"
	"github.com/go-ect/ect/internal/jaegertest"
	"github.com/go-ect/ect/otelbridge"
)

// TestTraces has Jaeger show one trace of HTTP, gRPC and HTTP, with every task in it.
func TestTraces(t *testing.T) {
	for _, tt := range []struct {
		name    string
		policy  otelbridge.Policy
		level   core.Level
		carried bool // tokens carry their span contexts
	}{
		{"tasks", otelbridge.ShowTasks(), core.L2, false},
		{"everything", otelbridge.ShowEverything(), core.L2, true},
		{"unsigned tasks", otelbridge.ShowTasks(), core.L1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := jaegertest.Start(t)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", j.OTLPHTTP())
			to, err := demo.NewTelemetry("examples/mixed", demo.Together(tt.policy), slog.New(slog.NewTextHandler(t.Output(), nil)))
			if err != nil {
				t.Fatal(err)
			}
			c, err := newChain(t.Context(), to)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.show(t.Context(), tt.level, io.Discard); err != nil {
				t.Error(err)
			}
			if err := c.close(); err != nil {
				t.Error(err)
			}
			if err := to.Close(t.Context()); err != nil {
				t.Error(err)
			}
			seen, tokens := tracetest.Of(t, j), c.tokens()
			if n := seen.Found(t, tracetest.Issued(tokens)); n != len(tokens) {
				t.Errorf("%d of %d tasks are found", n, len(tokens))
			}
			if n := seen.FanIns(t, tokens, tt.carried); n != 2 {
				t.Errorf("%d tokens have predecessors in the plural, not 2", n)
			}
			seen.OneTrace(t, tokens)
		})
	}
}
