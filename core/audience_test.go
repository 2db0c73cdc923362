// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
)

func TestNewAudiences(t *testing.T) {
	const a, b = "spiffe://test.example/a", "spiffe://test.example/b"
	for _, tt := range []struct {
		name string
		list []core.Audience
		want string // in the error, "" if there is none
	}{
		{"none", nil, ""},
		{"nothing but an ID", []core.Audience{{ID: a}}, ""},
		{"two", []core.Audience{{ID: a}, {ID: b}}, ""},
		{"all of it", []core.Audience{{
			ID: a, Endpoints: []string{"https://a.example", "https://a.example:8443"}, Tokens: true, Answer: core.AnswerOptional,
			Context: core.MaxContext, Hashes: true, Revision: core.Revision00,
		}}, ""},
		{"endpoints without tokens", []core.Audience{{ID: a, Endpoints: []string{"https://a.example"}}}, ""},
		{"tokens without endpoints", []core.Audience{{ID: a, Tokens: true}}, ""},
		{"no ID", []core.Audience{{ID: b}, {}}, "Audience 1: ID is not a URI"},
		{"ID is no URI", []core.Audience{{ID: "billing"}}, "Audience 0: ID is not a URI"},
		{"ID has a space", []core.Audience{{ID: "spiffe://a b"}}, "Audience 0: ID is not a URI"},
		{"ID is too long", []core.Audience{{ID: "spiffe://" + strings.Repeat("a", core.MaxURIBytes)}}, "Audience 0: ID is not a URI"},
		{"ID twice", []core.Audience{{ID: a}, {ID: b}, {ID: a}}, "Audience 2: ID comes twice"},
		{"negative context", []core.Audience{{ID: a, Context: -1}}, "Audience 0: Context is not between 0 and 8"},
		{"too much context", []core.Audience{{ID: a, Context: core.MaxContext + 1}}, "Audience 0: Context is not between 0 and 8"},
		{"no such revision", []core.Audience{{ID: a, Revision: core.Revision00 + 1}}, "Audience 0: Revision is not known"},
		{"no answer policy", []core.Audience{{ID: a, Endpoints: []string{"https://a.example"}, Tokens: true}}, "Audience 0: Answer is neither"},
		{"no such answer policy", []core.Audience{{ID: a, Answer: core.AnswerOptional + 1}}, "Audience 0: Answer is neither"},
		{"no such trace header", []core.Audience{{ID: b}, {ID: a, Trace: core.Baggage << 1}}, "Audience 1: Trace has a bit that is not known"},
		{"all trace headers and one more", []core.Audience{{ID: a, Trace: core.Baggage<<2 - 1}}, "Audience 0: Trace has a bit that is not known"},
		{"every bit", []core.Audience{{ID: a, Trace: 255}}, "Audience 0: Trace has a bit that is not known"},
		{"all trace headers", []core.Audience{{ID: a, Trace: core.TraceParent | core.TraceState | core.Baggage}}, ""},
		{"trace state alone", []core.Audience{{ID: a, Trace: core.TraceState}}, "Audience 0: Trace has TraceState without TraceParent"},
		{"trace state with baggage", []core.Audience{{ID: a, Trace: core.TraceState | core.Baggage}}, "Audience 0: Trace has TraceState without TraceParent"},
		{"trace parent alone", []core.Audience{{ID: a, Trace: core.TraceParent}}, ""},
		{"trace parent and state", []core.Audience{{ID: a, Trace: core.TraceParent | core.TraceState}}, ""},
		{"baggage alone", []core.Audience{{ID: a, Trace: core.Baggage}}, ""},
		{"trace parent and baggage", []core.Audience{{ID: a, Trace: core.TraceParent | core.Baggage}}, ""},
		{"empty endpoint", []core.Audience{{ID: a, Endpoints: []string{""}}}, "Audience 0: an endpoint is empty or comes twice"},
		{"endpoint twice", []core.Audience{{ID: a, Endpoints: []string{"x", "x"}}}, "Audience 0: an endpoint is empty or comes twice"},
		{"endpoint of two", []core.Audience{{ID: a, Endpoints: []string{"x"}}, {ID: b, Endpoints: []string{"y", "x"}}}, "Audience 1: an endpoint is empty or comes twice"},
		{"endpoints of different case", []core.Audience{{ID: a, Endpoints: []string{"x", "X"}}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := core.NewAudiences(tt.list...)
			if (err == nil) != (tt.want == "") || (s == nil) != (err != nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewAudiences() = %v, %v, want %q", s, err, tt.want)
			}
		})
	}
}

func TestAudiencesFind(t *testing.T) {
	list := []core.Audience{
		{ID: "urn:a", Endpoints: []string{"https://a.example", "https://a.example:8443"}, Tokens: true, Answer: core.AnswerRequired, Context: 3},
		{ID: "urn:b", Endpoints: []string{"https://b.example"}},
		{ID: "urn:c", Tokens: true},
		{ID: "urn:d", Endpoints: []string{"https://d.example"}, Trace: core.Baggage},
	}
	s, err := core.NewAudiences(list...)
	if err != nil {
		t.Fatal(err)
	}
	list[0].Tokens, list[3].Trace = false, 0 // what is given is copied
	for id, want := range map[string]bool{"urn:a": true, "urn:b": false, "urn:c": true, "urn:d": false, "urn:e": false, "": false, "URN:A": false} {
		if a, ok := s.ByID(id); ok != want || ok && (a.ID != id || !a.Tokens) {
			t.Errorf("ByID(%q) = %+v, %t, want %t", id, a, ok, want)
		}
	}
	for e, want := range map[string]string{
		"https://a.example": "urn:a", "https://a.example:8443": "urn:a", "https://b.example": "", "https://d.example": "", "https://A.example": "", "https://a.example/": "", "": "",
	} {
		if a, ok := s.AtEndpoint(e); a.ID != want || ok != (want != "") {
			t.Errorf("AtEndpoint(%q) = %+v, %t, want %q", e, a, ok, want)
		}
	}
	got := s.Endpoints()
	slices.Sort(got)
	if want := []string{"https://a.example", "https://a.example:8443", "https://d.example"}; !slices.Equal(got, want) {
		t.Errorf("Endpoints() = %q, want %q", got, want)
	}
}
