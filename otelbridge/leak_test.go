// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/go-ect/ect/otelbridge"
)

// course is how the two workflows go on.
type course struct {
	name string
	run  func(*testing.T, *bureau, *submission, *submission) error
}

// take has two workflows go on, and gets what Jaeger has of them.
func (c course) take(t *testing.T, p otelbridge.Policy) (w *bureau, a, b *submission) {
	t.Helper()
	w = newBureau(t, p)
	a, b = w.tenant(t, "tenant-a"), w.tenant(t, "tenant-b")
	if err := c.run(t, w, a, b); err != nil {
		t.Fatal(err)
	}
	w.flush(t, a.tenant, b.tenant)
	w.fetch(t, a, b)
	return w, a, b
}

var courses = []course{
	{"one after the other", func(t *testing.T, _ *bureau, a, b *submission) error {
		return errors.Join(a.submit(t), b.submit(t))
	}},
	{"at once", func(t *testing.T, w *bureau, a, b *submission) error {
		w.meet = rendezvous(2)
		var wait sync.WaitGroup
		errs := make([]error, 2)
		for n, s := range []*submission{a, b} {
			wait.Go(func() { errs[n] = s.submit(t) })
		}
		wait.Wait()
		return errors.Join(errs...)
	}},
	{"one from the other", func(t *testing.T, w *bureau, a, b *submission) error {
		if err := a.submit(t); err != nil {
			return err
		}
		w.crossing = b
		// The agent has the scorer's answer from the other workflow, and knows its span.
		return b.submit(t, w.log.issued(t, a.workflow, w.scorer.Identity, scored))
	}},
}

// TestLeaks has two workflows share an agent, an action, a document and the services that the
// agent asks, and looks at all that the real Jaeger has of them. Whether something is in
// common is decided by the values, wherever they stand, and not by what is known to be
// written.
func TestLeaks(t *testing.T) {
	for _, p := range []struct {
		name   string
		policy otelbridge.Policy
	}{
		{"ShowNothing", otelbridge.ShowNothing()},
		{"ShowTasks", otelbridge.ShowTasks()},
		{"ShowPseudonyms", otelbridge.ShowPseudonyms(keys()...)},
	} {
		for _, c := range courses {
			t.Run(p.name+"/"+c.name, func(t *testing.T) {
				w, a, b := c.take(t, p.policy)
				w.holdsApart(t, a, b)
				if w.crossing != nil && (withholds(b) == 0 || withholds(a) > 0 && p.policy.Links != otelbridge.LinksNone) {
					t.Errorf("%d of what the first comes after is withheld, %d of the second", withholds(a), withholds(b))
				}
				w.findsAlone(t, a, b)
				w.findsAlone(t, b, a)
			})
		}
	}
}

// TestOneSearchFindsBoth is the other end: where everything is shown, one workflow leads to the
// other.
func TestOneSearchFindsBoth(t *testing.T) {
	w, a, b := courses[len(courses)-1].take(t, otelbridge.ShowEverything())
	for _, tags := range commonTags(w) {
		if found := w.search(t, tags); !found[a.workflow] || !found[b.workflow] {
			t.Errorf("a search for %v finds one: %t, the other: %t", tags, found[a.workflow], found[b.workflow])
		}
	}
	answer := w.log.claims(t, a.workflow, w.scorer.Identity, scored).TaskID.String()
	if !b.stored[answer]["event["+string(otelbridge.AttrTaskID)+"]"] {
		t.Error("there is no event for what one comes after of the other")
	}
	if !slices.ContainsFunc(w.log.tracesOf(a.workflow), func(trace string) bool { return b.stored[trace]["link.traceId"] }) {
		t.Error("there is no link to what one comes after of the other")
	}
}

// TestLeaksMissNothing holds that the workflows do whatever makes the bridge write: of what it
// never writes there, the tests above say nothing.
func TestLeaksMissNothing(t *testing.T) {
	w, a, b := courses[0].take(t, otelbridge.ShowEverything())
	for _, s := range []*submission{a, b} {
		missing := unseen(t, s.stored)
		for _, o := range []*office{s.tenant, w.agent, w.scorer, w.registry, w.archive} {
			if !s.stored[o.name]["resource[service.name]"] {
				missing = append(missing, "the service "+o.name)
			}
		}
		for _, m := range missing {
			t.Errorf("%s does not have %s", s.tenant.name, m)
		}
	}
}
