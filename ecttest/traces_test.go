// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/ecttest"
)

func TestTraces(t *testing.T) {
	d := ecttest.NewDomain()
	from := d.Agent(t, "from")
	id := func(n string) string { return "550e8400-e29b-41d4-a716-44665544000" + n }
	token := func(jti string) string {
		return from.Token("spiffe://test.example/to").With("jti", jti).With("wid", id("8")).With("pred", []string{id("9")}).Sign(t)
	}
	a, b := token(id("1")), token(id("2"))
	all := func(tokens ...string) (want []string) {
		for _, text := range tokens {
			want = append(want, strings.Split(text, ".")...)
		}
		return append(want, from.Identity, from.KeyID, "spiffe://test.example/to", id("8"), id("9"))
	}
	for _, c := range []struct {
		name   string
		values []string
		want   []string
	}{
		{"nothing", nil, nil},
		{"empty elements", []string{"", " , "}, nil},
		{"a token", []string{a}, append(all(a), id("1"))},
		{"twice", []string{a, " " + a}, append(all(a), id("1"))},
		{"two in a value", []string{a + ",\t" + b}, append(all(a, b), id("1"), id("2"))},
		{"what cannot be read", []string{"a.longerthanthat.c, !neither this"}, []string{"longerthanthat", "!neither this"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ecttest.Traces(c.values...)
			slices.Sort(got)
			slices.Sort(c.want)
			if diff := cmp.Diff(slices.Compact(c.want), got, cmp.Transformer("none", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
				t.Errorf("Traces (-want +got):\n%s", diff)
			}
		})
	}
}
