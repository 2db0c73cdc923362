// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"context"
	"time"

	"github.com/go-ect/ect/core"
)

// KeysRefreshed returns what a key source of that binding calls after each attempt to get its
// keys anew: a cache of JWK Sets, say, with [core.BindingJWKSet]. The error is nil where it got
// them; of any other only the code is counted, [core.CodeUnavailable] where it has none. What
// is returned is safe for concurrent use, and does nothing without [WithMeterProvider].
func (b *Bridge) KeysRefreshed(binding core.Binding) func(ctx context.Context, err error) {
	if b.meter == nil {
		return func(context.Context, error) {}
	}
	n := within(binding, bindings)
	went, failed := b.meter.refreshed[n], b.meter.refreshFailed[n]
	return func(ctx context.Context, err error) {
		l := went
		if err != nil {
			l = failed.of(core.CodeOf(err))
		}
		b.meter.keyRefreshes.Add(ctx, 1, l.add...)
	}
}

// LedgerRecorded is for a ledger to call once for each record that became durable, took after
// it was given the record. It is safe for concurrent use, and does nothing without
// [WithMeterProvider].
func (b *Bridge) LedgerRecorded(ctx context.Context, took time.Duration) {
	if b.meter == nil {
		return
	}
	b.meter.ledgerRecords.Add(ctx, 1)
	b.meter.ledgerDuration.Record(ctx, seconds(took))
}

// LedgerFailed is for a ledger to call once for each record that it gave up. Of the error only
// the code is counted, [core.CodeUnavailable] where it has none. It is safe for concurrent
// use, and does nothing without [WithMeterProvider].
func (b *Bridge) LedgerFailed(ctx context.Context, err error) {
	if b.meter == nil {
		return
	}
	b.meter.ledgerFailures.Add(ctx, 1, b.meter.ledger.of(core.CodeOf(err)).add...)
}
