// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/otelbridge"
)

// abroad binds the agents of a domain, and one of another trust domain.
type abroad struct {
	*ecttest.Domain
	stranger *ecttest.Agent
}

func newAbroad(t testing.TB, d *ecttest.Domain) *abroad {
	t.Helper()
	return &abroad{d, &ecttest.Agent{
		Identity: "spiffe://other.example/stranger", KeyID: "stranger-key", Key: ecttest.NewKey(t, core.ES256), Algorithm: core.ES256,
	}}
}

// Bind implements core.Binder.
func (a *abroad) Bind(ctx context.Context, u *core.Unverified, e core.Evidence) (core.BoundKey, error) {
	if u.ClaimedIssuer() != a.stranger.Identity || u.KeyID() != a.stranger.KeyID {
		return a.Domain.Bind(ctx, u, e)
	}
	return core.BoundKey{
		Public: a.stranger.Key.Public(), Issuer: a.stranger.Identity, Domain: "spiffe://other.example", Binding: core.BindingJWKSet,
	}, nil
}

// TestLinkPolicy: what a span shows of a head, and what it withholds, under every setting. Of
// a head that is withheld nothing is anywhere on the span.
func TestLinkPolicy(t *testing.T) {
	const none, same, domain, every = otelbridge.LinksNone, otelbridge.LinksSameWorkflow, otelbridge.LinksSameTrustDomain, otelbridge.LinksAny
	here, there := flow(), flow()
	all := []otelbridge.Links{none, same, domain, every}
	const restart, link = otelbridge.EdgeRestart, otelbridge.EdgeLink
	for _, c := range []struct {
		name     string
		workflow string // of the head; the task's is here
		foreign  bool
		unsigned bool
		shown    []otelbridge.Links
	}{
		{"own workflow, own domain", here, false, false, []otelbridge.Links{same, domain, every}},
		{"own workflow, other domain", here, true, false, []otelbridge.Links{same, every}},
		{"other workflow, own domain", there, false, false, []otelbridge.Links{domain, every}},
		{"other workflow, other domain", there, true, false, []otelbridge.Links{every}},
		{"no workflow, own domain", "", false, false, []otelbridge.Links{domain, every}},
		{"no workflow, other domain", "", true, false, []otelbridge.Links{every}},
		{"own workflow, unsigned", here, false, true, []otelbridge.Links{same, every}},
		{"other workflow, unsigned", there, false, true, []otelbridge.Links{every}},
	} {
		for _, links := range all {
			for n, edge := range []otelbridge.Edge{restart, link, restart, link} {
				own := n > 1
				t.Run(fmt.Sprintf("%s, links %v, %v, own span %t", c.name, links, edge, own), func(t *testing.T) {
					d := ecttest.NewDomain()
					binder := newAbroad(t, d)
					show := otelbridge.ShowEverything()
					show.Links, show.Edge = links, edge
					s := setup{show: show, binder: binder, policy: func(p *core.Policy) {
						p.MinLevel = core.L1
						p.CrossWorkflow = func(core.CrossWorkflowEdge) (core.Workflow, bool) { return workflow(t, here), true }
					}}
					if own {
						s.bridge = taskSpans().bridge
					}
					w := newTraced(t, d, "a", s)
					from := d.Agent(t, "from")
					if c.foreign {
						from = binder.stranger
					}
					const carried = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
					head := from.Token(w.Identity).With("exec_act", "the head's action").
						With("ect_ext", map[string]any{"trace": carried})
					if c.workflow != "" {
						head.With("wid", c.workflow)
					}
					text := head.Sign(t)
					if c.unsigned {
						text = head.Unsigned(t)
					}
					// A second head makes the task one of here, whatever the first is of.
					beside := inFlow(d.Agent(t, "beside"), w.Identity, here).Sign(t)

					ctx, name := t.Context(), otelbridge.SpanName
					if !own {
						name = "job"
						ctx, _ = w.start(ctx, name)
					}
					ctx, task, err := w.take(ctx, text, beside)
					if err != nil {
						t.Fatal(err)
					}
					done(ctx, t, task)
					w.end(ctx)
					got := w.named(t, name)

					shown, besideShown := slices.Contains(c.shown, links), links != none
					withheld := 0
					for _, s := range []bool{shown, besideShown} {
						if !s {
							withheld++
						}
					}
					wantCounts(t, got, 2, withheld)
					ids := events(got, otelbridge.EventPredecessor)
					if slices.Contains(ids, idOf(t, text)) != shown || slices.Contains(ids, idOf(t, beside)) != besideShown {
						t.Errorf("the predecessors shown are %q, and the head must be shown: %t", ids, shown)
					}
					believed := !c.unsigned && (!c.foreign || edge == link)
					if linked := len(got.Links()) == 1; linked != (shown && believed) {
						t.Errorf("%d links, want one if the head is shown and may say where it was", len(got.Links()))
					}
					for _, l := range got.Links() {
						if l.SpanContext.TraceID().String() != carried[3:35] || l.SpanContext.TraceState().Len() != 0 {
							t.Errorf("a link to %v", l.SpanContext)
						}
					}
					if !believed && strings.Contains(allOf(got), carried[3:35]) {
						t.Errorf("the trace of a head that may not say it is on the span:\n%s", allOf(got))
					}
					if shown {
						return
					}
					secrets := []string{idOf(t, text), carried[3:35], carried[36:52], "the head's action"}
					if !besideShown || c.workflow == there {
						secrets = append(secrets, there)
					}
					if c.foreign {
						secrets = append(secrets, from.Identity)
					}
					for _, s := range secrets {
						if strings.Contains(allOf(got), s) {
							t.Errorf("%q of a head that is withheld is on the span:\n%s", s, allOf(got))
						}
					}
				})
			}
		}
	}
}

// TestWithheldInside: what is withheld of the task's own steps is counted for each token by
// itself, and never more than it has.
func TestWithheldInside(t *testing.T) {
	d := ecttest.NewDomain()
	show := otelbridge.ShowTasks()
	show.Links = otelbridge.LinksNone
	w := newTraced(t, d, "a", setup{show: show})
	ctx, span := w.start(t.Context(), "job")
	ctx, task, err := w.take(ctx, inFlow(d.Agent(t, "from"), w.Identity, flow()).Sign(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := task.Step(ctx, "step", core.StepInput{}); err != nil {
			t.Fatal(err)
		}
	}
	issued := done(ctx, t, task)
	span.End()
	got := w.named(t, "job")
	n := len(issued.Claims().Pred)
	wantCounts(t, got, n, n)
	steps := eventsOf(got, otelbridge.EventStep)
	if len(steps) != 5 {
		t.Fatalf("%d events of steps, want 5", len(steps))
	}
	for _, e := range steps {
		if err := has(e.Attributes, map[attribute.Key]string{otelbridge.AttrPredecessorCount: "1", otelbridge.AttrPredecessorWithheld: "1"}); err != nil {
			t.Errorf("a step: %v", err)
		}
	}
	if got := eventsOf(got, otelbridge.EventPredecessor); len(got) != 0 {
		t.Errorf("%d events of predecessors that are withheld", len(got))
	}
}
