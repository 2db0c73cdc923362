// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/otelbridge"
)

// flush has Jaeger get everything.
func (w *bureau) flush(t *testing.T, tenants ...*office) {
	t.Helper()
	for _, o := range append(tenants, w.agent, w.scorer, w.registry, w.archive) {
		if err := o.tracers.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// fetch gets what Jaeger has of workflows. Every trace that it has must be of exactly one.
func (w *bureau) fetch(t *testing.T, all ...*submission) {
	t.Helper()
	w.accounts(t, all)
	for _, s := range all {
		s.stored = spots{}
		for _, trace := range w.log.tracesOf(s.workflow) {
			received, err := w.jaeger.Stored(t.Context(), trace)
			if err != nil {
				t.Fatal(err)
			}
			for _, form := range [][]byte{received, w.shown(t, trace)} {
				if err := s.stored.walk(form); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// accounts fails unless every trace that Jaeger has is of exactly one workflow.
func (w *bureau) accounts(t *testing.T, all []*submission) {
	t.Helper()
	found, err := w.jaeger.Find(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, trace := range found {
		n := 0
		for _, s := range all {
			if slices.Contains(w.log.tracesOf(s.workflow), trace.ID) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("a trace is of %d workflows: %+v", n, trace)
		}
	}
}

// shown returns what the page of Jaeger shows of a trace.
func (w *bureau) shown(t *testing.T, trace string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.jaeger.UI()+"/api/traces/"+trace, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return answer.Data
}

// commonTags are searches for what the two workflows have in common.
func commonTags(w *bureau) (all []map[string]string) {
	for key, value := range map[attribute.Key]string{
		otelbridge.AttrInputHash:  hashOf(document).String(),
		otelbridge.AttrOutputHash: hashOf(document).String(),
		otelbridge.AttrAction:     action,
		otelbridge.AttrIssuer:     w.agent.Identity,
		otelbridge.AttrAudience:   w.scorer.Identity,
		otelbridge.AttrPolicy:     pol,
	} {
		all = append(all, map[string]string{string(key): value})
	}
	return all
}

// search returns the workflows that a search finds traces of.
func (w *bureau) search(t *testing.T, tags map[string]string) map[core.Workflow]bool {
	t.Helper()
	traces, err := w.jaeger.Find(t.Context(), "", tags)
	if err != nil {
		t.Fatal(err)
	}
	found := map[core.Workflow]bool{}
	for _, trace := range traces {
		found[w.log.workflowOf(t, trace.ID)] = true
	}
	return found
}

// findsAlone fails if a search for what a workflow has in common with the other finds
// anything, or one for what is its own finds the other, or does not find itself.
func (w *bureau) findsAlone(t *testing.T, s, other *submission) {
	t.Helper()
	for _, tags := range commonTags(w) {
		if found := w.search(t, tags); len(found) > 0 {
			t.Errorf("a search for %v finds %d workflows", tags, len(found))
		}
	}
	for _, a := range otelbridge.Attributes() {
		mine, others := w.agentSays(t, s, a.Claim), w.agentSays(t, other, a.Claim)
		if mine == "" {
			continue
		}
		if mine == others {
			t.Errorf("%s is %q in both", a.Key, mine)
		}
		found := w.search(t, map[string]string{string(a.Key): mine})
		if !found[s.workflow] || len(found) != 1 {
			t.Errorf("a search for %s of %q finds itself: %t, in %d workflows", a.Key, mine, found[s.workflow], len(found))
		}
	}
}

// agentSays returns how the policy shows a claim of the agent's task, "" if it does not.
func (w *bureau) agentSays(t *testing.T, s *submission, c otelbridge.Claim) string {
	t.Helper()
	claims := w.log.claims(t, s.workflow, w.agent.Identity, action)
	value := map[otelbridge.Claim]string{
		otelbridge.ClaimTask:     claims.TaskID.String(),
		otelbridge.ClaimWorkflow: claims.Workflow.String(),
		otelbridge.ClaimAction:   action,
		otelbridge.ClaimIssuer:   w.agent.Identity,
	}[c]
	switch form := formOf(w.policy, c); {
	case value == "" || form == otelbridge.Omit:
		return ""
	case form == otelbridge.Plain:
		return value
	}
	names, err := w.policy.Pseudonyms(c, value, otelbridge.Token{TaskID: claims.TaskID, Workflow: claims.Workflow, IssuedAt: claims.IssuedAt})
	if err != nil || len(names) != 1 {
		t.Fatalf("%d pseudonyms of %s, %v", len(names), c, err)
	}
	return names[0]
}

// holdsApart fails if the traces of one workflow tell of the other.
func (w *bureau) holdsApart(t *testing.T, a, b *submission) {
	t.Helper()
	wrong := compare(a.stored, b.stored, common(w.policy))
	tokensA, tokensB := w.log.needles(t, a.workflow), w.log.needles(t, b.workflow)
	wrongA, usedA := telltales(a.stored, tokensA, tokensB, w.policy, sayable)
	wrongB, usedB := telltales(b.stored, tokensB, tokensA, w.policy, sayable)
	events := eventNames(t)
	wrong = slices.Concat(wrong, wrongA, wrongB, classify(a.stored, events, w.policy), classify(b.stored, events, w.policy))
	for s := range sayable {
		if !usedA[s] && !usedB[s] {
			wrong = append(wrong, fmt.Sprintf("%q is not at %s any more: take it from the list", s.text, s.place))
		}
	}
	for _, why := range wrong {
		t.Error(why)
	}
}
