// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"context"

	"go.opentelemetry.io/otel/metric"

	"github.com/go-ect/ect/core"
)

// metrics has the instruments of a bridge.
type metrics struct{}

func newMetrics(metric.MeterProvider) (*metrics, error) { return &metrics{}, nil }

func (*metrics) verified(context.Context, *core.Received, core.VerifyInfo) {}

func (*metrics) rejected(context.Context, *core.Error, core.VerifyInfo) {}

func (*metrics) issued(context.Context, *core.Issued) {}
