// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/replay"
)

// The metrics, which [WithMeterProvider] switches on. Their labels are [AttrTransport],
// [AttrLevel], [AttrBinding] and [AttrCode], each with few values that are known before: no
// id, name or time of a token is among them. What went well has no [AttrCode].
const (
	// MetricVerifications counts what verifiers judged, requests and answers alike, by
	// transport, level and binding where it was accepted, and by transport and code where it
	// was not. The level is the lowest of the message's heads. A message that is verified twice,
	// as under nested middleware of which the outer one only observes, counts twice.
	MetricVerifications = "ect.verifications"
	// MetricVerificationDuration is how long those took, in seconds, with the same labels.
	MetricVerificationDuration = "ect.verification.duration"
	// MetricRefusals counts refusals, by transport and code: those of verifiers, those of
	// adapters before a verifier saw the message or after, bodies that differ from their
	// record, and tasks that could not be recorded. Under a mode or a policy that only
	// reports it counts what would have been refused.
	MetricRefusals = "ect.refusals"
	// MetricIssued counts the tokens that this service issued, by level.
	MetricIssued = "ect.issued.tokens"
	// MetricReplayClaims is how many claims the store of [WithReplayStore] holds, under
	// the level L1 those of unsigned tokens, under L2 those of signed ones.
	MetricReplayClaims = "ect.replay.claims"
	// MetricReplayRefusals counts the messages that the replay store stood against, by
	// transport and code: `replayed` where the token was presented before, `unavailable` where
	// the store is full. They are among the refusals too.
	MetricReplayRefusals = "ect.replay.refusals"
	// MetricKeyRefreshes counts what [Bridge.KeysRefreshed] was told, by binding, and by code
	// where it failed.
	MetricKeyRefreshes = "ect.key.refreshes"
	// MetricLedgerRecords counts what [Bridge.LedgerRecorded] was told. It has no label.
	MetricLedgerRecords = "ect.ledger.records"
	// MetricLedgerDuration is how long those took to be durable, in seconds.
	MetricLedgerDuration = "ect.ledger.record.duration"
	// MetricLedgerFailures counts what [Bridge.LedgerFailed] was told, by code.
	MetricLedgerFailures = "ect.ledger.failures"
)

// The bounds of buckets, in seconds: a signature that is remembered takes some 10 us, and
// a key source that has to be asked may take a second; a ledger may write in batches.
var (
	verificationBounds = []float64{
		10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1,
	}
	ledgerBounds = []float64{1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}
)

// ReplayStore is as much of a replay store as a metric needs, see [replay.Memory.Len]. Len
// is called whenever metrics are read and must be safe for concurrent use.
type ReplayStore interface {
	Len() (signed, unsigned int)
}

// metrics has the instruments of a bridge.
type metrics struct {
	*labels
	verifications, refusals, issuedTokens, replayRefusals,
	keyRefreshes, ledgerRecords, ledgerFailures metric.Int64Counter
	duration, ledgerDuration metric.Float64Histogram
}

// newMetrics makes the instruments; a store that is nil is not watched.
func newMetrics(p metric.MeterProvider, store ReplayStore) (*metrics, error) {
	var failed error
	meter := p.Meter(ScopeName, metric.WithInstrumentationVersion(Version))
	counter := func(name, unit, what string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		failed = errors.Join(failed, err)
		return c
	}
	histogram := func(name, what string, bounds []float64) metric.Float64Histogram {
		h, err := meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what),
			metric.WithExplicitBucketBoundaries(bounds...))
		failed = errors.Join(failed, err)
		return h
	}
	m := &metrics{
		labels:         newLabels(),
		verifications:  counter(MetricVerifications, "{verification}", "Messages that were verified, accepted or not."),
		duration:       histogram(MetricVerificationDuration, "Duration of verifications.", verificationBounds),
		refusals:       counter(MetricRefusals, "{refusal}", "Refusals, by whatever part of the service."),
		issuedTokens:   counter(MetricIssued, "{token}", "Tokens that the service issued."),
		replayRefusals: counter(MetricReplayRefusals, "{refusal}", "Refusals because a token was presented before or the replay store is full."),
		keyRefreshes:   counter(MetricKeyRefreshes, "{refresh}", "Attempts of key sources to refresh their keys."),
		ledgerRecords:  counter(MetricLedgerRecords, "{record}", "Records that became durable in the ledger."),
		ledgerDuration: histogram(MetricLedgerDuration, "Time until records became durable in the ledger.", ledgerBounds),
		ledgerFailures: counter(MetricLedgerFailures, "{failure}", "Records that failed to become durable in the ledger."),
	}
	if store != nil && failed == nil {
		failed = watch(meter, store)
	}
	if failed != nil {
		return nil, fmt.Errorf("otelbridge: New: an instrument: %w", failed)
	}
	return m, nil
}

// watch shows how much a store holds, for as long as the meter provider works.
func watch(meter metric.Meter, store ReplayStore) error {
	of := func(l core.Level) metric.ObserveOption { return metric.WithAttributes(level(int(l))) }
	yes, no := of(core.L2), of(core.L1)
	_, err := meter.Int64ObservableGauge(MetricReplayClaims, metric.WithUnit("{claim}"),
		metric.WithDescription("Claims of token ids that the replay store holds."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			signed, unsigned := store.Len()
			o.Observe(int64(signed), yes)
			o.Observe(int64(unsigned), no)
			return nil
		}))
	return err
}

// verified is [core.Observer.Verified].
func (m *metrics) verified(ctx context.Context, r *core.Received, info core.VerifyInfo) {
	h := r.Weakest()
	m.judged(ctx, m.accepted[within(info.Transport, transports)][within(h.Level(), levels)][within(h.Binding(), bindings)], info)
}

// judged counts what a verifier said, and how long it took.
func (m *metrics) judged(ctx context.Context, l label, info core.VerifyInfo) {
	m.verifications.Add(ctx, 1, l.add...)
	m.duration.Record(ctx, seconds(info.Duration()), l.record...)
}

// rejected is [core.Observer.Rejected], and its like. A message counts as verified once: what
// an adapter finds out later, or by itself, is among the refusals alone.
func (m *metrics) rejected(ctx context.Context, err *core.Error, info core.VerifyInfo) {
	l := m.refused[within(info.Transport, transports)].of(err.Code)
	m.refusals.Add(ctx, 1, l.add...)
	if !info.Judged() {
		return
	}
	m.judged(ctx, l, info)
	if err.Code == core.CodeReplayed || err.Code == core.CodeUnavailable && errors.Is(err, replay.ErrFull) {
		m.replayRefusals.Add(ctx, 1, l.add...)
	}
}

// issued is [core.Observer.Issued].
func (m *metrics) issued(ctx context.Context, i *core.Issued) {
	m.issuedTokens.Add(ctx, 1, m.labels.issued[within(i.Level(), levels)].add...)
}

// seconds returns a duration as OpenTelemetry has them; a clock may have been set back.
func seconds(d time.Duration) float64 { return max(d, 0).Seconds() }
