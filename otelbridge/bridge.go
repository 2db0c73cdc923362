// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
)

const (
	// ScopeName is the name of the instrumentation scope of spans and metrics.
	ScopeName = "github.com/go-ect/ect/otelbridge"
	// Version is the version of the instrumentation scope.
	Version = "0.1.0-dev"
	// SpanName is the name of the spans that [WithTaskSpans] begins.
	SpanName = "ect.task"
)

// Limits of the index from tokens to spans.
const (
	// DefaultIndexSize is how many tokens the bridge remembers the spans of.
	DefaultIndexSize = 1 << 13
	// MinIndexSize and MaxIndexSize are what [WithIndexSize] can say.
	MinIndexSize = 1 << 6
	MaxIndexSize = 1 << 20
)

// Bridge writes what a service does with tokens beside its traces, as far as its policy
// lets it. It uses no global provider. It is safe for concurrent use.
type Bridge struct {
	show   *disclosure
	tracer trace.Tracer // nil unless the bridge begins spans of its own
	tokens *index
	idle   idleUnits
	// remembers tells that some propagator of the bridge remembers traces that came.
	remembers atomic.Bool
	meter     *metrics // nil unless a meter provider was given
}

// Option sets what has a good default, of [New].
type Option interface{ apply(config) config }

type option func(config) config

func (f option) apply(c config) config { return f(c) }

type config struct {
	tracers trace.TracerProvider
	meters  metric.MeterProvider
	replay  ReplayStore
	watch   bool
	spans   bool
	index   int
}

// WithTracerProvider sets where the spans come from that [WithTaskSpans] begins. What the
// bridge writes on spans of others needs none.
func WithTracerProvider(p trace.TracerProvider) Option {
	return option(func(c config) config { c.tracers = p; return c })
}

// WithMeterProvider sets where metrics go; without it there are none.
func WithMeterProvider(p metric.MeterProvider) Option {
	return option(func(c config) config { c.meters = p; return c })
}

// WithReplayStore shows as [MetricReplayClaims] how much a replay store holds: the one of the
// service's verifier, see [core.WithReplayStore]. It needs [WithMeterProvider], and holds the
// store for as long as that provider works.
func WithReplayStore(s ReplayStore) Option {
	return option(func(c config) config { c.replay, c.watch = s, true; return c })
}

// WithTaskSpans begins a span for each unit of work where none is active: for middleware
// that is outside of what begins spans, and for work that no request started. Predecessors
// that are known by then are among its links from its start, so that samplers see them. It
// needs [WithTracerProvider].
//
// The span ends when the task does, before its token is sent; that it could not be sent is told
// in a span below it. A message that is refused before its task began has a span of its own.
// A task that nobody asked for under [core.Optional] has a span as well, without a task id.
func WithTaskSpans() Option { return option(func(c config) config { c.spans = true; return c }) }

// WithIndexSize sets of how many tokens the bridge remembers the span, from [MinIndexSize] to
// [MaxIndexSize]; each takes some 300 bytes. The oldest is forgotten first, and what comes
// after it then has no link to it, and counts it as withheld.
func WithIndexSize(tokens int) Option {
	return option(func(c config) config { c.index = tokens; return c })
}

// New returns the bridge of a service whose identity that is. An error names what the policy
// or an option lacks.
func New(identity string, p Policy, opts ...Option) (*Bridge, error) {
	if u, err := url.Parse(identity); err != nil || u.Scheme == "" {
		return nil, errors.New("otelbridge: New: the identity is not a URI; it is the verifier's Policy.Audience")
	}
	show, err := newDisclosure(identity, p)
	if err != nil {
		return nil, err
	}
	c := config{index: DefaultIndexSize}
	for _, o := range opts {
		c = o.apply(c)
	}
	switch {
	case c.index < MinIndexSize || c.index > MaxIndexSize:
		return nil, fmt.Errorf("otelbridge: WithIndexSize: the number is not between %d and %d", MinIndexSize, MaxIndexSize)
	case c.spans && c.tracers == nil:
		return nil, errors.New("otelbridge: WithTaskSpans needs WithTracerProvider")
	case c.watch && c.replay == nil:
		return nil, errors.New("otelbridge: WithReplayStore: the store is nil")
	case c.watch && c.meters == nil:
		return nil, errors.New("otelbridge: WithReplayStore needs WithMeterProvider")
	}
	b := &Bridge{show: show, tokens: newIndex(c.index)}
	b.idle = idleUnits{message: &unit{b: b, adapter: true}, other: &unit{b: b}}
	if c.spans {
		b.tracer = c.tracers.Tracer(ScopeName, trace.WithInstrumentationVersion(Version))
	}
	if c.meters != nil {
		if b.meter, err = newMetrics(c.meters, c.replay); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// SetKeys replaces the keys of pseudonyms, without a pause. A key that stays must be what it
// was, and a new one begins after all that stay. It is an error, and nothing changes, where
// that does not hold, or the policy shows nothing as a pseudonym. Tokens that were issued since
// a new key's From have another name from now on, so let that lie in the future.
func (b *Bridge) SetKeys(keys []PseudonymKey) error { return b.show.rekey(keys) }

// Observer returns what the service's verifier is made with, see [core.WithObserver].
func (b *Bridge) Observer() core.Observer {
	o := core.Observer{
		Entered: b.entered, Rejected: b.rejected, BodyDiffered: b.rejected, Altered: b.rejected,
		Unsent: b.unsent, Evidence: b.evidence,
	}
	if b.meter != nil {
		o.Verified, o.Issued, o.Unrecorded = b.meter.verified, b.meter.issued, b.meter.rejected
	}
	return o
}

// TraceParent returns the W3C `traceparent` of the span that is active in ctx, "" where there
// is none that is sampled. It is for [core.WithTraceParent], under a policy with CarryTrace,
// and "" under any other.
func (b *Bridge) TraceParent(ctx context.Context) string {
	sc := trace.SpanContextFromContext(ctx)
	if !b.show.policy.CarryTrace || !sc.IsSampled() || sc.IsRemote() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), bare(sc)), carrier) //nolint:contextcheck // it is a formatter here
	return carrier.Get(traceparent)
}

const traceparent = "traceparent"

// parseTraceParent reads what TraceParent made; the span context is not valid if it did not.
func parseTraceParent(s string) trace.SpanContext {
	if s == "" {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{traceparent: s})
	return trace.SpanContextFromContext(ctx)
}

// bare returns a span context without its trace state, in which others may have written
// anything.
func bare(sc trace.SpanContext) trace.SpanContext { return sc.WithTraceState(trace.TraceState{}) }
