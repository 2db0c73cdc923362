// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"testing"

	"go.opentelemetry.io/otel/propagation"

	"github.com/go-ect/ect/otelbridge"
)

// TestNoPropagator: a propagator that is missing is found when the program is wired, and not by
// the first request.
func TestNoPropagator(t *testing.T) {
	b, err := otelbridge.New(identity, otelbridge.ShowTasks())
	if err != nil {
		t.Fatal(err)
	}
	for name, with := range map[string]func(propagation.TextMapPropagator) propagation.TextMapPropagator{
		"EdgePropagator": b.EdgePropagator, "SenderPropagator": b.SenderPropagator,
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got, want := recover(), "otelbridge."+name+": the propagator is nil"; got != want {
					t.Errorf("it panics with %v, want %q", got, want)
				}
			}()
			with(nil)
		})
	}
}
