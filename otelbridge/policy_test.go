// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
	"github.com/go-ect/ect/otelbridge"
)

func TestPresets(t *testing.T) {
	const (
		pseudonym = otelbridge.Pseudonym
		plain     = otelbridge.Plain
	)
	for _, tt := range []struct {
		name      string
		got, want otelbridge.Policy
	}{
		{"ShowNothing", otelbridge.ShowNothing(), otelbridge.Policy{}},
		{"ShowTasks", otelbridge.ShowTasks(), otelbridge.Policy{
			Task: plain, Workflow: plain, Links: otelbridge.LinksSameWorkflow,
		}},
		{"ShowPseudonyms", otelbridge.ShowPseudonyms(keys()...), otelbridge.Policy{
			Task: pseudonym, Workflow: pseudonym, Action: pseudonym, Issuer: pseudonym, Audience: pseudonym,
			Links: otelbridge.LinksSameWorkflow, Keys: keys(),
		}},
		{"ShowEverything", otelbridge.ShowEverything(), otelbridge.Policy{
			Task: plain, Workflow: plain, Action: plain, Issuer: plain, Audience: plain, Hashes: plain, Checkpoint: plain,
			Links: otelbridge.LinksAny, Edge: otelbridge.EdgeContinue, CarryTrace: true,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.got); diff != "" {
				t.Errorf("%s() is not what it should be (-want +got):\n%s", tt.name, diff)
			}
			disclosing(t, tt.got)
		})
	}
}

// TestPolicyZeroIsClosed holds that what a policy does not say is not shown, not linked and
// not continued.
func TestPolicyZeroIsClosed(t *testing.T) {
	d := disclosing(t, otelbridge.Policy{})
	w := id.NewWorkflow()
	of := otelbridge.Token{TaskID: id.NewUUID(), Workflow: w}
	for _, c := range otelbridge.Claims() {
		if got, ok := d.Show(c.Claim, of, "text", core.Hash{Present: true}); ok || got != "" {
			t.Errorf("%s is shown as %q, want it omitted", c.Claim, got)
		}
	}
	if d.Admits(w, w, identity) {
		t.Error("a link is admitted, want none")
	}
	var edge otelbridge.Edge
	if edge != otelbridge.EdgeRestart {
		t.Errorf("the zero Edge is %v, want restart", edge)
	}
}

// TestPolicyFields holds that every field of a policy that is a Disclosure belongs to a
// claim, and every claim to one, by setting each alone.
func TestPolicyFields(t *testing.T) {
	of := map[string]int{}
	for _, c := range otelbridge.Claims() {
		var p otelbridge.Policy
		field := reflect.ValueOf(&p).Elem().FieldByName(c.Field)
		if !field.IsValid() {
			t.Errorf("claim %s: Policy has no field %s", c.Claim, c.Field)
			continue
		}
		of[c.Field]++
		field.Set(reflect.ValueOf(otelbridge.Plain))
		if got := c.Shown(&p); got != otelbridge.Plain {
			t.Errorf("claim %s: Policy.%s does not decide on it", c.Claim, c.Field)
		}
		for _, o := range otelbridge.Claims() {
			if got := o.Shown(&p); got != otelbridge.Omit && o.Field != c.Field {
				t.Errorf("Policy.%s shows %s, want it to show %s alone", c.Field, o.Claim, c.Claim)
			}
		}
	}
	for f := range reflect.TypeFor[otelbridge.Policy]().Fields() {
		if f.Type == reflect.TypeFor[otelbridge.Disclosure]() && of[f.Name] == 0 {
			t.Errorf("Policy.%s decides on no claim", f.Name)
		}
	}
}

func TestPolicyCheck(t *testing.T) {
	type policy = otelbridge.Policy
	for _, tt := range []struct {
		name string
		p    policy
		want string // in the error, "" if there is none
	}{
		{"zero", policy{}, ""},
		{"largest links", policy{Links: otelbridge.LinksAny}, ""},
		{"unknown links", policy{Links: otelbridge.LinksAny + 1}, "Policy.Links is none"},
		{"largest edge", policy{Edge: otelbridge.EdgeContinue}, ""},
		{"unknown edge", policy{Edge: otelbridge.EdgeContinue + 1}, "Policy.Edge is none"},
		{"keys alone", policy{Keys: keys()}, "Policy.Keys is set"},
		{"keys with plain alone", policy{Task: otelbridge.Plain, Keys: keys()}, "Policy.Keys is set"},
		{"keys that are none", policy{Task: otelbridge.Plain, Keys: []otelbridge.PseudonymKey{}}, ""},
		{"preset without keys", otelbridge.ShowPseudonyms(), "Policy.Keys is empty, and Policy.Task is Pseudonym"},
		{"bad key", policy{Task: otelbridge.Pseudonym, Keys: []otelbridge.PseudonymKey{{}}}, "Policy.Keys[0].Epoch"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantRefused(t, tt.p, tt.want) })
	}
	for _, c := range otelbridge.Claims() {
		t.Run(c.Field, func(t *testing.T) {
			with := func(d otelbridge.Disclosure, keys ...otelbridge.PseudonymKey) policy {
				p := policy{Keys: keys}
				reflect.ValueOf(&p).Elem().FieldByName(c.Field).Set(reflect.ValueOf(d))
				return p
			}
			wantRefused(t, with(otelbridge.Plain), "")
			wantRefused(t, with(otelbridge.Plain+1), "Policy."+c.Field+" is none of")
			wantRefused(t, with(255), "Policy."+c.Field+" is none of")
			wantRefused(t, with(otelbridge.Pseudonym), "Policy.Keys is empty, and Policy."+c.Field+" is Pseudonym")
			wantRefused(t, with(otelbridge.Pseudonym, keys()...), "")
		})
	}
}

// wantRefused holds that the policy is refused with an error that holds want, or taken if
// want is "".
func wantRefused(t *testing.T, p otelbridge.Policy, want string) {
	t.Helper()
	d, err := otelbridge.NewDisclosure(identity, p)
	switch {
	case want == "" && (err != nil || d == nil):
		t.Errorf("policy %+v: error %v, want it taken", p, err)
	case want != "" && (err == nil || d != nil || !strings.Contains(err.Error(), want)):
		t.Errorf("policy %+v: error %v, want one that holds %q", p, err, want)
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{otelbridge.Omit.String(), "omit"},
		{otelbridge.Pseudonym.String(), "pseudonym"},
		{otelbridge.Plain.String(), "plain"},
		{(otelbridge.Plain + 1).String(), "unknown(3)"},
		{otelbridge.LinksNone.String(), "none"},
		{otelbridge.LinksSameWorkflow.String(), "same workflow"},
		{otelbridge.LinksSameTrustDomain.String(), "same trust domain"},
		{otelbridge.LinksAny.String(), "any"},
		{(otelbridge.LinksAny + 1).String(), "unknown(4)"},
		{otelbridge.EdgeRestart.String(), "restart"},
		{otelbridge.EdgeLink.String(), "link"},
		{otelbridge.EdgeContinue.String(), "continue"},
		{(otelbridge.EdgeContinue + 1).String(), "unknown(3)"},
		{otelbridge.ClaimTask.String(), "jti"},
		{otelbridge.ClaimWorkflow.String(), "wid"},
		{otelbridge.ClaimAction.String(), "exec_act"},
		{otelbridge.ClaimIssuer.String(), "iss"},
		{otelbridge.ClaimAudience.String(), "aud"},
		{otelbridge.ClaimInputHash.String(), "inp_hash"},
		{otelbridge.ClaimOutputHash.String(), "out_hash"},
		{otelbridge.ClaimCheckpoint.String(), "pol"},
		{(otelbridge.ClaimCheckpoint + 1).String(), "none"},
		{otelbridge.Claim(0).String(), "none"},
	} {
		if tt.got != tt.want {
			t.Errorf("String() = %q, want %q", tt.got, tt.want)
		}
	}
}
