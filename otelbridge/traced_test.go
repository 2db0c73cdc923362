// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/otelbridge"
)

// setup says what a service is made of, beside its agent.
type setup struct {
	show    otelbridge.Policy
	bridge  []otelbridge.Option
	sdk     []sdktrace.TracerProviderOption
	policy  func(*core.Policy)
	options []core.VerifierOption
	to      []core.Audience
	binder  core.Binder
	signer  core.Signer
	// silent leaves the issuer out.
	silent bool
}

// taskSpans is a setup under ShowTasks whose bridge begins spans of its own.
func taskSpans() setup {
	return setup{show: otelbridge.ShowTasks(), bridge: []otelbridge.Option{otelbridge.WithTaskSpans()}}
}

// newTraced makes a service whose spans the test looks at.
func newTraced(t testing.TB, d *ecttest.Domain, name string, s setup) *party {
	t.Helper()
	w := &party{Agent: d.Agent(t, name), spans: tracetest.NewSpanRecorder(), balance: &balance{}}
	w.tracers = sdktrace.NewTracerProvider(append(s.sdk, sdktrace.WithSpanProcessor(w.spans), sdktrace.WithSpanProcessor(w.balance))...)
	var err error
	if w.bridge, err = otelbridge.New(w.Identity, s.show, append(s.bridge, otelbridge.WithTracerProvider(w.tracers))...); err != nil {
		t.Fatal(err)
	}
	p := w.Policy()
	if s.policy != nil {
		s.policy(&p)
	}
	if s.binder == nil {
		s.binder = d
	}
	v, err := core.NewVerifier(s.binder, p, append(s.options, core.WithObserver(w.bridge.Observer()))...)
	if err != nil {
		t.Fatal(err)
	}
	var i *core.Issuer
	switch {
	case s.silent:
	case s.signer != nil:
		if i, err = core.NewIssuer(w.Identity, s.signer); err != nil {
			t.Fatal(err)
		}
	default:
		i = w.Issuer(t)
	}
	audiences, err := core.NewAudiences(s.to...)
	if err != nil {
		t.Fatal(err)
	}
	if w.service, err = core.NewService(v, i, audiences, core.WithTraceParent(w.bridge.TraceParent)); err != nil {
		t.Fatal(err)
	}
	return w
}

// start begins a span of the user's own.
func (w *party) start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	return w.tracers.Tracer("test").Start(ctx, name, opts...) //nolint:spancheck // who calls ends it
}

// take has the service take a message of these tokens from a queue.
func (w *party) take(ctx context.Context, tokens ...string) (context.Context, *core.Task, error) {
	return core.Extract(ctx, w.service, core.MapCarrier{core.CarrierTokens: tokens}, core.ExtractInput{Action: "take"})
}

// done finishes a task and returns its token.
func done(ctx context.Context, t testing.TB, task *core.Task) *core.Issued {
	t.Helper()
	a, err := task.Finish(ctx, core.Completion{Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	return a.Issued
}

// one returns the only span that ended.
func (w *party) one(t testing.TB) sdktrace.ReadOnlySpan {
	t.Helper()
	all := w.spans.Ended()
	if len(all) != 1 {
		t.Fatalf("%d spans ended, want 1", len(all))
	}
	return all[0]
}

// named returns the only span of a name that ended.
func (w *party) named(t testing.TB, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	var found []sdktrace.ReadOnlySpan
	for _, s := range w.spans.Ended() {
		if s.Name() == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans are named %q, want 1", len(found), name)
	}
	return found[0]
}

// balance counts the spans that began and ended.
type balance struct {
	mu   sync.Mutex
	open map[trace.SpanID]string
	all  int
}

func (b *balance) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = map[trace.SpanID]string{}
	}
	b.open[s.SpanContext().SpanID()] = s.Name()
	b.all++
}

func (b *balance) OnEnd(s sdktrace.ReadOnlySpan) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, s.SpanContext().SpanID())
}

func (*balance) Shutdown(context.Context) error   { return nil }
func (*balance) ForceFlush(context.Context) error { return nil }

// counts returns how many spans began, and the names of those that are still open.
func (b *balance) counts() (began int, open []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range b.open {
		open = append(open, name)
	}
	return b.all, open
}

// has tells whether a span or an event has all of these attributes, and for "" none of a key.
func has(kvs []attribute.KeyValue, want map[attribute.Key]string) error {
	for k, v := range want {
		if got := attr(kvs, k); got != v {
			return fmt.Errorf("%s is %q, want %q", k, got, v)
		}
	}
	return nil
}

// wantAttrs fails unless a span has these attributes.
func wantAttrs(t testing.TB, s sdktrace.ReadOnlySpan, want map[attribute.Key]string) {
	t.Helper()
	if err := has(s.Attributes(), want); err != nil {
		t.Errorf("span %q: %v", s.Name(), err)
	}
}

// wantCounts fails unless a span says how many predecessors its token has, and how many of
// them are withheld.
func wantCounts(t testing.TB, s sdktrace.ReadOnlySpan, count, withheld int) {
	t.Helper()
	wantAttrs(t, s, map[attribute.Key]string{
		otelbridge.AttrPredecessorCount: strconv.Itoa(count), otelbridge.AttrPredecessorWithheld: strconv.Itoa(withheld),
	})
}

// eventsOf returns the events of a name.
func eventsOf(s sdktrace.ReadOnlySpan, name string) (all []sdktrace.Event) {
	for _, e := range s.Events() {
		if e.Name == name {
			all = append(all, e)
		}
	}
	return all
}

// allOf returns all text of a span.
func allOf(s sdktrace.ReadOnlySpan) string {
	var b strings.Builder
	attrs := func(kvs []attribute.KeyValue) {
		for _, kv := range kvs {
			fmt.Fprintf(&b, "%s=%s\n", kv.Key, kv.Value.String())
		}
	}
	place := func(sc trace.SpanContext) {
		fmt.Fprintf(&b, "%s %s %s\n", sc.TraceID(), sc.SpanID(), sc.TraceState())
	}
	fmt.Fprintln(&b, s.Name(), s.Status().Description)
	place(s.SpanContext())
	place(s.Parent())
	attrs(s.Attributes())
	for _, e := range s.Events() {
		fmt.Fprintln(&b, e.Name)
		attrs(e.Attributes)
	}
	for _, l := range s.Links() {
		place(l.SpanContext)
		attrs(l.Attributes)
	}
	attrs(s.Resource().Attributes())
	return b.String()
}

// idOf returns the task id of a token.
func idOf(t testing.TB, token string) string {
	t.Helper()
	u, err := core.ParseWithoutVerification(token)
	if err != nil {
		t.Fatal(err)
	}
	return u.ClaimsWithoutVerification().TaskID.String()
}

// flow returns the id of a new workflow.
func flow() string { return id.NewWorkflow().String() }

// inFlow begins a root token in a workflow.
func inFlow(from *ecttest.Agent, to, workflow string) *ecttest.Token {
	return from.Token(to).With("wid", workflow)
}

// brokenSigner fails, or panics, once it is told to.
type brokenSigner struct {
	core.Signer
	mu     sync.Mutex
	failed bool
	panics bool
}

func newBrokenSigner(t testing.TB, a *ecttest.Agent, panics bool) *brokenSigner {
	t.Helper()
	s, err := core.NewSigner(a.Key, a.KeyID)
	if err != nil {
		t.Fatal(err)
	}
	return &brokenSigner{Signer: s, panics: panics}
}

func (b *brokenSigner) fail() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = true
}

func (b *brokenSigner) Sign(ctx context.Context, input []byte) ([]byte, error) {
	b.mu.Lock()
	failed := b.failed
	b.mu.Unlock()
	switch {
	case failed && b.panics:
		panic("the signer is broken")
	case failed:
		return nil, errors.New("the signer is broken")
	}
	return b.Signer.Sign(ctx, input)
}

// sampler keeps what it was asked with.
type sampler struct {
	mu     sync.Mutex
	asked  []sdktrace.SamplingParameters
	decide sdktrace.Sampler
}

func (s *sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Links = slices.Clone(p.Links)
	s.asked = append(s.asked, p)
	return s.decide.ShouldSample(p)
}

func (*sampler) Description() string { return "keeps what it is asked" }

// of returns what the sampler was asked with for the spans of a name.
func (s *sampler) of(name string) (all []sdktrace.SamplingParameters) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.asked {
		if p.Name == name {
			all = append(all, p)
		}
	}
	return all
}

// end ends the span of a context.
func (*party) end(ctx context.Context) { trace.SpanFromContext(ctx).End() }
