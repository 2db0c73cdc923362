// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import "strings"

// TraceHeaders says which headers of distributed tracing go to a peer (profile 10.3), over
// gRPC which metadata. They tell of a workflow what tokens tell, and to whoever sees them:
// which calls belong together, within and across trust domains. Its zero value lets none pass.
type TraceHeaders uint8

const (
	// TraceParent lets `traceparent` of W3C Trace Context pass, and what other systems have
	// in its place or beside it: the headers of B3, Jaeger, OpenTracing, OpenCensus, AWS
	// X-Ray, Google Cloud Trace, Datadog, SkyWalking, Sentry, Elastic APM, New Relic, Instana,
	// Dynatrace, Honeycomb and Lightstep. Profile "Readings" has the list, which is closed.
	TraceParent TraceHeaders = 1 << iota
	// TraceState lets `tracestate` of W3C Trace Context pass, which goes with a traceparent.
	TraceState
	// Baggage lets `baggage` of W3C Baggage pass, and what Jaeger, OpenTracing, OpenCensus,
	// Brave and SkyWalking have in its place.
	Baggage
)

const everyTraceHeader = TraceParent | TraceState | Baggage

// Passes tells whether a header of a name may go along, whatever its case. What is no header
// of tracing passes. It allocates nothing.
func (t TraceHeaders) Passes(name string) bool {
	need := traceHeader(name)
	return t&need == need
}

// traceName is the name of a header of tracing, or what such names begin with.
type traceName struct {
	name string
	need TraceHeaders
}

var traceNames = [...]traceName{
	{"traceparent", TraceParent},
	{"tracestate", TraceState},
	{"baggage", Baggage},

	{"b3", TraceParent},                      // B3, in one header
	{"uber-trace-id", TraceParent},           // Jaeger
	{"jaeger-debug-id", TraceParent},         // Jaeger
	{"jaeger-baggage", Baggage},              // Jaeger
	{"grpc-trace-bin", TraceParent},          // OpenCensus, over gRPC
	{"grpc-tags-bin", Baggage},               // OpenCensus, over gRPC
	{"x-amzn-trace-id", TraceParent},         // AWS X-Ray
	{"x-cloud-trace-context", TraceParent},   // Google Cloud Trace
	{"sw8", TraceParent},                     // SkyWalking
	{"sw8-x", TraceParent},                   // SkyWalking
	{"sw8-correlation", Baggage},             // SkyWalking
	{"sentry-trace", TraceParent},            // Sentry
	{"elastic-apm-traceparent", TraceParent}, // Elastic APM
	{"newrelic", TraceParent},                // New Relic
	{"x-dynatrace", TraceParent},             // Dynatrace
	{"x-honeycomb-trace", TraceParent},       // Honeycomb
	{"x-ot-span-context", TraceParent},       // Lightstep
	{"correlation-context", Baggage},         // a draft of W3C Baggage
}

var tracePrefixes = [...]traceName{
	{"x-b3-", TraceParent},       // B3, in several
	{"ot-tracer-", TraceParent},  // OpenTracing
	{"ot-baggage-", Baggage},     // OpenTracing
	{"uberctx-", Baggage},        // Jaeger
	{"baggage-", Baggage},        // Brave
	{"x-datadog-", TraceParent},  // Datadog
	{"x-instana-", TraceParent},  // Instana
	{"x-newrelic-", TraceParent}, // New Relic
}

// traceNamesOf has the names by their length, as most headers have none of theirs.
var traceNamesOf = func() (of [len("elastic-apm-traceparent") + 1][]traceName) {
	for _, t := range traceNames {
		of[len(t.name)] = append(of[len(t.name)], t)
	}
	return of
}()

// traceHeader returns what must be set for a header to pass, 0 if it is none of tracing.
func traceHeader(name string) TraceHeaders {
	if name == "" {
		return 0
	}
	first := name[0] | ('a' ^ 'A') // in lower case, as all of theirs are letters
	if len(name) < len(traceNamesOf) {
		for i := range traceNamesOf[len(name)] {
			if t := &traceNamesOf[len(name)][i]; t.name[0] == first && strings.EqualFold(name, t.name) {
				return t.need
			}
		}
	}
	for i := range tracePrefixes {
		if t := &tracePrefixes[i]; t.name[0] == first && len(name) >= len(t.name) && strings.EqualFold(name[:len(t.name)], t.name) {
			return t.need
		}
	}
	return 0
}

// TraceAt returns which headers of tracing go to the peer at an endpoint, whether tokens go
// there or not; none to one that is not named.
func (s *Audiences) TraceAt(endpoint string) TraceHeaders {
	if a := s.byEndpoint[endpoint]; a != nil {
		return a.Trace
	}
	return 0
}

// TraceTo returns which headers of tracing go to the peer of an identity, whether tokens go
// there or not; none to one that is not named.
func (s *Audiences) TraceTo(identity string) TraceHeaders {
	if a := s.byID[identity]; a != nil {
		return a.Trace
	}
	return 0
}
