// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

const traceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

type spanKey struct{}

// traced has the span of a context written into tokens.
var traced = core.WithTraceParent(func(ctx context.Context) string {
	s, _ := ctx.Value(spanKey{}).(string)
	return s
})

// newTraced is a service of an agent that writes spans into its tokens.
func newTraced(t *testing.T, d *ecttest.Domain, a *ecttest.Agent, to []core.Audience, opts ...core.ServiceOption) *core.Service {
	t.Helper()
	p := a.Policy()
	p.Missing = core.AllowPartial
	audiences, err := core.NewAudiences(to...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := core.NewService(verifier(t, d, p), a.Issuer(t), audiences, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTraceOfDispatch: a token says which span issued it where all who get it may know,
// which a peer without tracing may not, and where there is one (profile 3.5, 10.3).
func TestTraceOfDispatch(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []core.ServiceOption
		to   core.TraceHeaders
		span string
		want string
	}{
		{"without the option", nil, core.TraceParent, traceParent, ""},
		{"to a peer that gets no trace headers", []core.ServiceOption{traced}, 0, traceParent, ""},
		{"to a peer that gets baggage alone", []core.ServiceOption{traced}, core.Baggage, traceParent, ""},
		{"to a peer that gets traceparent", []core.ServiceOption{traced}, core.TraceParent, traceParent, traceParent},
		{"with what is no traceparent", []core.ServiceOption{traced}, core.TraceParent, strings.Repeat("x", 10_000), ""},
		{"with one that is no text", []core.ServiceOption{traced}, core.TraceParent, "00-" + strings.Repeat("\xff", 52), ""},
		{"with one that is too short", []core.ServiceOption{traced}, core.TraceParent, traceParent[:54], ""},
		{"with one that is too long", []core.ServiceOption{traced}, core.TraceParent, traceParent + "0", ""},
		{"with one of another version", []core.ServiceOption{traced}, core.TraceParent, "01" + traceParent[2:], ""},
		{"with one in upper case", []core.ServiceOption{traced}, core.TraceParent, strings.ToUpper(traceParent), ""},
		{"without a span", []core.ServiceOption{traced}, core.TraceParent, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := ecttest.NewDomain()
			a, b := d.Agent(t, "a"), d.Agent(t, "b")
			to := core.Audience{ID: b.Identity, Tokens: true, Trace: tt.to}
			s := newTraced(t, d, a, []core.Audience{to}, tt.opts...)
			ctx, task, err := s.StartTask(context.WithValue(t.Context(), spanKey{}, tt.span), "task")
			if err != nil {
				t.Fatal(err)
			}
			dispatch, err := task.Dispatch(ctx, to, core.DispatchInput{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := verifier(t, d, b.Policy()).Verify(t.Context(), presented(dispatch.Tokens()...))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Heads()[0].TraceParent(); got != tt.want || got != dispatch.Issued().Claims().Ext.Trace {
				t.Errorf("the dispatch says the span is %q, want %q", got, tt.want)
			}
			dispatch.Done()
			own := ""
			if len(tt.opts) > 0 {
				own = tt.span // nobody else sees it
				if own != traceParent {
					own = ""
				}
			}
			step, err := task.Step(ctx, "step", core.StepInput{})
			if err != nil {
				t.Fatal(err)
			}
			if got := step.Claims().Ext.Trace; got != own {
				t.Errorf("a step says the span is %q, want %q", got, own)
			}
		})
	}
}

// TestTraceOfAnswer: an answer to several says which span issued it where all of them may
// know.
func TestTraceOfAnswer(t *testing.T) {
	for _, tt := range []struct {
		name        string
		first, then core.TraceHeaders
		want        string
	}{
		{"both may know", core.TraceParent, core.TraceParent | core.TraceState, traceParent},
		{"one may know", core.TraceParent, 0, ""},
		{"none may know", 0, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := ecttest.NewDomain()
			a, b, c := d.Agent(t, "a"), d.Agent(t, "b"), d.Agent(t, "c")
			s := newTraced(t, d, a, []core.Audience{
				{ID: b.Identity, Tokens: true, Trace: tt.first}, {ID: c.Identity, Tokens: true, Trace: tt.then},
			}, traced)
			ctx := context.WithValue(t.Context(), spanKey{}, traceParent)
			ctx, task := taskAccept(ctx, t, s, b.Token(a.Identity).Sign(t), c.Token(a.Identity).Sign(t))
			if got := taskFinish(ctx, t, task, core.Completion{}).Issued.Claims().Ext.Trace; got != tt.want {
				t.Errorf("the answer says the span is %q, want %q", got, tt.want)
			}
		})
	}
}

// TestTracedContext: what says which span issued it goes along as context to nobody who may
// not know, whoever issued it, nor what only it leads to.
func TestTracedContext(t *testing.T) {
	for _, tt := range []struct {
		name string
		head bool // the head says it, and else a step
		to   core.TraceHeaders
		want string
	}{
		{"a step, to a peer that gets none", false, 0, "dispatch"},
		{"a step, to a peer that gets traceparent", false, core.TraceParent, "dispatch step test"},
		{"the head, to a peer that gets none", true, 0, "dispatch step"},
		{"the head, to a peer that gets traceparent", true, core.TraceParent, "dispatch step test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := ecttest.NewDomain()
			a, b := d.Agent(t, "a"), d.Agent(t, "b")
			to := core.Audience{ID: b.Identity, Tokens: true, Trace: tt.to, Context: core.MaxContext}
			s := newTraced(t, d, a, []core.Audience{to}, traced)
			head, span := b.Token(a.Identity), traceParent
			if tt.head {
				head, span = head.With("ect_ext", map[string]any{"trace": traceParent}), ""
			}
			ctx, task := taskAccept(context.WithValue(t.Context(), spanKey{}, span), t, s, head.Sign(t))
			if _, err := task.Step(ctx, "step", core.StepInput{}); err != nil {
				t.Fatal(err)
			}
			dispatch, err := task.Dispatch(ctx, to, core.DispatchInput{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, text := range dispatch.Tokens() {
				u, err := core.ParseWithoutVerification(text)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, u.ClaimsWithoutVerification().Action)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("along go %q, want %q", s, tt.want)
			}
		})
	}
}
