// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/otelbridge"
)

// meters is a meter provider whose metrics a test reads.
type meters struct {
	*sdkmetric.MeterProvider
	reader *sdkmetric.ManualReader
}

func newMeters(opts ...sdkmetric.Option) *meters {
	r := sdkmetric.NewManualReader()
	return &meters{sdkmetric.NewMeterProvider(append(opts, sdkmetric.WithReader(r))...), r}
}

// bridge makes a bridge that writes metrics alone.
func (m *meters) bridge(tb testing.TB, identity string, opts ...otelbridge.Option) *otelbridge.Bridge {
	tb.Helper()
	b, err := otelbridge.New(identity, otelbridge.ShowNothing(), append(opts, otelbridge.WithMeterProvider(m))...)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// service makes a service that is counted.
func (m *meters) service(tb testing.TB, d *ecttest.Domain, a *ecttest.Agent, p core.Policy, to []core.Audience, opts ...core.VerifierOption) *core.Service {
	tb.Helper()
	return d.ServiceWithPolicy(tb, a, p, to, append(opts, core.WithObserver(m.bridge(tb, a.Identity).Observer()))...)
}

// point is a data point of any kind.
type point struct {
	labels attribute.Set
	// count is the value of a counter or a gauge, and how often a histogram was told.
	count     int64
	histogram *metricdata.HistogramDataPoint[float64]
	exemplars []metricdata.Exemplar[int64]
}

// instruments reads everything that there is, by instrument.
func (m *meters) instruments(tb testing.TB) (found map[string]metricdata.Metrics, points map[string][]point) {
	tb.Helper()
	var all metricdata.ResourceMetrics
	if err := m.reader.Collect(tb.Context(), &all); err != nil {
		tb.Fatal(err)
	}
	found, points = map[string]metricdata.Metrics{}, map[string][]point{}
	for _, scope := range all.ScopeMetrics {
		if scope.Scope.Name != otelbridge.ScopeName || scope.Scope.Version != otelbridge.Version || scope.Scope.Attributes.Len() != 0 {
			tb.Errorf("the scope is %v", scope.Scope)
		}
		for _, i := range scope.Metrics {
			found[i.Name] = i
			switch data := i.Data.(type) {
			case metricdata.Sum[int64]:
				if !data.IsMonotonic {
					tb.Errorf("%s may fall", i.Name)
				}
				for _, p := range data.DataPoints {
					points[i.Name] = append(points[i.Name], point{labels: p.Attributes, count: p.Value, exemplars: p.Exemplars})
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					points[i.Name] = append(points[i.Name], point{labels: p.Attributes, count: p.Value, exemplars: p.Exemplars})
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					points[i.Name] = append(points[i.Name], point{labels: p.Attributes, count: int64(p.Count), histogram: &p})
				}
			default:
				tb.Errorf("%s is a %T", i.Name, data)
			}
		}
	}
	return found, points
}

// counts reads every data point, as in "ect.refusals{ect.code=body,ect.transport=http}".
func (m *meters) counts(tb testing.TB) map[string]int64 {
	tb.Helper()
	all := map[string]int64{}
	_, points := m.instruments(tb)
	for name, of := range points {
		for _, p := range of {
			all[name+"{"+p.labels.Encoded(attribute.DefaultEncoder())+"}"] = p.count
		}
	}
	return all
}

// judged is what one verification leaves, where nothing else happened.
func judged(labels string, n int64) map[string]int64 {
	return map[string]int64{
		otelbridge.MetricVerifications + "{" + labels + "}":        n,
		otelbridge.MetricVerificationDuration + "{" + labels + "}": n,
	}
}

// and adds counts to others.
func and(counts map[string]int64, more ...map[string]int64) map[string]int64 {
	for _, m := range more {
		for k, v := range m {
			counts[k] += v
		}
	}
	return counts
}

// refusal is what a refusal leaves of which a verifier knows nothing.
func refusal(labels string) map[string]int64 {
	return map[string]int64{otelbridge.MetricRefusals + "{" + labels + "}": 1}
}

func issued(n int64) map[string]int64 {
	return map[string]int64{otelbridge.MetricIssued + "{ect.level=L2}": n}
}

func stood(labels string) map[string]int64 {
	return map[string]int64{otelbridge.MetricReplayRefusals + "{" + labels + "}": 1}
}

// closed has the values that each attribute may have as a label.
func closed() map[attribute.Key][]string {
	keys := []attribute.Key{otelbridge.AttrTransport, otelbridge.AttrLevel, otelbridge.AttrCode, otelbridge.AttrBinding}
	sets := map[attribute.Key][]string{}
	for _, a := range otelbridge.Attributes() {
		if slices.Contains(keys, a.Key) {
			sets[a.Key] = a.Values
		}
	}
	return sets
}
