// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/replay"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/otelbridge"
)

// stage is a service that is counted, and who sends to it.
type stage struct {
	*meters
	d        *ecttest.Domain
	from, to *ecttest.Agent
	service  *core.Service
}

func newStage(t *testing.T, change func(p *core.Policy), opts ...core.VerifierOption) *stage {
	t.Helper()
	d := ecttest.NewDomain()
	s := &stage{meters: newMeters(), d: d, from: d.Agent(t, "from"), to: d.Agent(t, "to")}
	p := s.to.Policy()
	if change != nil {
		change(&p)
	}
	s.service = s.meters.service(t, d, s.to, p, nil, opts...)
	return s
}

func (s *stage) token() *ecttest.Token { return s.from.Token(s.to.Identity) }

// take has a message verified, which must end with that code.
func (s *stage) take(t *testing.T, m core.Mode, want core.Code, tr core.Transport, tokens ...string) *core.Entry {
	t.Helper()
	e := new(core.Entry)
	bad := e.Verify(t.Context(), s.service, m, core.Presented{Values: tokens, Transport: tr})
	if got := core.Code(0); bad != nil && bad.Code != want || bad == nil && want != got {
		t.Fatalf("Verify = %v, want code %v", bad, want)
	}
	return e
}

const (
	atHTTP  = "ect.binding=jwk_set,ect.level=L2,ect.transport=http"
	atGRPC  = "ect.binding=jwk_set,ect.level=L2,ect.transport=grpc"
	atOther = "ect.binding=jwk_set,ect.level=L2,ect.transport=other"
	atL1    = "ect.binding=none,ect.level=L1,ect.transport=http"
)

// TestMetrics pins all that is counted, by what happens.
func TestMetrics(t *testing.T) {
	full := func(t *testing.T, c replay.Config) core.VerifierOption {
		t.Helper()
		store, err := replay.NewMemory(c)
		if err != nil {
			t.Fatal(err)
		}
		return core.WithReplayStore(store)
	}
	atLevel1 := func(p *core.Policy) { p.MinLevel = core.L1 }
	for _, c := range []struct {
		name string
		do   func(t *testing.T) *stage
		want map[string]int64
	}{
		{"nothing", func(t *testing.T) *stage { return newStage(t, nil) }, map[string]int64{}},
		{"accepted", func(t *testing.T) *stage {
			s := newStage(t, nil)
			for _, tr := range []core.Transport{core.TransportHTTP, core.TransportHTTP, core.TransportGRPC, core.TransportOther} {
				s.take(t, core.Enforce, 0, tr, s.token().Sign(t))
			}
			return s
		}, and(judged(atHTTP, 2), judged(atGRPC, 1), judged(atOther, 1))},
		{"unsigned", func(t *testing.T) *stage {
			s := newStage(t, atLevel1)
			s.take(t, core.Enforce, 0, core.TransportHTTP, s.token().Unsigned(t))
			return s
		}, judged(atL1, 1)},
		{"several heads count once, at the lowest level", func(t *testing.T) *stage {
			s := newStage(t, atLevel1)
			s.take(t, core.Enforce, 0, core.TransportHTTP, s.token().Sign(t), s.token().Unsigned(t), s.token().Sign(t))
			return s
		}, judged(atL1, 1)},
		{"refused by the verifier", func(t *testing.T) *stage {
			s := newStage(t, nil)
			s.take(t, core.Enforce, core.CodeLevel, core.TransportHTTP, s.token().Unsigned(t))
			s.take(t, core.Enforce, core.CodeMalformed, core.TransportGRPC, "?")
			return s
		}, and(judged("ect.code=level,ect.transport=http", 1), refusal("ect.code=level,ect.transport=http"),
			judged("ect.code=malformed,ect.transport=grpc", 1), refusal("ect.code=malformed,ect.transport=grpc"))},
		{"only observed", func(t *testing.T) *stage {
			s := newStage(t, nil)
			s.take(t, core.Observe, 0, core.TransportHTTP, s.token().Sign(t))
			s.take(t, core.Observe, 0, core.TransportHTTP)
			return s
		}, and(judged(atHTTP, 1), judged("ect.code=required,ect.transport=http", 1), refusal("ect.code=required,ect.transport=http"))},
		{"nothing asked for", func(t *testing.T) *stage {
			s := newStage(t, nil)
			s.take(t, core.Optional, 0, core.TransportHTTP)
			return s
		}, map[string]int64{}},
		{"presented before", func(t *testing.T) *stage {
			s := newStage(t, nil)
			text := s.token().Sign(t)
			s.take(t, core.Enforce, 0, core.TransportHTTP, text)
			s.take(t, core.Enforce, core.CodeReplayed, core.TransportHTTP, text)
			return s
		}, and(judged(atHTTP, 1), judged("ect.code=replayed,ect.transport=http", 1),
			refusal("ect.code=replayed,ect.transport=http"), stood("ect.code=replayed,ect.transport=http"))},
		{"the replay store is full", func(t *testing.T) *stage {
			s := newStage(t, nil, full(t, replay.Config{MaxSigned: 1}))
			s.take(t, core.Enforce, 0, core.TransportHTTP, s.token().Sign(t))
			s.take(t, core.Enforce, core.CodeUnavailable, core.TransportHTTP, s.token().Sign(t))
			return s
		}, and(judged(atHTTP, 1), judged("ect.code=unavailable,ect.transport=http", 1),
			refusal("ect.code=unavailable,ect.transport=http"), stood("ect.code=unavailable,ect.transport=http"))},
		{"no key source, and room for claims", func(t *testing.T) *stage {
			s := newStage(t, nil)
			s.d.Fail(errors.New("the key source is away"))
			s.take(t, core.Enforce, core.CodeUnavailable, core.TransportHTTP, s.token().Sign(t))
			return s
		}, and(judged("ect.code=unavailable,ect.transport=http", 1), refusal("ect.code=unavailable,ect.transport=http"))},
		{"another token of the same id", func(t *testing.T) *stage {
			s := newStage(t, nil)
			first := s.token()
			s.take(t, core.Enforce, 0, core.TransportHTTP, first.Sign(t))
			s.take(t, core.Enforce, core.CodeEquivocation, core.TransportHTTP, first.With("exec_act", "other").Sign(t))
			return s
		}, and(judged(atHTTP, 1), judged("ect.code=equivocation,ect.transport=http", 1), refusal("ect.code=equivocation,ect.transport=http"))},
		{"no action", func(t *testing.T) *stage {
			s := newStage(t, nil)
			e := s.take(t, core.Enforce, 0, core.TransportHTTP, s.token().Sign(t))
			if _, bad := e.Begin(t.Context(), s.service, core.Enforce, ""); bad == nil {
				t.Fatal("Begin without an action")
			}
			return s
		}, and(judged(atHTTP, 1), refusal("ect.code=unavailable,ect.transport=http"))},
		{"a task and a dispatch", func(t *testing.T) *stage {
			s := newStage(t, nil)
			ctx, task, err := s.service.StartTask(t.Context(), "work")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := task.Step(ctx, "step", core.StepInput{}); err != nil {
				t.Fatal(err)
			}
			if _, err := task.Finish(ctx, core.Completion{}); err != nil {
				t.Fatal(err)
			}
			return s
		}, issued(2)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.do(t).counts(t)); diff != "" {
				t.Errorf("what is counted (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMetricsOfCodesOfOthers: a binder that refuses with a code that core does not have adds
// no label.
func TestMetricsOfCodesOfOthers(t *testing.T) {
	for _, code := range []core.Code{0, 200, core.Code(len(core.Codes()) + 1)} {
		s := newStage(t, nil)
		s.d.Fail(core.NewError(code, nil))
		s.take(t, core.Enforce, core.CodeUnavailable, core.TransportHTTP, s.token().Sign(t))
		want := and(judged("ect.code=unavailable,ect.transport=http", 1), refusal("ect.code=unavailable,ect.transport=http"))
		if diff := cmp.Diff(want, s.counts(t)); diff != "" {
			t.Errorf("code %d (-want +got):\n%s", code, diff)
		}
	}
}

// TestDurations: what an adapter refused by itself has none, and what a verifier judged has
// one also where no time passed, or less.
func TestDurations(t *testing.T) {
	start := time.Now()
	for name, c := range map[string]struct {
		step time.Duration
		sum  float64
	}{
		"no time": {0, 0}, "a millisecond": {time.Millisecond, 1e-3}, "a clock that is set back": {-time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n := time.Duration(0)
			s := newStage(t, nil, core.WithClock(func() time.Time {
				n++
				return start.Add(n * c.step)
			}))
			n = 0
			reads := func() time.Duration { return n }
			s.take(t, core.Enforce, core.CodeRequired, core.TransportHTTP)
			between := reads() - 1 // the first is when it began
			s.service.Rejected(t.Context(), core.NewError(core.CodeUnsupported, nil), core.VerifyInfo{Transport: core.TransportHTTP})
			s.service.BodyDiffered(t.Context(), core.NewError(core.CodeBody, nil), core.VerifyInfo{Transport: core.TransportHTTP})
			_, points := s.instruments(t)
			got := points[otelbridge.MetricVerificationDuration]
			if len(got) != 1 || got[0].histogram.Count != 1 {
				t.Fatalf("durations are %v, want one", got)
			}
			if sum, want := got[0].histogram.Sum, c.sum*float64(between); sum < want-1e-9 || sum > want+1e-9 {
				t.Errorf("the duration is %v s, want %v", sum, want)
			}
			bounds := got[0].histogram.Bounds
			if !slices.IsSorted(bounds) || bounds[0] != 10e-6 || bounds[len(bounds)-1] != 1 {
				t.Errorf("the bounds are %v", bounds)
			}
		})
	}
}

// TestHooks: what key sources and ledgers tell.
func TestHooks(t *testing.T) {
	m := newMeters()
	b := m.bridge(t, identity)
	refreshed, unbound := b.KeysRefreshed(core.BindingJWKSet), b.KeysRefreshed(core.Binding(99))
	for _, err := range []error{nil, nil, errors.New("no route"), core.NewError(core.CodeMalformed, errors.New("no JSON")), core.NewError(0, nil)} {
		refreshed(t.Context(), err)
	}
	unbound(t.Context(), nil)
	for _, d := range []time.Duration{-time.Second, 0, 20 * time.Millisecond, time.Minute, time.Hour} {
		b.LedgerRecorded(t.Context(), d)
	}
	for _, err := range []error{nil, errors.New("disk full"), core.NewError(core.CodeUnrecorded, nil)} {
		b.LedgerFailed(t.Context(), err)
	}
	want := map[string]int64{
		"ect.key.refreshes{ect.binding=jwk_set}":                      2,
		"ect.key.refreshes{ect.binding=jwk_set,ect.code=unavailable}": 2,
		"ect.key.refreshes{ect.binding=jwk_set,ect.code=malformed}":   1,
		"ect.key.refreshes{ect.binding=none}":                         1,
		"ect.ledger.records{}":                                        5,
		"ect.ledger.record.duration{}":                                5,
		"ect.ledger.failures{ect.code=unavailable}":                   2,
		"ect.ledger.failures{ect.code=unrecorded}":                    1,
	}
	if diff := cmp.Diff(want, m.counts(t)); diff != "" {
		t.Errorf("what is counted (-want +got):\n%s", diff)
	}
	_, points := m.instruments(t)
	h := points[otelbridge.MetricLedgerDuration][0].histogram
	if want := (time.Hour + time.Minute + 20*time.Millisecond).Seconds(); h.Sum < want-1e-6 || h.Sum > want+1e-6 {
		t.Errorf("records took %v s, want %v", h.Sum, want)
	}
	if last := len(h.Bounds) - 1; !slices.IsSorted(h.Bounds) || h.Bounds[0] != 1e-3 || h.Bounds[last] != 60 || h.BucketCounts[last+1] != 1 {
		t.Errorf("the bounds are %v with %v", h.Bounds, h.BucketCounts)
	}
}

// TestWithoutMeterProvider: nothing is counted, and hooks do nothing.
func TestWithoutMeterProvider(t *testing.T) {
	b, err := otelbridge.New(identity, otelbridge.ShowNothing())
	if err != nil {
		t.Fatal(err)
	}
	b.KeysRefreshed(core.BindingJWKSet)(t.Context(), nil)
	b.LedgerRecorded(t.Context(), time.Second)
	b.LedgerFailed(t.Context(), errors.New("disk full"))
	if o := b.Observer(); o.Verified != nil || o.Issued != nil || o.Unrecorded != nil {
		t.Error("the observer asks for what only metrics need")
	}
	b.Observer().Rejected(t.Context(), core.NewError(core.CodeBody, nil), core.VerifyInfo{})
}

// TestReplayClaims: the gauge shows what the store holds when it is read.
func TestReplayClaims(t *testing.T) {
	d := ecttest.NewDomain()
	from, to := d.Agent(t, "from"), d.Agent(t, "to")
	now := time.Now()
	store, err := replay.NewMemory(replay.Config{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	m := newMeters()
	b := m.bridge(t, to.Identity, otelbridge.WithReplayStore(store))
	p := to.Policy()
	p.MinLevel = core.L1
	s := d.ServiceWithPolicy(t, to, p, nil, core.WithReplayStore(store), core.WithObserver(b.Observer()))
	want := func(signed, unsigned int64) {
		t.Helper()
		got := m.counts(t)
		if a, b := got["ect.replay.claims{ect.level=L2}"], got["ect.replay.claims{ect.level=L1}"]; a != signed || b != unsigned {
			t.Errorf("the store holds %d and %d, want %d and %d", a, b, signed, unsigned)
		}
	}
	want(0, 0)
	for range 3 {
		if _, _, err := core.Extract(t.Context(), s, core.MapCarrier{core.CarrierTokens: {from.Token(to.Identity).Sign(t)}}, core.ExtractInput{Action: "work"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := core.Extract(t.Context(), s, core.MapCarrier{core.CarrierTokens: {from.Token(to.Identity).Unsigned(t)}}, core.ExtractInput{Action: "work"}); err != nil {
		t.Fatal(err)
	}
	want(3, 1)
	now = now.Add(time.Hour)
	want(0, 0)
}

// TestExemplars: a measurement is made on the context of its message, so that a histogram
// leads to traces.
func TestExemplars(t *testing.T) {
	s := newStage(t, nil)
	ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "request")
	defer span.End()
	var e core.Entry
	if bad := e.Verify(ctx, s.service, core.Enforce, core.Presented{Values: []string{s.token().Sign(t)}}); bad != nil {
		t.Fatal(bad)
	}
	_, points := s.instruments(t)
	id := span.SpanContext().SpanID()
	if got := points[otelbridge.MetricVerificationDuration][0].histogram.Exemplars; len(got) != 1 || !slices.Equal(got[0].SpanID, id[:]) {
		t.Errorf("the duration's exemplars are %v", got)
	}
	if got := points[otelbridge.MetricVerifications][0].exemplars; len(got) != 1 || !slices.Equal(got[0].SpanID, id[:]) {
		t.Errorf("the counter's exemplars are %v", got)
	}
}

// instruments are all that there are.
var instruments = []string{
	otelbridge.MetricVerifications, otelbridge.MetricVerificationDuration, otelbridge.MetricRefusals,
	otelbridge.MetricIssued, otelbridge.MetricReplayClaims, otelbridge.MetricReplayRefusals,
	otelbridge.MetricKeyRefreshes, otelbridge.MetricLedgerRecords, otelbridge.MetricLedgerDuration,
	otelbridge.MetricLedgerFailures,
}

// TestNewFails: an instrument that cannot be made is an error, whichever it is.
func TestNewFails(t *testing.T) {
	store, err := replay.NewMemory(replay.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range instruments {
		// An aggregation that fits no instrument of this kind, as a configuration could ask for.
		var agg sdkmetric.Aggregation = sdkmetric.AggregationLastValue{}
		if name == otelbridge.MetricReplayClaims {
			agg = sdkmetric.AggregationSum{}
		}
		view := sdkmetric.NewView(sdkmetric.Instrument{Name: name, Scope: instrumentation.Scope{Name: otelbridge.ScopeName}}, sdkmetric.Stream{Aggregation: agg})
		_, err := otelbridge.New(identity, otelbridge.ShowNothing(), otelbridge.WithMeterProvider(newMeters(sdkmetric.WithView(view))), otelbridge.WithReplayStore(store))
		if err == nil {
			t.Errorf("%s: New with an instrument that cannot be made", name)
		}
	}
	for name, opts := range map[string][]otelbridge.Option{
		"a store that is nil":              {otelbridge.WithMeterProvider(newMeters()), otelbridge.WithReplayStore(nil)},
		"a store without a meter provider": {otelbridge.WithReplayStore(store)},
	} {
		if _, err := otelbridge.New(identity, otelbridge.ShowNothing(), opts...); err == nil {
			t.Errorf("New with %s", name)
		}
	}
	m := newMeters()
	m.bridge(t, identity, otelbridge.WithReplayStore(store))
	if err := m.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
