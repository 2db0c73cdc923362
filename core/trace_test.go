// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
)

// traceHeaders are names of headers of tracing, one at least for each that is known, and what
// each needs. The list is the profile's ("Readings").
var traceHeaders = map[core.TraceHeaders][]string{
	core.TraceParent: {
		"traceparent", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags",
		"uber-trace-id", "jaeger-debug-id", "grpc-trace-bin", "ot-tracer-traceid", "ot-tracer-spanid",
		"ot-tracer-sampled", "x-amzn-trace-id", "x-cloud-trace-context", "sw8", "sw8-x", "sentry-trace",
		"elastic-apm-traceparent", "newrelic", "x-newrelic-id", "x-newrelic-transaction", "x-dynatrace",
		"x-honeycomb-trace", "x-ot-span-context", "x-datadog-trace-id", "x-datadog-parent-id",
		"x-datadog-sampling-priority", "x-datadog-origin", "x-datadog-tags", "x-instana-t", "x-instana-s", "x-instana-l",
	},
	core.TraceState: {"tracestate"},
	core.Baggage: {
		"baggage", "jaeger-baggage", "uberctx-user", "ot-baggage-user", "baggage-user", "grpc-tags-bin", "sw8-correlation",
		"correlation-context",
	},
}

// masks are all settings of what passes, those that no audience can have included.
func masks() (all []core.TraceHeaders) {
	for m := range core.Baggage << 1 {
		all = append(all, m)
	}
	return all
}

// TestTraceHeadersPass: a header of tracing passes where its bit is set, however it is
// written, and only there.
func TestTraceHeadersPass(t *testing.T) {
	for need, names := range traceHeaders {
		for _, name := range names {
			for _, m := range masks() {
				for _, written := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]} {
					if got, want := m.Passes(written), m&need != 0; got != want {
						t.Errorf("%03b.Passes(%q) = %t, want %t", m, written, got, want)
					}
				}
			}
		}
	}
}

// TestTraceHeadersElse: what only looks like a header of tracing is none.
func TestTraceHeadersElse(t *testing.T) {
	var none core.TraceHeaders
	for _, name := range []string{
		"", "b", "b33", "3b", "execution-context", "authorization", "x-request-id", "traceresponse", "x-b3", "b3-", "baggages",
		"trace-parent", "sw80", "sw", "x-ot-span-contexts", "grpc-trace", "grpc-timeout", "ot-tracer", "ot-baggage", "x-b2-traceid",
		"elastic-apm-traceparents", "user-agent", "x-amzn-trace-ids", "x-amz-date", strings.Repeat("x", 300),
	} {
		if !none.Passes(name) {
			t.Errorf("%q counts as a header of tracing", name)
		}
	}
	for _, names := range traceHeaders {
		for _, name := range names {
			for k := range name { // every byte left out, and every byte another
				for _, other := range []string{name[:k] + name[k+1:], name[:k] + "_" + name[k+1:], name[:k] + "\u017f" + name[k+1:]} {
					if !none.Passes(other) && !begins(other) && !known(other) {
						t.Errorf("%q counts as a header of tracing", other)
					}
				}
			}
		}
	}
}

// begins tells whether a name begins as a family of headers does.
func begins(name string) bool {
	for _, family := range []string{"x-b3-", "ot-tracer-", "ot-baggage-", "uberctx-", "baggage-", "x-datadog-", "x-instana-", "x-newrelic-"} {
		if strings.HasPrefix(name, family) {
			return true
		}
	}
	return false
}

func known(name string) bool {
	for _, names := range traceHeaders {
		if slices.Contains(names, name) {
			return true
		}
	}
	return false
}

// TestTraceHeadersAllocations: every header of every request is asked about.
func TestTraceHeadersAllocations(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		for _, name := range []string{"Traceparent", "Content-Type", "X-B3-Traceid", "x-something-else", "User-Agent"} {
			core.TraceParent.Passes(name)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// TestAudiencesTrace: what goes to a peer has nothing to do with whether tokens do.
func TestAudiencesTrace(t *testing.T) {
	const all = core.TraceParent | core.TraceState | core.Baggage
	s, err := core.NewAudiences(
		core.Audience{ID: "urn:a", Endpoints: []string{"https://a.example", "https://a.example:8443"}, Tokens: true, Answer: core.AnswerRequired, Trace: core.TraceParent},
		core.Audience{ID: "urn:b", Endpoints: []string{"https://b.example"}, Trace: all},
		core.Audience{ID: "urn:c", Endpoints: []string{"https://c.example"}, Tokens: true, Answer: core.AnswerOptional},
		core.Audience{ID: "urn:d", Trace: core.Baggage},
	)
	if err != nil {
		t.Fatal(err)
	}
	for endpoint, want := range map[string]core.TraceHeaders{
		"https://a.example": core.TraceParent, "https://a.example:8443": core.TraceParent, "https://b.example": all,
		"https://c.example": 0, "https://d.example": 0, "https://A.example": 0, "https://b.example/": 0, "": 0, "urn:b": 0,
	} {
		if got := s.TraceAt(endpoint); got != want {
			t.Errorf("TraceAt(%q) = %03b, want %03b", endpoint, got, want)
		}
	}
	for id, want := range map[string]core.TraceHeaders{
		"urn:a": core.TraceParent, "urn:b": all, "urn:c": 0, "urn:d": core.Baggage, "urn:e": 0, "URN:B": 0, "": 0, "https://b.example": 0,
	} {
		if got := s.TraceTo(id); got != want {
			t.Errorf("TraceTo(%q) = %03b, want %03b", id, got, want)
		}
	}
}
