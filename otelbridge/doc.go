// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package otelbridge links the tasks that tokens record to the spans of OpenTelemetry, as
// far as a policy lets it.
//
// # Use
//
// A [Bridge] is of one service. It attaches to the service's verifier, and uses no global
// provider:
//
//	bridge, err := otelbridge.New(identity, otelbridge.ShowTasks())
//	...
//	verifier, err := core.NewVerifier(binder, policy, core.WithObserver(bridge.Observer()))
//
// It writes on the span that is active when a unit of work begins, so what begins spans goes
// outside of the adapters: otelhttp's handler around httpect.Middleware, otelhttp's transport
// around httpect.Transport. Over gRPC, otelgrpc's stats handlers stand anywhere, that of a
// client in grpcect.GuardTrace. What takes messages from a queue begins its span before
// core.Extract, and work that no request started before core.Service.StartTask; or
// [WithTaskSpans] begins one where there is none.
//
// # What is shown
//
// A span stands for one token, whose attributes it has: that of a server for the task, that of
// a call for its dispatch. What else happens in it, and what its token comes after, are events
// and links. A refusal shows its code, and nothing of what was refused. [Policy] says which
// claims are shown, and how; what it leaves out is not. [Attributes] lists all that there is.
//
// # Traces that come and go
//
// The bridge decides on no header that goes out: core.Audience.Trace does, and the adapters
// hold calls to it. What becomes of a trace that comes in is [Bridge.EdgePropagator]'s, or
// [Bridge.SenderPropagator]'s. Nothing of a token goes into baggage or tracestate.
//
// # Metrics
//
// [WithMeterProvider] turns them on. Their labels are from closed sets; no id is ever one.
//
// All of it is safe for concurrent use, and nothing of it decides whether a message is
// accepted.
package otelbridge
