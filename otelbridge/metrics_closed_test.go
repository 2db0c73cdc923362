// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
	"github.com/go-ect/ect/core/replay"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/otelbridge"
)

var transports = []core.Transport{core.TransportOther, core.TransportHTTP, core.TransportGRPC, core.TransportGRPC + 1, 255}

// errHostile is what a stranger would like to see in somebody's metrics.
var errHostile = errors.New(`spiffe://hostile.example/"} 1 ` + taskID)

// tryMessages has a bridge told of every message of the kit, by every transport.
func tryMessages(t *testing.T, o core.Observer) {
	t.Helper()
	contents := ecttest.Contents{Sent: core.HashOf([]byte("sent")), Other: core.HashOf(nil)}
	for _, m := range slices.Concat(ecttest.BadMessages(), ecttest.GoodMessages()) {
		for _, tr := range transports {
			s := m.Stage(t, contents, core.WithObserver(o))
			for a := range s.Attempts() {
				p := core.Presented{Values: a.Values, Transport: tr, Content: contents.Sent}
				if a.Other {
					p.Content = contents.Other
				}
				var e core.Entry
				if bad := e.Verify(t.Context(), s.Service, core.Enforce, p); bad != nil && bad.Code != a.Code {
					t.Errorf("%s: %v, want code %v", m.Name, bad, a.Code)
				}
			}
		}
	}
	for _, b := range ecttest.BadTokens() {
		d := ecttest.NewDomain()
		from, to := d.Agent(t, "from"), d.Agent(t, "to")
		s := d.ServiceWithPolicy(t, to, to.Policy(), nil, core.WithObserver(o))
		var e core.Entry
		if bad := e.Verify(t.Context(), s, core.Enforce, core.Presented{Values: []string{b.Mint(t, d, from, to.Identity)}}); bad == nil {
			t.Errorf("%s: accepted", b.Name)
		}
	}
}

// tryAnswers has a bridge told of every answer of the kit.
func tryAnswers(t *testing.T, o core.Observer) {
	t.Helper()
	for _, a := range slices.Concat(ecttest.BadAnswers(), ecttest.GoodAnswers()) {
		d := ecttest.NewDomain()
		from, to := d.Agent(t, "from"), d.Agent(t, "to")
		s := d.ServiceWithPolicy(t, from, from.Policy(), []core.Audience{{ID: to.Identity, Tokens: true, Hashes: true}}, core.WithObserver(o))
		peer := a.Peer(d, from, to)
		ctx, _, err := s.StartTask(t.Context(), "ask")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			c := core.MapCarrier{}
			dispatch, err := core.Inject(ctx, c, to.Identity, core.DispatchInput{})
			if err != nil {
				t.Fatal(err)
			}
			values := peer.Answer(t, c[core.CarrierTokens][0], ecttest.Exchanged{})
			dispatch.Verify(ctx, core.Presented{Values: values, Transport: core.TransportHTTP}) //nolint:errcheck // whatever it is
		}
	}
}

// tryRest has a bridge told of all that adapters, key sources and ledgers can tell, of tokens
// that are not signed and of those that a service at L1 issues.
func tryRest(t *testing.T, b *otelbridge.Bridge, replays core.VerifierOption) {
	t.Helper()
	d := ecttest.NewDomain()
	to := d.Agent(t, "to")
	p := to.Policy()
	p.MinLevel = core.L1
	v, err := core.NewVerifier(d, p, core.WithObserver(b.Observer()), replays)
	if err != nil {
		t.Fatal(err)
	}
	i, err := core.NewUnsignedIssuer(to.Identity)
	if err != nil {
		t.Fatal(err)
	}
	audiences, err := core.NewAudiences()
	if err != nil {
		t.Fatal(err)
	}
	s, err := core.NewService(v, i, audiences)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it was presented before
		core.Extract(t.Context(), s, core.MapCarrier{core.CarrierTokens: {strange(t, to.Identity)}}, core.ExtractInput{Action: errHostile.Error()}) //nolint:errcheck // whatever it is
	}
	for n := range 256 {
		bad := core.NewError(core.Code(n), errHostile)
		for _, tr := range transports {
			info := core.VerifyInfo{Transport: tr, Answer: n%2 == 0, Observed: n%3 == 0}
			s.Rejected(t.Context(), bad, info)
			s.BodyDiffered(t.Context(), bad, info)
			s.Altered(t.Context(), bad, info)
			s.Unrecorded(t.Context(), bad, info)
		}
		for _, binding := range []core.Binding{core.BindingNone, core.BindingJWKSet, core.Binding(n)} {
			refreshed := b.KeysRefreshed(binding)
			refreshed(t.Context(), nil)
			refreshed(t.Context(), bad)
		}
		b.LedgerFailed(t.Context(), bad)
	}
	b.KeysRefreshed(core.BindingJWKSet)(t.Context(), errHostile)
	b.LedgerFailed(t.Context(), errHostile)
	b.LedgerRecorded(t.Context(), time.Second)
	_, task, err := s.StartTask(t.Context(), errHostile.Error())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := task.Finish(t.Context(), core.Completion{}); err != nil {
		t.Fatal(err)
	}
}

// strange mints a token that is not signed, by a stranger, all of whose values are new.
func strange(tb testing.TB, to string) string {
	tb.Helper()
	name := id.NewUUID().String()
	a := ecttest.Agent{Identity: "spiffe://" + name + ".example/" + name}
	return a.Token(to).With("wid", id.NewUUID().String()).With("exec_act", "act "+name).Unsigned(tb)
}

// everything returns the metrics of a bridge that was told of all that it can be.
func everything(t *testing.T) *meters {
	t.Helper()
	store, err := replay.NewMemory(replay.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m := newMeters(sdkmetric.WithExemplarFilter(exemplar.AlwaysOnFilter))
	b := m.bridge(t, identity, otelbridge.WithReplayStore(store))
	tryMessages(t, b.Observer())
	tryAnswers(t, b.Observer())
	tryRest(t, b, core.WithReplayStore(store))
	return m
}

// TestNoIDIsALabel reads every data point of every instrument after everything was tried: no
// label is there but of the closed sets, and all that can be there is.
func TestNoIDIsALabel(t *testing.T) {
	found, points := everything(t).instruments(t)
	want := slices.Sorted(slices.Values(instruments))
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, want) {
		t.Fatalf("the instruments are %q, want %q", got, want)
	}
	sets := closed()
	if len(sets) != 4 {
		t.Fatalf("labels have %d keys, want 4", len(sets))
	}
	for _, name := range instruments {
		for _, text := range []string{found[name].Name, found[name].Description, found[name].Unit} {
			if strings.Contains(text, "hostile") || text == "" {
				t.Errorf("%s: %q", name, text)
			}
		}
		for _, p := range points[name] {
			for _, kv := range p.labels.ToSlice() {
				if values := sets[kv.Key]; !slices.Contains(values, kv.Value.AsString()) {
					t.Errorf("%s has the label %s=%s, and its values are %q", name, kv.Key, kv.Value.String(), values)
				}
			}
			for _, e := range p.exemplars {
				if len(e.FilteredAttributes) > 0 {
					t.Errorf("%s has an exemplar with %v", name, e.FilteredAttributes)
				}
			}
			if p.histogram == nil {
				continue
			}
			for _, e := range p.histogram.Exemplars {
				if len(e.FilteredAttributes) > 0 {
					t.Errorf("%s has an exemplar with %v", name, e.FilteredAttributes)
				}
			}
		}
	}
	for name, n := range bounds() {
		if got := len(points[name]); got == 0 || got > n.most || got < n.tried {
			t.Errorf("%s has %d series, want %d to %d", name, got, n.tried, n.most)
		}
	}
}

// bounds are how many series each instrument can have, and how many the tests above bring
// about at least.
func bounds() map[string]struct{ tried, most int } {
	sets := closed()
	transports, levels := len(sets[otelbridge.AttrTransport]), len(sets[otelbridge.AttrLevel])
	codes, bindings := len(sets[otelbridge.AttrCode]), len(sets[otelbridge.AttrBinding])
	judged := transports * (levels*bindings + codes)
	return map[string]struct{ tried, most int }{
		otelbridge.MetricVerifications:        {transports * (1 + codes/2), judged},
		otelbridge.MetricVerificationDuration: {transports * (1 + codes/2), judged},
		otelbridge.MetricRefusals:             {transports * codes, transports * codes},
		otelbridge.MetricReplayRefusals:       {transports * 2, transports * 2},
		otelbridge.MetricIssued:               {2, levels},
		otelbridge.MetricReplayClaims:         {2, 2},
		otelbridge.MetricKeyRefreshes:         {bindings * (1 + codes), bindings * (1 + codes)},
		otelbridge.MetricLedgerRecords:        {1, 1},
		otelbridge.MetricLedgerDuration:       {1, 1},
		otelbridge.MetricLedgerFailures:       {codes, codes},
	}
}

// TestSeriesAreBounded: no instrument can come near to where the SDK begins to lose series,
// and ten thousand messages that have nothing in common add none.
func TestSeriesAreBounded(t *testing.T) {
	const limitOfSDK = 2000
	all := 0
	for name, n := range bounds() {
		if n.most > limitOfSDK/4 {
			t.Errorf("%s may have %d series", name, n.most)
		}
		all += n.most
	}
	t.Logf("all instruments have %d series at most", all)

	s := newStage(t, func(p *core.Policy) { p.MinLevel = core.L1 })
	send := func() {
		s.take(t, core.Enforce, 0, core.TransportHTTP, strange(t, s.to.Identity))
		s.take(t, core.Enforce, core.CodeAudience, core.TransportHTTP, strange(t, "spiffe://other.example/"+id.NewUUID().String()))
	}
	send()
	before := s.counts(t)
	const messages = 10_000
	for range messages / 2 {
		send()
	}
	want := map[string]int64{}
	for k, v := range before {
		want[k] = v * (messages/2 + 1)
	}
	if diff := cmp.Diff(want, s.counts(t)); diff != "" {
		t.Errorf("after %d messages (-want +got):\n%s", messages, diff)
	}
}

// TestLabelsAreWhole: what core adds to a level, a binding or a transport must be added to the
// tables of labels, or it would be counted as the first of them.
func TestLabelsAreWhole(t *testing.T) {
	m := newMeters()
	o := m.bridge(t, identity).Observer()
	for n := range 256 {
		m.bridge(t, identity).KeysRefreshed(core.Binding(n))(t.Context(), nil)
		o.Rejected(t.Context(), core.NewError(core.CodeBody, nil), core.VerifyInfo{Transport: core.Transport(n)})
	}
	got := m.counts(t)
	for n := range 256 {
		for _, want := range []string{
			fmt.Sprintf("ect.key.refreshes{ect.binding=%v}", core.Binding(n)),
			fmt.Sprintf("ect.refusals{ect.code=body,ect.transport=%v}", core.Transport(n)),
		} {
			if got[want] == 0 {
				t.Errorf("there is no %s", want)
			}
		}
	}
	if next := core.L3 + 1; next.String() != core.Level(0).String() {
		t.Errorf("there is a level %v", next)
	}
}
