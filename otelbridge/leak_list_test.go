// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"maps"

	"github.com/go-ect/ect/otelbridge"
)

// Why both workflows have something in common that the bridge has nothing to do with.
const (
	sameServices = "the same services work for both, and say who they are and where"
	sameKinds    = "one of few kinds that OpenTelemetry or Jaeger has"
	sameProtocol = "what a protocol has few of"
	samePath     = "otelhttp and otelgrpc write what is called: one URL is called by both"
	sameSize     = "otelhttp writes how large bodies are: it is one document"
	samePeer     = "calls share connections, and otelhttp and otelgrpc write the ports of those"
	sameRefusal  = "the sentence of a class of refusals"
	closedSet    = "a closed set of values, or a count"
)

// theirs is where two workflows have values in common under every policy. It is exact: what is
// not in common any more must leave it.
var theirs = map[string]string{
	"resource[service.name]":           sameServices,
	"resource[telemetry.sdk.language]": sameServices,
	"resource[telemetry.sdk.name]":     sameServices,
	"resource[telemetry.sdk.version]":  sameServices,
	"process.serviceName":              sameServices,
	"process[telemetry.sdk.language]":  sameServices,
	"process[telemetry.sdk.name]":      sameServices,
	"process[telemetry.sdk.version]":   sameServices,
	"process.id":                       "a number that Jaeger gives within one answer",
	"span.processID":                   "a number that Jaeger gives within one answer",
	"scope.name":                       sameServices,
	"scope.version":                    sameServices,
	"span[otel.scope.name]":            sameServices,
	"span[otel.scope.version]":         sameServices,
	"span[server.address]":             sameServices,
	"span[server.port]":                sameServices,

	"span.flags":                    sameKinds,
	"link.refType":                  sameKinds,
	"span.kind":                     sameKinds,
	"span[span.kind]":               sameKinds,
	"span.status.code":              sameKinds,
	"span[otel.status_code]":        sameKinds,
	"span[error]":                   sameKinds,
	"span.status.message":           sameRefusal,
	"span[otel.status_description]": sameRefusal,

	"span.name":          samePath,
	"span.operationName": samePath,
	"span[http.route]":   samePath,
	"span[rpc.method]":   samePath,
	"span[url.full]":     samePath,
	"span[url.path]":     samePath,

	"span[error.type]":                sameProtocol,
	"span[http.request.method]":       sameProtocol,
	"span[http.response.status_code]": sameProtocol,
	"span[network.protocol.version]":  sameProtocol,
	"span[rpc.response.status_code]":  sameProtocol,
	"span[rpc.system.name]":           sameProtocol,
	"span[url.scheme]":                sameProtocol,
	"span[user_agent.original]":       sameProtocol,

	"span[http.request.body.size]":  sameSize,
	"span[http.response.body.size]": sameSize,
	"span[client.address]":          samePeer,
	"span[network.peer.address]":    samePeer,
	"span[network.peer.port]":       samePeer,
}

// ours is where the bridge writes values that two workflows have in common: names of events,
// and what [otelbridge.Attributes] says is of no claim.
var ours = map[string]string{
	"event.name":                      closedSet,
	"event[event]":                    closedSet,
	"event[ect.kind]":                 closedSet,
	"event[ect.level]":                closedSet,
	"event[ect.outcome]":              closedSet,
	"event[ect.predecessor.count]":    closedSet,
	"event[ect.predecessor.withheld]": closedSet,
	"event[ect.result]":               closedSet,
	"span[ect.kind]":                  closedSet,
	"span[ect.level]":                 closedSet,
	"span[ect.outcome]":               closedSet,
	"span[ect.predecessor.count]":     closedSet,
	"span[ect.predecessor.withheld]":  closedSet,
	"span[ect.result]":                closedSet,
}

// common returns where two workflows have values in common under a policy, and why.
func common(p otelbridge.Policy) map[string]string {
	all := maps.Clone(theirs)
	maps.Copy(all, ours)
	if p.Links != otelbridge.LinksNone {
		all["link.flags"] = sameKinds
		all["event[ect.binding]"] = closedSet
	}
	return all
}

// sayable is what stands in tokens and in traces all the same, wherever a policy hides it.
var sayable = func() map[said]string {
	const (
		words = "a word of the library's own"
		route = "an action that nobody sets is the route or the method, which otelhttp and otelgrpc write as well"
	)
	m := map[said]string{}
	for _, place := range []string{"event[ect.kind]", "span[ect.kind]", "event.name", "event[event]"} {
		m[said{"dispatch", place}] = words
	}
	m[said{"join", "event[ect.kind]"}] = words
	for _, place := range []string{"span.name", "span.operationName"} {
		m[said{"post /notes", place}] = route
		m[said{"post /boxes/{id}", place}] = route
		m[said{"post /scores/{id}", place}] = route
		m[said{"grpc.testing.testservice/unarycall", place}] = route
	}
	m[said{"grpc.testing.testservice/unarycall", "span[rpc.method]"}] = route
	return m
}()
