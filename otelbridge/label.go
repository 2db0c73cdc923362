// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/go-ect/ect/core"
)

// How many values each label has. A test fails where core has one more.
const (
	transports = int(core.TransportGRPC) + 1
	levels     = int(core.L3) + 1
	bindings   = int(core.BindingJWKSet) + 1
)

// label is a set of attributes, in the forms that instruments take. All that there are are
// made with the bridge: to make one, or one of the slices, for each message would allocate.
type label struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

func newLabel(attrs ...attribute.KeyValue) label {
	o := metric.WithAttributeSet(attribute.NewSet(attrs...))
	return label{[]metric.AddOption{o}, []metric.RecordOption{o}}
}

// byCode has a label for each code. The first is for what is no code of core's, as a binder
// could give: it is taken for [core.CodeUnavailable], so that the set stays closed.
type byCode []label

func newByCode(attrs ...attribute.KeyValue) byCode {
	all := core.Codes()
	t := make(byCode, len(all)+1)
	for _, c := range all {
		t[c] = newLabel(append(slices.Clip(attrs), AttrCode.String(c.String()))...)
	}
	t[0] = t[core.CodeUnavailable]
	return t
}

func (t byCode) of(c core.Code) label { return t[within(c, len(t))] }

// labels are all that metrics have. Whatever a message says, none is added.
type labels struct {
	accepted [transports][levels][bindings]label
	refused  [transports]byCode
	issued   [levels]label
	// ledger and refreshFailed are of errors, refreshed of what went well.
	ledger        byCode
	refreshed     [bindings]label
	refreshFailed [bindings]byCode
}

func newLabels() *labels {
	l := &labels{ledger: newByCode()}
	for t := range transports {
		transport := AttrTransport.String(core.Transport(t).String())
		l.refused[t] = newByCode(transport)
		for n := range levels {
			for b := range bindings {
				l.accepted[t][n][b] = newLabel(transport, level(n), binding(b))
			}
		}
	}
	for n := range levels {
		l.issued[n] = newLabel(level(n))
	}
	for b := range bindings {
		l.refreshed[b], l.refreshFailed[b] = newLabel(binding(b)), newByCode(binding(b))
	}
	return l
}

func level(n int) attribute.KeyValue { return AttrLevel.String(core.Level(n).String()) }

func binding(n int) attribute.KeyValue { return AttrBinding.String(core.Binding(n).String()) }

// within returns the place of v in a table of n, 0 if it has none.
func within[T ~uint8](v T, n int) int {
	if int(v) >= n {
		return 0
	}
	return int(v)
}
