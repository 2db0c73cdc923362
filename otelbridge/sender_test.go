// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/otelbridge"
)

// TestSenderIsThePeer: the trace of a message goes on for a sender of the own trust domain.
// Who presents the token of another is none, where the transport tells who that is.
func TestSenderIsThePeer(t *testing.T) {
	const home, foreign = "spiffe://test.example/b", "spiffe://other.example/stranger"
	for _, c := range []struct {
		name, peer string
		heads      []string
		goesOn     bool
	}{
		{"nobody authenticated, home", "", []string{"b"}, true},
		{"nobody authenticated, all of home", "", []string{"b", "c"}, true},
		{"nobody authenticated, one foreign", "", []string{"b", ""}, false},
		{"nobody authenticated, foreign", "", []string{""}, false},
		{"home", home, []string{"b"}, true},
		{"home, with what another of home gave it", home, []string{"c"}, true},
		{"home, with what a stranger gave it", home, []string{""}, false},
		{"foreign", foreign, []string{""}, false},
		{"foreign, with what home gave it", foreign, []string{"b"}, false},
		{"foreign, with what two of home gave it", foreign, []string{"b", "c"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := ecttest.NewDomain()
			binder := newAbroad(t, d)
			w := newTraced(t, d, "a", setup{show: otelbridge.ShowTasks(), binder: binder})
			var tokens []string
			for _, name := range c.heads {
				from := binder.stranger
				if name != "" {
					from = d.Agent(t, name)
				}
				tokens = append(tokens, from.Token(w.Identity).Sign(t))
			}
			r, err := w.service.Verifier().Verify(t.Context(), core.Presented{Values: tokens, Evidence: core.Evidence{Peer: c.peer}})
			if err != nil {
				t.Fatal(err)
			}
			if r.Peer() != c.peer {
				t.Errorf("the peer is %q", r.Peer())
			}
			ctx := w.bridge.SenderPropagator(w3c).Extract(core.ContextWithReceived(t.Context(), r),
				propagation.MapCarrier{"traceparent": "00-" + cameTrace + "-" + cameSpan + "-01"})
			if goesOn := trace.SpanContextFromContext(ctx).IsValid(); goesOn != c.goesOn {
				t.Errorf("the trace goes on: %t", goesOn)
			}
		})
	}
}
