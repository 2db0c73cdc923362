// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/replay"
	"github.com/go-ect/ect/otelbridge"
)

// countingVerifier is a verifier whose work is counted, its replay store included.
func countingVerifier(identity string, binder core.Binder, policy core.Policy, meters metric.MeterProvider) (*core.Verifier, error) {
	// readme: counting
	store, err := replay.NewMemory(replay.Config{})
	if err != nil {
		return nil, err
	}
	bridge, err := otelbridge.New(identity, otelbridge.ShowNothing(),
		otelbridge.WithMeterProvider(meters), otelbridge.WithReplayStore(store))
	if err != nil {
		return nil, err
	}
	verifier, err := core.NewVerifier(binder, policy,
		core.WithReplayStore(store), core.WithObserver(bridge.Observer()))
	// end
	return verifier, err
}

// What is counted has labels of closed sets, and no label says whose message it was.
func ExampleWithMeterProvider() {
	const billing = "https://billing.example"
	binder, err := core.NewStaticBinder(map[string]*core.KeySet{})
	if err != nil {
		fmt.Println(err)
		return
	}
	reader := sdkmetric.NewManualReader()
	verifier, err := countingVerifier(billing, binder, core.Policy{
		MinLevel: core.L2, Audience: billing, Missing: core.RejectMissing,
		Replay: core.ReplayOncePerInstance, Body: core.BodyIgnore,
	}, sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		if _, err := verifier.Verify(context.Background(), core.Presented{Values: []string{"no.token"}}); err == nil {
			fmt.Println("accepted")
		}
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			for _, p := range sum.DataPoints {
				fmt.Println(m.Name, p.Attributes.Encoded(attribute.DefaultEncoder()), p.Value)
			}
		}
	}
	// Output:
	// ect.verifications ect.code=malformed,ect.transport=other 3
	// ect.refusals ect.code=malformed,ect.transport=other 3
}
