// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/otelbridge"
)

// bridgeBenches has the cases of the bridge. All are requests under otelhttp whose signatures
// are remembered, so that crypto is none of what is measured. The floor of the bridge is the
// same service without it.
func bridgeBenches() []bench {
	tasks := otelbridge.ShowTasks()
	pseudonyms := otelbridge.ShowPseudonyms(otelbridge.PseudonymKey{
		Epoch: "1", Secret: otelbridge.NewSecret(bytes.Repeat([]byte("s"), otelbridge.MinSecretBytes)),
	})
	counted := func() []otelbridge.Option {
		return []otelbridge.Option{otelbridge.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())))}
	}
	const most, mostIdle = 2 * time.Microsecond, 50 * time.Nanosecond
	return []bench{
		{name: "otelhttp, sampled, a request verified over otelhttp alone", single: true, make: underOTel},
		{name: "bridge, a request that is sampled", single: true, target: most, make: bridged(sampled, false, tasks)},
		{name: "bridge, a request that is not sampled", single: true, target: mostIdle, make: bridged(notSampled, false, tasks)},
		{name: "bridge, a request without a provider", single: true, target: mostIdle, make: bridged(noProvider, false, tasks)},
		{name: "bridge, allocations of a request that is sampled", counts: true, allocTarget: 15, make: bridged(sampled, false, tasks)},
		{name: "bridge, allocations, not sampled", counts: true, make: bridged(notSampled, false, tasks)},
		{name: "bridge, allocations, without a provider", counts: true, make: bridged(noProvider, false, tasks)},
		{name: "bridge, sampled, with what the garbage collector takes", make: bridged(sampled, false, tasks)},
		{name: "bridge, sampled, pseudonyms", single: true, make: bridged(sampled, false, pseudonyms)},
		{name: "bridge, sampled, everything shown", single: true, make: bridged(sampled, false, otelbridge.ShowEverything())},
		{name: "bridge, sampled, with metrics", single: true, make: bridged(sampled, false, tasks, counted()...)},
		{name: "bridge, not sampled, with metrics", single: true, make: bridged(notSampled, false, tasks, counted()...)},
		{name: "bridge, sampled, a request recorded", single: true, make: bridged(sampled, true, tasks)},
	}
}

const (
	// presented is how many tokens take turns. The memory of signatures has so much room that
	// none of them takes the place of another.
	presented = 1024
	room      = 1 << 18
	// indexed is fewer: the bridge forgets one for each that comes, as it does after a while.
	indexed = presented / 2
)

// nowhere is an exporter of spans that nobody wants.
type nowhere struct{}

func (nowhere) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (nowhere) Shutdown(context.Context) error                             { return nil }

// tracers is where spans come from, and what ends it.
type tracers struct {
	trace.TracerProvider
	shutdown func(context.Context) error
}

func newSDK(opts ...sdktrace.TracerProviderOption) tracers {
	p := sdktrace.NewTracerProvider(append(opts, sdktrace.WithBatcher(nowhere{}))...)
	return tracers{p, p.Shutdown}
}

func sampled() tracers    { return newSDK() }
func notSampled() tracers { return newSDK(sdktrace.WithSampler(sdktrace.NeverSample())) }
func noProvider() tracers { return tracers{TracerProvider: tracenoop.NewTracerProvider()} }

// again gives the same tokens in turn.
type again struct {
	tokens []string
	n      int
}

func (a *again) next() []string {
	a.n = (a.n + 1) % len(a.tokens)
	return a.tokens[a.n : a.n+1]
}

// traced sends tokens again and again to a route under otelhttp, each once before that.
func traced(from tracers, tokens []string, use ...func(http.Handler) http.Handler) (*runner, error) {
	h := otelhttp.NewHandler(route(use...), "serve", otelhttp.WithTracerProvider(from),
		otelhttp.WithMeterProvider(metricnoop.NewMeterProvider()), otelhttp.WithPropagators(propagation.TraceContext{}))
	r := requests(h, &again{tokens: tokens})
	if from.shutdown != nil {
		r.close = func() error { return from.shutdown(context.Background()) }
	}
	_, err := turn(r, len(tokens))
	return r, err
}

// newBridgeScene returns a service that takes a token again, with tokens for it.
func newBridgeScene(records bool, opts ...core.VerifierOption) (*scene, error) {
	return newScene(true, records, core.Policy{MinLevel: core.L2, Replay: core.ReplayOff},
		append(opts, core.WithSignatureMemory(room))...)
}

func underOTel() (base, ours *runner, err error) {
	s, err := newBridgeScene(false)
	if err != nil {
		return nil, nil, err
	}
	tokens := s.stock()
	if err := tokens.prepare(presented); err != nil {
		return nil, nil, err
	}
	if base, err = traced(sampled(), tokens.tokens); err != nil {
		return base, nil, err
	}
	ours, err = traced(sampled(), tokens.tokens, httpect.Middleware(s.service))
	return base, ours, err
}

func bridged(from func() tracers, records bool, p otelbridge.Policy, opts ...otelbridge.Option) func() (base, ours *runner, err error) {
	return func() (base, ours *runner, err error) {
		b, err := otelbridge.New(service, p, append(opts, otelbridge.WithIndexSize(indexed))...)
		if err != nil {
			return nil, nil, err
		}
		if base, err = presentedAgain(from(), records); err != nil {
			return base, nil, err
		}
		ours, err = presentedAgain(from(), records, core.WithObserver(b.Observer()))
		return base, ours, err
	}
}

func presentedAgain(from tracers, records bool, opts ...core.VerifierOption) (*runner, error) {
	s, err := newBridgeScene(records, opts...)
	if err != nil {
		return nil, err
	}
	tokens := s.stock()
	if err := tokens.prepare(presented); err != nil {
		return nil, err
	}
	return traced(from, tokens.tokens, httpect.Middleware(s.service))
}
