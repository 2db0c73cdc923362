// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
	"github.com/go-ect/ect/otelbridge"
)

// TestShow shows every claim in every form, present and absent.
func TestShow(t *testing.T) {
	of := otelbridge.Token{
		TaskID:   uuid(t, "7C9E6679-7425-40DE-944B-E07FC1F90AE7"),
		Workflow: workflow(t, "3f0c9c1e-8f1b-4a52-9d0e-5b7a1c2d3e4f"),
		IssuedAt: day(2026, time.August, 1),
	}
	h := core.Hash{Sum: sha256.Sum256(nil), Present: true}
	const text = "some text"
	plain := map[otelbridge.Claim]string{
		otelbridge.ClaimTask:       "7c9e6679-7425-40de-944b-e07fc1f90ae7",
		otelbridge.ClaimWorkflow:   "3f0c9c1e-8f1b-4a52-9d0e-5b7a1c2d3e4f",
		otelbridge.ClaimInputHash:  "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
		otelbridge.ClaimOutputHash: "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
	}
	seen := map[string]bool{}
	for _, c := range otelbridge.Claims() {
		want, ok := plain[c.Claim]
		if !ok {
			want = text
		}
		for _, how := range []otelbridge.Disclosure{otelbridge.Omit, otelbridge.Pseudonym, otelbridge.Plain} {
			// All else is shown in another form.
			p := otelbridge.ShowEverything()
			if how == otelbridge.Plain {
				p = otelbridge.ShowNothing()
			}
			reflect.ValueOf(&p).Elem().FieldByName(c.Field).Set(reflect.ValueOf(how))
			if how == otelbridge.Pseudonym {
				p.Keys = keys()
			}
			d := disclosing(t, p)
			got, ok := d.Show(c.Claim, of, text, h)
			switch how {
			case otelbridge.Omit:
				if ok || got != "" {
					t.Errorf("%s, %s: shown as %q", c.Claim, how, got)
				}
			case otelbridge.Plain:
				if !ok || got != want {
					t.Errorf("%s, %s: shown as %q, want %q", c.Claim, how, got, want)
				}
			case otelbridge.Pseudonym:
				all, err := p.Pseudonyms(c.Claim, want, of)
				if err != nil {
					t.Fatal(err)
				}
				if !ok || len(all) != 1 || got != all[0] || seen[got] {
					t.Errorf("%s, %s: shown as %q, want what Pseudonyms returns, %q, and no claim before it",
						c.Claim, how, got, all)
				}
				seen[got] = true
			}
			if c.Claim == otelbridge.ClaimTask {
				continue // no token is without
			}
			none := of
			none.Workflow = core.Workflow{}
			if got, ok := d.Show(c.Claim, none, "", core.Hash{}); ok || got != "" {
				t.Errorf("%s, %s: absent, and shown as %q", c.Claim, how, got)
			}
		}
	}
}

func TestAdmits(t *testing.T) {
	a, b := id.NewWorkflow(), id.NewWorkflow()
	none := core.Workflow{}
	const (
		home    = "spiffe://example.org/other"
		foreign = "spiffe://example.com/billing"
	)
	type edge struct {
		name      string
		own, pred core.Workflow
		issuer    string
		want      [otelbridge.LinksAny + 1]bool // by Links
	}
	workflows := []struct {
		name      string
		own, pred core.Workflow
		same      bool
	}{
		{"same workflow", a, a, true},
		{"another workflow", a, b, false},
		{"own without", none, a, false},
		{"predecessor without", a, none, false},
		{"neither with", none, none, false},
		// A workflow that is absent is absent whatever stands beside that.
		{"neither with, one id", core.Workflow{ID: a.ID}, core.Workflow{ID: a.ID}, false},
		{"absent under the same id", a, core.Workflow{ID: a.ID}, false},
	}
	issuers := []struct {
		name, issuer string
		home         bool
	}{
		{"this service", identity, true},
		{"own domain", home, true},
		{"the domain itself", "spiffe://example.org", true},
		{"another domain", foreign, false},
		{"another scheme", "wimse://example.org/other", false},
		{"a domain below", "spiffe://sub.example.org/other", false},
		{"a domain that begins like it", "spiffe://example.org.example.com/other", false},
		{"no authority", "urn:uuid:7c9e6679-7425-40de-944b-e07fc1f90ae7", false},
		{"unsigned", "", false},
	}
	var edges []edge
	for _, w := range workflows {
		for _, i := range issuers {
			edges = append(edges, edge{
				w.name + ", " + i.name, w.own, w.pred, i.issuer,
				[...]bool{
					otelbridge.LinksNone:            false,
					otelbridge.LinksSameWorkflow:    w.same,
					otelbridge.LinksSameTrustDomain: i.home,
					otelbridge.LinksAny:             true,
				},
			})
		}
	}
	for l := otelbridge.LinksNone; l <= otelbridge.LinksAny; l++ {
		d := disclosing(t, otelbridge.Policy{Links: l})
		for _, e := range edges {
			if got := d.Admits(e.own, e.pred, e.issuer); got != e.want[l] {
				t.Errorf("links %s, %s: admitted %t, want %t", l, e.name, got, e.want[l])
			}
		}
	}
}

// TestHomeWithoutAuthority holds that a service whose identity has no authority is alone in
// its trust domain, and that nobody is in that of a service without an identity.
func TestHomeWithoutAuthority(t *testing.T) {
	const own = "urn:uuid:7c9e6679-7425-40de-944b-e07fc1f90ae7"
	for _, tt := range []struct {
		own, identity string
		want          bool
	}{
		{own, own, true},
		{own, "urn:uuid:7c9e6679-7425-40de-944b-e07fc1f90ae8", false},
		{own, "", false},
		{"spiffe:///a", "spiffe:///a", true},
		{"spiffe:///a", "spiffe:///b", false},
		{"", "", false},
	} {
		d, err := otelbridge.NewDisclosure(tt.own, otelbridge.Policy{Links: otelbridge.LinksSameTrustDomain})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Home(tt.identity); got != tt.want {
			t.Errorf("service %q: %q is home: %t, want %t", tt.own, tt.identity, got, tt.want)
		}
		if got := d.Admits(core.Workflow{}, core.Workflow{}, tt.identity); got != tt.want {
			t.Errorf("service %q: a link to one by %q is admitted: %t, want %t", tt.own, tt.identity, got, tt.want)
		}
	}
}

// TestDisclosureHidesKeys prints a policy at work in the forms that reach into unexported
// fields.
func TestDisclosureHidesKeys(t *testing.T) {
	p := otelbridge.ShowPseudonyms(marked())
	d := disclosing(t, p)
	d.Show(otelbridge.ClaimIssuer, otelbridge.Token{}, "text", core.Hash{}) // so that an HMAC is keyed
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{d, struct{ d *otelbridge.Disclosing }{d}} {
			wantHidden(t, verb, fmt.Sprintf(verb, v))
		}
	}
	// The caller's own list is copied.
	before, _ := d.Show(otelbridge.ClaimIssuer, otelbridge.Token{}, "text", core.Hash{})
	clear(p.Keys)
	after, _ := d.Show(otelbridge.ClaimIssuer, otelbridge.Token{}, "text", core.Hash{})
	if before != after || !strings.HasPrefix(before, "marked.") {
		t.Errorf("shown as %q, then as %q, want the same in epoch marked", before, after)
	}
}
